from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from steelsight import images
from steelsight.data import synthetic
from steelsight.images import ImageError

HEIGHT, WIDTH = 24, 40
DICE = np.random.default_rng(0)
GREY = DICE.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
RGB = DICE.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
RGBA = DICE.integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)
DEEP = DICE.integers(0, 65536, (HEIGHT, WIDTH), np.uint16)
# Changes slowly, so that JPEG keeps it to within a few grey levels.
SLOPE = np.add.outer(np.arange(HEIGHT) * 2, np.arange(WIDTH) * 4).astype(np.uint8)


def encode(picture: Image.Image | np.ndarray, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(stream, kind, **options)
    return stream.getvalue()


def luma(rgb: np.ndarray) -> np.ndarray:
    return rgb[..., :3] @ np.array([0.299, 0.587, 0.114])


def assert_near(found: np.ndarray, expected: np.ndarray, within: float) -> None:
    assert found.dtype == np.uint8
    assert found.shape == expected.shape
    assert np.abs(found - expected.astype(np.float64)).max() <= within


def assert_refused(source: Any, *, name: str, says: str) -> None:
    with pytest.raises(ImageError, match=says) as error:
        images.decode(source) if isinstance(source, Path) else images.decode(source, name)
    assert_sentence(str(error.value), name)


def assert_sentence(text: str, name: str) -> None:
    assert text.startswith(f"{name}: ")
    assert text.endswith(".")
    assert ". " not in text


# Every format and mode has its stated values


@pytest.mark.parametrize("kind", ["BMP", "GIF", "PNG", "PPM", "TIFF"])
def test_grey(kind: str) -> None:
    assert_near(images.decode(encode(GREY, kind)), GREY, 0)


@pytest.mark.parametrize("compression", ["packbits", "tiff_lzw", "tiff_deflate"])
def test_compressed_tiff(compression: str) -> None:
    assert_near(images.decode(encode(GREY, "TIFF", compression=compression)), GREY, 0)


@pytest.mark.parametrize("kind", ["BMP", "PNG", "PPM", "TIFF"])
def test_colours(kind: str) -> None:
    assert_near(images.decode(encode(RGB, kind)), luma(RGB), 0.51)


@pytest.mark.parametrize("pixels", [RGB, RGBA], ids=["RGB", "RGBA"])
def test_lossless_webp(pixels: np.ndarray) -> None:
    assert_near(images.decode(encode(pixels, "WEBP", lossless=True, exact=True)), luma(pixels), 0.51)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_transparency_is_ignored(kind: str) -> None:
    grey_alpha = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(RGBA[..., 3])])
    assert_near(images.decode(encode(RGBA, kind)), luma(RGBA), 0.51)
    assert_near(images.decode(encode(grey_alpha, kind)), GREY, 0)


def test_transparent_colour_is_ignored() -> None:
    key = tuple(int(value) for value in RGB[0, 0])
    assert_near(images.decode(encode(RGB, "PNG", transparency=key)), luma(RGB), 0.51)
    assert_near(images.decode(encode(GREY, "PNG", transparency=int(GREY[0, 0]))), GREY, 0)


@pytest.mark.parametrize("kind", ["BMP", "GIF", "PNG", "TIFF"])
def test_palette(kind: str) -> None:
    palette = DICE.integers(0, 256, (256, 3), np.uint8)
    picture = Image.frombytes("P", (WIDTH, HEIGHT), GREY.tobytes())
    picture.putpalette(palette.tobytes())
    assert_near(images.decode(encode(picture, kind)), luma(palette[GREY]), 0.51)


def test_transparent_palette_is_ignored() -> None:
    picture = Image.frombytes("P", (WIDTH, HEIGHT), GREY.tobytes())
    picture.putpalette(np.repeat(np.arange(256, dtype=np.uint8)[::-1], 3).tobytes())
    assert_near(images.decode(encode(picture, "PNG", transparency=bytes(range(256)))), 255 - GREY, 0)


