from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelsight.data import synthetic
from steelsight.images import decode
from steelsight.records import Region, SteelsightError

Features = npt.NDArray[np.float64]

LABELS = st.sampled_from(synthetic.CLASSES)
SEEDS = st.integers(0, 2**40)
SIZES = st.sampled_from((32, 33, 64, 200))


@given(LABELS, SEEDS, SIZES)
@settings(max_examples=60, deadline=None)
def test_the_same_arguments_give_the_same_drawing_whatever_was_drawn_between(label: str, seed: int, size: int) -> None:
    first = synthetic.draw(label, seed, size)
    synthetic.draw("patches", seed + 1, 32)
    second = synthetic.draw(label, seed, size)
    np.testing.assert_array_equal(first.pixels, second.pixels)
    np.testing.assert_array_equal(first.mask, second.mask)
    assert first.boxes == second.boxes


@given(LABELS, SEEDS, SIZES)
@settings(max_examples=100, deadline=None)
def test_boxes_lie_in_the_picture_and_hold_every_pixel_of_the_mask(label: str, seed: int, size: int) -> None:
    drawing = synthetic.draw(label, seed, size)
    assert drawing.pixels.shape == drawing.mask.shape == (size, size)
    assert drawing.pixels.dtype == np.uint8
    boxed = np.zeros_like(drawing.mask)
    for box in drawing.boxes:
        assert box.label == label
        assert 0 <= box.x < box.x + box.width <= size
        assert 0 <= box.y < box.y + box.height <= size
        boxed |= _inside(box, size)
    assert not (drawing.mask & ~boxed).any()


@given(LABELS, SEEDS, SIZES)
@settings(max_examples=100, deadline=None)
def test_every_box_is_drawn_tight_and_only_clean_steel_has_none(label: str, seed: int, size: int) -> None:
    drawing = synthetic.draw(label, seed, size)
    assert (not drawing.boxes) == (label == "clean") == (not drawing.mask.any())
    for box in drawing.boxes:
        inside = drawing.mask[box.y : box.y + box.height, box.x : box.x + box.width]
        assert inside[0].any()
        assert inside[-1].any()
        assert inside[:, 0].any()
        assert inside[:, -1].any()


def test_marks_under_the_mask_differ_in_grey_from_the_steel_around_them() -> None:
    for label in synthetic.CLASSES[1:]:
        for seed in range(6):
            drawing = synthetic.draw(label, seed)
            marked, bare = drawing.pixels[drawing.mask], drawing.pixels[~drawing.mask]
            assert abs(marked.mean() - bare.mean()) > 0.5 * bare.std(), (label, seed)


def test_other_seeds_and_other_sizes_give_other_pictures() -> None:
    pictures = {synthetic.draw("clean", seed, 64).pixels.tobytes() for seed in range(20)}
    assert len(pictures) == 20
    assert synthetic.draw("crazing", 0, 96).pixels.shape == (96, 96)


def test_mean_and_deviation_of_the_grey_levels_do_not_give_the_class_away() -> None:
    pictures, labels = _pictures(per_class=30, size=64)
    features = _scaled(np.stack([pictures.mean(axis=(1, 2)), pictures.std(axis=(1, 2))], axis=1))
    distances = np.square(features[:, np.newaxis] - features).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    accuracy = (labels[distances.argmin(axis=1)] == labels).mean()
    assert accuracy < 0.3, accuracy  # chance is 0.14


def test_simple_texture_tells_the_classes_apart() -> None:
    pictures, labels = _pictures(per_class=24, size=200)
    features = _scaled(_texture(pictures))
    learn = np.arange(len(labels)) % 2 == 0
    centres = np.stack([features[learn & (labels == label)].mean(axis=0) for label in range(len(synthetic.CLASSES))])
    distances = np.square(features[~learn, np.newaxis] - centres).sum(axis=2)
    accuracy = (distances.argmin(axis=1) == labels[~learn]).mean()
    assert accuracy > 0.5, accuracy  # chance is 0.14


def test_the_folder_has_the_layout_of_neu_det_and_reads_back(tmp_path: Path) -> None:
    samples = synthetic.write(tmp_path / "new" / "steel", per_class=2, seed=3, size=48)
    assert [sample.path.name for sample in samples[:4]] == [
        "clean_1.png",
        "clean_2.png",
        "crazing_1.png",
        "crazing_2.png",
    ]
    assert len(samples) == 2 * len(synthetic.CLASSES)
    for sample in samples:
        folder, name = sample.path.parent.parent, sample.path.stem
        assert sample.path == tmp_path / "new" / "steel" / "IMAGES" / f"{name}.png"
        picture, mask = decode(sample.path), decode(folder / "MASKS" / f"{name}.png")
        assert picture.shape == mask.shape == (48, 48)
        assert set(np.unique(mask)) <= {0, 255}
        assert mask.any() == bool(sample.boxes)
        annotation = ET.parse(folder / "ANNOTATIONS" / f"{name}.xml").getroot()
        assert annotation.findtext("filename") == sample.path.name
        assert [annotation.findtext(f"size/{side}") for side in ("width", "height", "depth")] == ["48", "48", "1"]
        assert tuple(_region(entry) for entry in annotation.iter("object")) == sample.boxes


