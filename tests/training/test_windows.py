"""Clean steel comes from beside the boxes, in the same part as its picture, and mirroring does not give it away."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from steelsight import images
from steelsight.data import catalog
from steelsight.records import Region, Sample, SteelsightError
from steelsight.runtime.classifier import load
from steelsight.training import windows
from steelsight.training.fit import make_fabric
from steelsight.training.parts import Parts, with_clean_steel
from steelsight.training.run import train
from tests.drawn import draw, quick

SHAPE = (30, 40)


@st.composite
def boxes(draw: st.DrawFn) -> list[Region]:
    found = []
    for _ in range(draw(st.integers(0, 4))):
        x, y = draw(st.integers(0, SHAPE[1] - 1)), draw(st.integers(0, SHAPE[0] - 1))
        found.append(Region("a", x, y, draw(st.integers(1, 50)), draw(st.integers(1, 50))))
    return found


def clear_squares(found: list[Region], side: int) -> list[tuple[int, int]]:
    """By looking at every place, one after another."""

    def touches(box: Region, x: int, y: int) -> bool:
        return box.x < x + side and x < box.x + box.width and box.y < y + side and y < box.y + box.height

    places = [(x, y) for y in range(SHAPE[0] - side + 1) for x in range(SHAPE[1] - side + 1)]
    return [(x, y) for x, y in places if not any(touches(box, x, y) for box in found)]


@given(boxes(), st.integers(1, 30))
def test_the_largest_square_that_no_box_touches_is_found(found: list[Region], least: int) -> None:
    square = windows.largest_clear(found, SHAPE, least)
    largest = max((side for side in range(1, min(SHAPE) + 1) if clear_squares(found, side)), default=0)
    if largest < least:
        assert square is None
    else:
        assert square is not None
        assert square.side == largest
        assert (square.x, square.y) in clear_squares(found, largest)


@given(boxes(), st.integers(1, 30))
def test_a_window_on_a_defect_lies_in_the_picture(found: list[Region], side: int) -> None:
    for box in found:
        square = windows.around(box, side, SHAPE)
        assert 0 <= square.x <= SHAPE[1] - side
        assert 0 <= square.y <= SHAPE[0] - side


def test_a_window_is_mirrored_to_the_size_of_its_picture() -> None:
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5)
    shown = windows.mirrored(grey, windows.Square(1, 2, 2))
    np.testing.assert_array_equal(
        shown, [[11, 12, 12, 11, 11], [16, 17, 17, 16, 16], [16, 17, 17, 16, 16], [11, 12, 12, 11, 11]]
    )


def test_steel_beside_a_box_is_clean_and_the_box_is_shown_too(tmp_path: Path) -> None:
    picture = np.full((64, 64), 100, np.uint8)
    picture[4:20, 4:20] = 250
    Image.fromarray(picture).save(tmp_path / "a.png")
    sample = Sample(tmp_path / "a.png", "patches", (Region("patches", 4, 4, 16, 16),))
    clean, defects = windows.find([sample], "clean", 32, tmp_path / "windows")
    windows.write([*clean, *defects])
    assert [window.sample.label for window in (*clean, *defects)] == ["clean", "patches"]
    plain, marked = (images.decode(window.sample.path) for window in (*clean, *defects))
    assert plain.shape == marked.shape == (64, 64)
    assert set(np.unique(plain)) == {100}
    assert 250 in marked


def test_a_class_of_clean_steel_keeps_its_name_and_gives_no_windows(tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 64), 100, np.uint8)).save(tmp_path / "a.png")
    found = [
        Sample(tmp_path / "a.png", "ok", (Region("ok", 0, 0, 4, 4),)),
        Sample(tmp_path / "a.png", "patches", (Region("patches", 0, 0, 4, 4),)),
    ]
    clean, _ = windows.find(found, windows.clean_label(found), 32, tmp_path)
    assert [window.sample.label for window in clean] == ["ok"]


def test_a_box_counts_as_far_as_it_lies_in_its_picture(tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 64), 100, np.uint8)).save(tmp_path / "a.png")
    beyond, across = Region("patches", 100, 100, 20, 20), Region("patches", 60, 0, 20, 64)
    for boxes_of_one, side in (((beyond,), None), ((beyond, across), 60)):
        clean, _ = windows.find([Sample(tmp_path / "a.png", "patches", boxes_of_one)], "clean", 16, tmp_path)
        assert [window.square.side for window in clean] == ([] if side is None else [side])


def test_clean_steel_has_one_name_in_all_parts_and_is_tested_apart(tmp_path: Path) -> None:
    """Where the training part alone shows clean steel by itself."""
    samples = draw(tmp_path / "steel", per_class=6)
    ok = [replace(sample, label="ok") if sample.label == "clean" else sample for sample in samples]
    own = [sample for sample in catalog.read(tmp_path / "steel").samples if sample.boxes]
    clean = [sample for sample in ok if sample.label == "ok"]
    before = Parts(tmp_path, (*clean, *own[::3]), tuple(own[1::3]), tuple(own[2::3]), "drawn")
    parts = with_clean_steel(before, 16, tmp_path / "windows", make_fabric(quick()))
    assert parts.test == before.test
    assert {sample.label for sample in parts.clean} == {"ok"}
    assert parts.classes == before.classes
    assert {sample.label for sample in parts.validation} <= set(parts.classes)


def test_windows_stay_in_the_part_of_their_picture(tmp_path: Path) -> None:
    draw(tmp_path / "steel", per_class=8)
    out = tmp_path / "run"
    assert train(tmp_path / "steel", quick(clean_windows=16, validation_share=0.3), out, Console(quiet=True))
    sources = {sample.path.stem for sample in catalog.read(tmp_path / "steel").samples if sample.boxes}
    by_part = {
        part: {file.stem.partition("-")[2] for file in (out / "windows" / part).rglob("*.png")}
        for part in ("training", "validation")
    }
    assert by_part["training"]
    assert by_part["validation"]
    assert not by_part["training"] & by_part["validation"]
    assert by_part["training"] | by_part["validation"] <= sources
    assert "clean" in load(out).classes


def test_without_boxes_a_sentence_says_what_is_missing(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / "steel" / label).mkdir(parents=True)
        for number in range(4):
            noise = np.random.default_rng(number).integers(0, 256, (64, 64), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "steel" / label / f"{number}.png")
    with pytest.raises(SteelsightError, match="clean_windows"):
        train(tmp_path / "steel", quick(clean_windows=16), tmp_path / "run", Console(quiet=True))