@pytest.mark.parametrize("kind", ["BMP", "PNG", "PPM", "TIFF"])
def test_one_bit(kind: str) -> None:
    bits = GREY > 127
    assert_near(images.decode(encode(Image.fromarray(bits), kind)), bits * 255, 0)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy(kind: str) -> None:
    assert_near(images.decode(encode(SLOPE, kind, quality=95)), SLOPE, 4)
    colours = np.dstack([SLOPE, SLOPE // 2, 255 - SLOPE])
    assert_near(images.decode(encode(colours, kind, quality=95)), luma(colours), 6)


def test_cmyk_jpeg() -> None:
    cyan, magenta, yellow, black = np.array([30, 100, 200, 40]) / 255
    rgb = 255 * (1 - black) * (1 - np.array([cyan, magenta, yellow]))
    data = encode(Image.new("CMYK", (WIDTH, HEIGHT), (30, 100, 200, 40)), "JPEG", quality=100)
    assert_near(images.decode(data), np.full((HEIGHT, WIDTH), luma(rgb)), 3)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits(kind: str) -> None:
    assert_near(images.decode(encode(DEEP, kind)), DEEP / 257, 0.5)


def test_sixteen_bits_big_endian() -> None:
    picture = Image.frombytes("I;16B", (WIDTH, HEIGHT), DEEP.astype(">u2").tobytes())
    assert_near(images.decode(encode(picture, "TIFF")), DEEP / 257, 0.5)


def test_sixteen_bits_span_the_eight() -> None:
    ends = np.repeat(np.array([[0], [65535]], np.uint16), 16, axis=0).repeat(16, axis=1)
    assert np.unique(images.decode(encode(ends, "PNG"))).tolist() == [0, 255]


def test_sixteen_bit_colours_keep_their_upper_eight() -> None:
    channels = DICE.integers(0, 65536, (HEIGHT, WIDTH, 3), np.uint16)
    assert_near(images.decode(deep_colour_png(channels)), luma(channels >> 8), 0.51)


def deep_colour_png(channels: np.ndarray) -> bytes:
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in channels)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 0)
    return png((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    framed = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


UPRIGHT = {
    1: lambda seen: seen,
    2: np.fliplr,
    3: lambda seen: np.rot90(seen, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda seen: np.rot90(seen, -1),
    7: lambda seen: np.rot90(seen, 2).T,
    8: lambda seen: np.rot90(seen, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(("kind", "within"), [("JPEG", 4), ("PNG", 0), ("TIFF", 0)])
def test_exif_orientation(orientation: int, kind: str, within: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = images.decode(encode(SLOPE, kind, exif=exif.tobytes()))
    assert_near(found, UPRIGHT[orientation](SLOPE), within)


def test_sixteen_bits_are_turned_as_well() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert_near(images.decode(encode(DEEP, "PNG", exif=exif.tobytes())), np.rot90(DEEP, -1) / 257, 0.5)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF"])
def test_first_of_many_frames(kind: str) -> None:
    others = [Image.fromarray(255 - GREY), Image.fromarray(SLOPE)]
    assert_near(images.decode(encode(GREY, kind, save_all=True, append_images=others)), GREY, 0)


def test_path_text_and_bytes_are_alike(tmp_path: Path) -> None:
    path = tmp_path / "picture.of.unknown.kind"
    path.write_bytes(encode(GREY, "PNG"))
    for source in (path, str(path), path.read_bytes()):
        assert_near(images.decode(source), GREY, 0)


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (HEIGHT, WIDTH, 1)])
def test_grey_array(shape: tuple[int, ...]) -> None:
    assert_near(images.as_grey(GREY.reshape(shape)), GREY, 0)
    assert_near(images.as_grey(DEEP.reshape(shape)), DEEP / 257, 0.5)


def test_colour_array() -> None:
    assert_near(images.as_grey(RGB), luma(RGB), 0.51)
    assert_near(images.as_grey(RGBA), luma(RGBA), 0.51)
    assert_near(images.as_grey(RGB[::-1, ::2]), luma(RGB[::-1, ::2]), 0.51)
    assert_near(images.as_grey(RGB.astype(np.uint16) * 257), luma(RGB), 0.51)


# What cannot be used is refused in one sentence


def test_missing_file(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.png", tmp_path / "a\0b.png"):
        assert_refused(path, name=str(path), says="no such file")


def test_folder_given_as_file(tmp_path: Path) -> None:
    assert_refused(tmp_path, name=str(tmp_path), says="cannot be read")


def test_file_past_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "film.tif"
    path.touch()
    os.truncate(path, images.MAX_BYTES + 1)
    assert_refused(path, name=str(path), says="larger than 1000 MB")


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    path.touch()
    assert_refused(path, name=str(path), says="0 bytes")
    assert_refused(b"", name="the picture", says="0 bytes")


def test_text_named_as_picture(tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    path.write_text("The coil had scratches on both sides.")
    assert_refused(path, name=str(path), says="is not a picture")


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_picture_cut_short(tmp_path: Path, kind: str, share: float) -> None:
    data = encode(GREY, kind)
    path = tmp_path / "half"
    path.write_bytes(data[: int(len(data) * share)])
    assert_refused(path, name=str(path), says="cut short|is not a picture")


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (400, 15)])
def test_too_small(size: tuple[int, int]) -> None:
    data = encode(Image.new("L", size), "PNG")
    assert_refused(data, name="dot.png", says=f"is {size[0]}x{size[1]} pixels; at least 16x16")


def huge_picture(kind: str, side: int) -> bytes:
    """A small file whose header says that the picture is huge."""
    if kind == "PNG":
        header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        return png((b"IHDR", header), (b"IDAT", zlib.compress(bytes(99))))
    form = {"BMP": "<ii", "GIF": "<HH"}.get(kind)
    if form:
        return encode(GREY, kind).replace(struct.pack(form, WIDTH, HEIGHT), struct.pack(form, side, side))
    return encode(GREY, kind).replace(b"%d %d" % (WIDTH, HEIGHT), b"%d %d" % (side, side))


@pytest.mark.parametrize("side", [10_001, 20_000])
@pytest.mark.parametrize("kind", ["BMP", "GIF", "PNG", "PPM"])
def test_too_large_is_refused_before_it_takes_memory(kind: str, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: ImageFile.ImageFile) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    assert_refused(huge_picture(kind, side), name="huge", says="more than 100 million pixels")


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_dark_sixteen_bits(kind: str) -> None:
    dark = DEEP >> 4
    dark[0, 0] = 4095
    assert_refused(encode(dark, kind), name="dark", says="12-bit cameras")
    dark[0, 0] = 4096
    assert images.decode(encode(dark, kind)).max() == 16


@pytest.mark.parametrize("mode", ["F", "I"])
def test_other_numbers(mode: str) -> None:
    assert_refused(encode(Image.new(mode, (16, 16), -1), "TIFF"), name="height.tif", says="values of type")


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16, np.int64, np.bool_])
def test_array_of_other_numbers(kind: type) -> None:
    with pytest.raises(ImageError, match="give uint8") as error:
        images.as_grey(GREY.astype(kind))
    assert_sentence(str(error.value), "the array")


@pytest.mark.parametrize(
    "shape", [(), (16,), (16, 16, 2), (16, 16, 5), (3, 16, 16), (2, 16, 16, 3), (0, 16), (16, 0, 3), (8, 16)]
)
def test_array_of_other_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=r"shape|at least") as error:
        images.as_grey(np.zeros(shape, np.uint8), "plate")
    assert_sentence(str(error.value), "plate")


def test_huge_array() -> None:
    with pytest.raises(ImageError, match="million pixels"):
        images.as_grey(np.broadcast_to(np.uint8(0), (20_000, 20_000)))


# Fingerprints and sizes


def test_fingerprint_heeds_pixels_alone() -> None:
    name = images.fingerprint(GREY)
    assert len(name) == 16
    assert int(name, 16) >= 0
    for kind in ("BMP", "PNG"):
        assert images.fingerprint(images.decode(encode(GREY, kind))) == name
    assert images.fingerprint(np.asfortranarray(GREY)) == name


def test_fingerprint_tells_pixels_and_shapes_apart() -> None:
    other = GREY.copy()
    other[-1, -1] ^= 1
    seen = [GREY, other, GREY.T, GREY.reshape(WIDTH, HEIGHT), GREY[:, ::-1], GREY[1:]]
    assert len({images.fingerprint(one) for one in seen}) == len(seen)


def test_resize_to_the_same_size_changes_nothing() -> None:
    np.testing.assert_array_equal(images.resize(GREY, GREY.shape), GREY)


@pytest.mark.parametrize("size", [(16, 16), (48, 40), (7, 100), (12, 20)])
def test_resize(size: tuple[int, int]) -> None:
    assert images.resize(GREY, size).shape == size
    assert images.resize(GREY, size).dtype == np.uint8
    assert np.unique(images.resize(np.full((HEIGHT, WIDTH), 77, np.uint8), size)).tolist() == [77]


def test_shrinking_averages() -> None:
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert_near(images.resize(checks, (16, 16)), np.full((16, 16), 127.5), 8)


def test_resize_keeps_height_and_width_apart() -> None:
    across = np.repeat(np.arange(0, 160, 4, dtype=np.uint8)[None], HEIGHT, axis=0)
    small = images.resize(across, (12, 20))
    assert (small == small[:1]).all()
    assert (np.diff(small[0].astype(int)) > 0).all()


def test_dead_columns_are_filled_from_those_beside_them() -> None:
    steel = synthetic.draw("scratches", 0).pixels
    broken = steel.copy()
    for columns, level in (([0], 255), ([50], 3), ([90, 91], 200), ([199], 0)):
        broken[:, columns] = level
    mended = images.mend_columns(broken)
    changed = np.nonzero((mended != broken).any(axis=0))[0]
    assert set(changed) <= {0, 50, 90, 91, 199}
    assert np.abs(mended.astype(int) - steel).mean() < 0.2 * np.abs(broken.astype(int) - steel).mean()
    assert np.abs(mended[:, 50].astype(float) - steel[:, [49, 51]].mean(axis=1)).max() <= 0.5
    assert np.array_equal(mended[:, 0], steel[:, 1])


def test_what_is_no_dead_column_stays() -> None:
    steel = synthetic.draw("scratches", 0).pixels
    wide, nearly, flat = steel.copy(), steel.copy(), np.full((40, 60), 9, np.uint8)
    wide[:, 20:30] = 255
    nearly[:, 20], nearly[77, 20] = 255, 254
    for grey in (steel, wide, nearly, flat, np.tile(np.arange(60, dtype=np.uint8), (40, 1))):
        assert images.mend_columns(grey) is grey


def test_a_mended_picture_needs_no_more_mending() -> None:
    broken = synthetic.draw("patches", 1).pixels.copy()
    broken[:, [7, 8, 100]] = 128
    mended = images.mend_columns(broken)
    assert images.mend_columns(mended) is mended