def test_a_picture_does_not_depend_on_how_many_and_which_classes_are_written(tmp_path: Path) -> None:
    few = synthetic.write(tmp_path / "few", per_class=1, size=32, classes=("scratches",))
    many = synthetic.write(tmp_path / "many", per_class=3, size=32)
    first = next(sample for sample in many if sample.path.name == "scratches_1.png")
    assert first.path.read_bytes() == few[0].path.read_bytes()
    assert first.boxes == few[0].boxes


def test_no_two_pictures_of_neighbouring_seeds_are_equal(tmp_path: Path) -> None:
    samples = [
        sample
        for seed in range(3)
        for sample in synthetic.write(tmp_path / str(seed), per_class=3, seed=seed, size=32, classes=("clean",))
    ]
    assert len({decode(sample.path).tobytes() for sample in samples}) == 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label": "scratchs"}, "'scratchs' is not a class that can be drawn; did you mean scratches"),
        ({"label": "rust"}, "did you mean clean or crazing or inclusion or"),
        ({"seed": -1}, "The seed -1 is negative; give 0 or more."),
        ({"size": 31}, "A side of 31 pixels is too small to draw on; give at least 32."),
    ],
)
def test_a_wrong_argument_of_draw_is_refused_in_a_sentence(arguments: dict[str, str | int], message: str) -> None:
    with pytest.raises(SteelsightError) as refusal:
        synthetic.draw(**({"label": "clean", "seed": 0} | arguments))
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "arguments",
    [{"per_class": 0}, {"per_class": 1_000_001}, {"seed": -1}, {"size": 31}, {"classes": ("clean", "scratchs")}],
)
def test_a_wrong_argument_of_write_is_refused_before_anything_is_written(tmp_path: Path, arguments) -> None:
    with pytest.raises(SteelsightError):
        synthetic.write(tmp_path / "steel", **({"per_class": 1} | arguments))
    assert not (tmp_path / "steel").exists()


def test_a_folder_that_cannot_be_made_is_named_in_a_sentence(tmp_path: Path) -> None:
    occupied = tmp_path / "steel"
    occupied.write_text("a file")
    with pytest.raises(SteelsightError, match=r"steel: cannot be written \(.+\); name a folder that you may write to"):
        synthetic.write(occupied, per_class=1, size=32)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("name", ["IMAGES/clean_1.png", "MASKS/clean_1.png", "ANNOTATIONS/clean_1.xml"])
def test_a_full_disk_is_named_in_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(SteelsightError, match=r"cannot be written \(.+\); name a folder .+, with free space\.$"):
        synthetic.write(tmp_path, per_class=1, size=32)


def _inside(box: Region, size: int) -> npt.NDArray[np.bool_]:
    rows, columns = np.mgrid[0:size, 0:size]
    return (columns >= box.x) & (columns < box.x + box.width) & (rows >= box.y) & (rows < box.y + box.height)


def _region(entry: ET.Element) -> Region:
    """Corners of Pascal VOC count from 1 and belong to the box."""
    left, top, right, bottom = (int(entry.findtext(f"bndbox/{side}", "")) for side in ("xmin", "ymin", "xmax", "ymax"))
    return Region(entry.findtext("name", ""), left - 1, top - 1, right - left + 1, bottom - top + 1)


def _pictures(per_class: int, size: int) -> tuple[Features, npt.NDArray[np.int_]]:
    pictures = [synthetic.draw(label, seed, size).pixels for label in synthetic.CLASSES for seed in range(per_class)]
    return np.stack(pictures).astype(float), np.repeat(np.arange(len(synthetic.CLASSES)), per_class)


def _scaled(features: Features) -> Features:
    return (features - features.mean(axis=0)) / features.std(axis=0)


def _texture(pictures: Features) -> Features:
    """Deviation, skew and kurtosis of pictures (n, 200, 200) averaged over blocks of several shapes, brightness and
    contrast taken out first."""
    count, side, _ = pictures.shape
    pictures = pictures / pictures.std(axis=(1, 2), keepdims=True)
    features = []
    for rows, columns in ((2, 2), (4, 4), (10, 10), (2, 20), (20, 2), (1, 100), (100, 1)):
        blocks = pictures.reshape(count, side // rows, rows, side // columns, columns).mean(axis=(2, 4))
        blocks -= blocks.mean(axis=(1, 2), keepdims=True)
        deviation = blocks.std(axis=(1, 2))
        skew, kurtosis = ((blocks**power).mean(axis=(1, 2)) / deviation**power for power in (3, 4))
        features += [deviation, np.arctan(skew), np.log(kurtosis)]
    return np.stack(features, axis=1)
