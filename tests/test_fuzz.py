"""Damaged files, as chance makes them: each is read or refused in one sentence, and nothing else happens."""

from __future__ import annotations

import csv
import io
import resource
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies
from PIL import Image

from steelsight import images
from steelsight.data import catalog
from steelsight.records import GreyImage, SteelsightError

MEMORY_ALLOWED = 1_500_000_000
"""A picture of 100 million pixels in colour takes a third of this to decode."""


def cases(count: int) -> settings:
    return settings(
        max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )


@pytest.fixture(scope="module", autouse=True)
def bounded_memory() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < MEMORY_ALLOWED  # Linux counts in units of 1024 bytes


# Files that are sound


def encode(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def sound_pictures() -> list[bytes]:
    dice = np.random.default_rng(0)
    grey = Image.fromarray(dice.integers(0, 256, (20, 24), np.uint8))
    colour = Image.fromarray(dice.integers(0, 256, (20, 24, 4), np.uint8))
    deep = Image.fromarray(dice.integers(0, 65536, (20, 24), np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        *(encode(grey, kind) for kind in ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")),
        *(encode(colour.convert("RGB"), kind) for kind in ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")),
        *(encode(colour, kind) for kind in ("BMP", "PNG", "TIFF", "WEBP")),
        *(encode(colour.convert("P"), kind) for kind in ("BMP", "GIF", "PNG", "TIFF")),
        *(encode(grey.convert("1"), kind) for kind in ("BMP", "PNG", "PPM", "TIFF")),
        *(encode(deep, kind) for kind in ("PNG", "PPM", "TIFF")),
        *(encode(grey, kind, exif=exif.tobytes()) for kind in ("JPEG", "PNG", "TIFF", "WEBP")),
        *(encode(grey, "TIFF", compression=name) for name in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg")),
        *(
            encode(grey, kind, save_all=True, append_images=[grey.rotate(180)])
            for kind in ("GIF", "PNG", "TIFF", "WEBP")
        ),
        encode(grey.convert("1"), "TIFF", compression="group4"),
        encode(colour.convert("CMYK"), "JPEG"),
        encode(colour.convert("CMYK"), "TIFF"),
        encode(grey.convert("F"), "TIFF"),
        encode(grey.convert("I"), "TIFF"),
        encode(grey, "JPEG", progressive=True),
        b"P2 16 16 15 " + b"7 " * 256,
        b"P1 16 16 " + b"1 0 " * 128,
    ]


PICTURES = sound_pictures()


# What damages them


@st.composite
def damaged(draw: st.DrawFn, sound: list[bytes]) -> bytes:
    data = bytearray(draw(st.sampled_from(sound)))
    for damage in draw(st.lists(st.sampled_from(DAMAGES), min_size=1, max_size=3)):
        damage(draw, data, sound)
    return with_checksums(bytes(data)) if draw(st.booleans()) else bytes(data)


def place(draw: st.DrawFn, data: bytearray, *, in_header: bool = False) -> int:
    return draw(st.integers(0, min(len(data), 96) if in_header else len(data)))


def flip(draw: st.DrawFn, data: bytearray, _: list[bytes]) -> None:
    in_header = draw(st.booleans())
    for _each in range(draw(st.integers(1, 6))):
        at = place(draw, data, in_header=in_header)
        data[at : at + 1] = bytes([draw(st.integers(0, 255))])


def truncate(draw: st.DrawFn, data: bytearray, _: list[bytes]) -> None:
    del data[len(data) - place(draw, data) :]


def remove(draw: st.DrawFn, data: bytearray, _: list[bytes]) -> None:
    at = place(draw, data)
    del data[at : at + draw(st.integers(1, 40))]


def insert(draw: st.DrawFn, data: bytearray, _: list[bytes]) -> None:
    at = place(draw, data)
    data[at:at] = draw(st.binary(min_size=1, max_size=40))


def splice(draw: st.DrawFn, data: bytearray, sound: list[bytes]) -> None:
    at = place(draw, data, in_header=True)
    other = draw(st.sampled_from(sound))
    data[:at] = other[: draw(st.integers(0, min(len(other), 96)))]


def resize(draw: st.DrawFn, data: bytearray, _: list[bytes]) -> None:
    """Writes a number of the kind that sizes and offsets are."""
    at = place(draw, data, in_header=True)
    number = draw(st.sampled_from([0, 1, 15, 17, 255, 4096, 9_999, 20_000, 65_535, 2**31 - 1, 2**31, 2**32 - 1]))
    packed = struct.pack(
        draw(st.sampled_from("<>")) + ("I" if number > 65_535 else draw(st.sampled_from("HI"))), number
    )
    data[at : at + len(packed)] = packed


DAMAGES = [flip, flip, flip, truncate, remove, insert, splice, resize, resize]


def with_checksums(data: bytes) -> bytes:
    """A PNG with its checksums mended, so that the damage reaches what lies behind them; other data as they are."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    mended, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        body = data[at + 4 : at + 8 + length]
        mended += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return bytes(mended)


# Pictures


def outcome(act: Callable[..., Any], *arguments: Any) -> Any:
    """What comes back, or the sentence of the refusal."""
    try:
        return act(*arguments)
    except SteelsightError as error:
        return str(error)


def assert_picture_or_sentence(found: GreyImage | str, name: str) -> None:
    if isinstance(found, str):
        assert found.startswith(f"{name}: ")
        assert found.endswith(".")
    else:
        assert found.dtype == np.uint8
        assert found.ndim == 2
        assert min(found.shape) >= images.MIN_SIDE
        assert found.size <= images.MAX_PIXELS


def test_sound_pictures_are_read() -> None:
    refused = [data for data in PICTURES if isinstance(outcome(images.decode, data), str)]
    assert [Image.open(io.BytesIO(data)).mode for data in refused] == ["F", "I"]


@cases(3200)
@given(damaged(PICTURES))
def test_damaged_pictures(data: bytes) -> None:
    assert_picture_or_sentence(outcome(images.decode, data, "some.png"), "some.png")


@cases(200)
@given(st.binary(max_size=300))
def test_bytes_that_never_were_a_picture(data: bytes) -> None:
    assert_picture_or_sentence(outcome(images.decode, data, "some.png"), "some.png")


def test_damaged_real_pictures(neu: Path) -> None:
    names = ("neu-cls/Cr_1.bmp", "neu-cls/Sc_300.bmp", "neu-det/IMAGES/inclusion_7.jpg")
    real = [(neu / name).read_bytes() for name in names]

    @cases(300)
    @given(damaged(real))
    def check(data: bytes) -> None:
        assert_picture_or_sentence(outcome(images.decode, data, "some.png"), "some.png")

    check()


@cases(300)
@given(
    numpy_strategies.arrays(
        numpy_strategies.scalar_dtypes(), numpy_strategies.array_shapes(min_dims=0, max_dims=4, max_side=20)
    )
)
def test_arrays_of_any_kind(pixels: np.ndarray) -> None:
    found = outcome(images.as_grey, pixels, "plate")
    assert_picture_or_sentence(found, "plate")
    assert isinstance(found, str) or found.shape == pixels.shape[:2]


# Catalogs


def assert_catalog_or_sentence(path: Path) -> None:
    found = outcome(catalog.read, path)
    if isinstance(found, str):
        assert found.startswith(str(path))
        assert found.endswith(".")
    else:
        assert found.samples
        assert all(sample.path.is_file() and sample.label for sample in found.samples)
        assert found.classes == tuple(sorted({sample.label for sample in found.samples}))
        assert all(problem.endswith(".") for problem in found.problems)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        for inside in ("a.png", "b.png", "sub/c.png"):
            (Path(name) / inside).parent.mkdir(exist_ok=True)
            (Path(name) / inside).touch()
        yield Path(name)


WORDS = st.sampled_from(
    ["image", "label", "part", "split", "Image ", "a.png", "./a.png", "sub\\c.png", "b.png", "train"]
)


@cases(500)
@given(
    rows=st.lists(st.lists(WORDS | st.text(max_size=20), max_size=5), max_size=6),
    header=st.sampled_from([[], ["image", "label"], ["label", "split", "image"], ["image", "label", "part", "image"]]),
    separator=st.sampled_from(",;\t"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
)
def test_manifests(folder: Path, rows: list[list[str]], header: list[str], separator: str, encoding: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows([header, *rows])
    (folder / "labels.csv").write_bytes(text.getvalue().encode(encoding, "replace"))
    assert_catalog_or_sentence(folder / "labels.csv")


@cases(300)
@given(damaged([b"image,label,part\na.png,rust,train\nb.png,dent,\nsub/c.png,rust,val\n", b'image;label\n"a.png";x\n']))
def test_damaged_manifests(folder: Path, data: bytes) -> None:
    (folder / "labels.csv").write_bytes(data)
    assert_catalog_or_sentence(folder / "labels.csv")


XML = b"""<annotation><size><width>200</width></size><object><name>crazing</name><bndbox><xmin>2</xmin><ymin>3</ymin>
<xmax>193</xmax><ymax>194</ymax></bndbox></object><object><name>patches</name></object></annotation>"""
MARKUP = st.sampled_from(
    [
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
        b"<?xml version='1.0' encoding='utf-7'?>",
        b"<?xml version='1.0' encoding='cp037'?>",
        b"<object>" * 2000,
        b"<![CDATA[",
        b"9" * 5000,
        b"-1e999",
        b"nan",
        b"&b;",
        b"&#0;",
        b"\xff\xfe",
    ]
)


@cases(400)
@given(data=damaged([XML]), markup=MARKUP, at=st.integers(0, len(XML)), is_first=st.booleans())
def test_damaged_annotations(folder: Path, data: bytes, markup: bytes, at: int, is_first: bool) -> None:
    for inside in ("det/IMAGES", "det/ANNOTATIONS"):
        (folder / inside).mkdir(parents=True, exist_ok=True)
    (folder / "det/IMAGES/crazing_1.jpg").touch()
    (folder / "det/ANNOTATIONS/crazing_1.xml").write_bytes(
        markup + data if is_first else data[:at] + markup + data[at:]
    )
    found = catalog.read(folder / "det")
    (sample,) = found.samples
    assert sample.label == "crazing"
    assert all(box.label and box.x >= 0 and box.y >= 0 and box.width > 0 and box.height > 0 for box in sample.boxes)
    assert all(problem.endswith(".") for problem in found.problems)


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40)


@cases(100)
@given(st.lists(st.tuples(NAMES, NAMES | NAMES.map(lambda name: name + ".PNG")), max_size=5))
def test_odd_names(names: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        for label, file in names:
            if {label, file}.isdisjoint({".", ".."}):
                (Path(name) / label).mkdir(exist_ok=True)
                (Path(name) / label / file).touch()
        assert_catalog_or_sentence(Path(name))
        for found in catalog.pictures([Path(name), *(Path(label) / file for label, file in names)]):
            assert isinstance(found, Path | SteelsightError)
