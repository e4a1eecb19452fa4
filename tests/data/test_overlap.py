from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from steelsight.data import synthetic
from steelsight.data.anchors import BITS, Anchors, detect
from steelsight.data.matching import by_anchors
from steelsight.data.overlap import FINE, Overlap, evidence, find, groups, placed, shared
from steelsight.images import ImageError, decode
from steelsight.records import GreyImage

POSES = [(mirrored, turn) for mirrored in (False, True) for turn in range(4)]
FRAME = (255, 40, 40)


def drawn(label: str = "pitted_surface", seed: int = 0, size: int = 200) -> GreyImage:
    return synthetic.draw(label, seed, size).pixels


def turned(picture: GreyImage, mirrored: bool, turn: int) -> GreyImage:
    return np.rot90(picture[:, ::-1] if mirrored else picture, turn)


def saved(picture: GreyImage, quality: int) -> GreyImage:
    """The picture as it comes back from a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(file, "JPEG", quality=quality)
    return decode(file.getvalue())


def crops(seed: int, frames: int = 8, each: int = 5, side: int = 100) -> tuple[list[GreyImage], list[int]]:
    """Chains of crops of drawn steel, the next one overlapping the last, shuffled; and the frame of each crop."""
    rng = np.random.default_rng(seed)
    cut = []
    for frame in range(frames):
        steel = drawn(synthetic.CLASSES[frame % len(synthetic.CLASSES)], frame, 300)
        for number in range(each):
            x, y = 40 * number + rng.integers(0, 15), rng.integers(60, 120)
            crop = turned(steel[y : y + side, x : x + side], bool(rng.integers(2)), int(rng.integers(4)))
            cut.append((crop, frame))
    order = rng.permutation(len(cut))
    return [cut[n][0] for n in order], [cut[n][1] for n in order]


def partition(numbers: Sequence[int]) -> set[frozenset[int]]:
    """Which pictures are together, whatever their group is called."""
    return {frozenset(n for n, other in enumerate(numbers) if other == number) for number in numbers}


@pytest.mark.parametrize(("mirrored", "turn"), POSES)
def test_an_overlap_says_how_the_second_picture_lies_on_the_first(mirrored: bool, turn: int) -> None:
    steel = drawn()
    first, lies = steel[30:150, 20:180], steel[70:190, 5:105]
    second = turned(lies, mirrored, turn)
    # what was turned to be stored is turned back to be laid; a mirror image undoes itself
    back = turn if mirrored else -turn % 4
    expected = Overlap(0, 1, back, mirrored, dx=-15, dy=40, area=80 * 85, exact=True)
    assert find([first, second]) == [expected]
    np.testing.assert_array_equal(placed(second, expected), lies)
    for view in shared(first, second, expected):
        np.testing.assert_array_equal(view, steel[70:150, 20:105])


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_the_shared_pixels_come_back_from_any_crop_turn_and_shift(data: st.DataObject) -> None:
    steel = drawn("patches", data.draw(st.integers(0, 20)))
    corner, side = st.integers(0, 70), st.integers(80, 130)
    boxes = [[data.draw(span) for span in (corner, corner, side, side)] for _ in range(2)]
    cut = [steel[y : y + high, x : x + wide] for x, y, wide, high in boxes]
    pictures = [turned(crop, *data.draw(st.sampled_from(POSES))) for crop in cut]
    (left, top, wide, high), (x, y, width, height) = boxes
    across = min(left + wide, x + width) - max(left, x)
    down = min(top + high, y + height) - max(top, y)
    assume(min(across, down) >= 20)
    (overlap,) = find(pictures, tolerant=False)
    ours, theirs = shared(*pictures, overlap)
    np.testing.assert_array_equal(ours, theirs)
    assert overlap.exact
    assert overlap.area == ours.size == across * down


@pytest.mark.parametrize("label", synthetic.CLASSES)
def test_a_copy_is_found_whatever_the_steel_shows(label: str) -> None:
    picture = drawn(label)
    assert find([picture, picture.copy()]) == [Overlap(0, 1, 0, False, 0, 0, picture.size, exact=True)]


def test_pictures_of_different_sizes_may_lie_inside_one_another() -> None:
    large = drawn("scratches", 3)
    small, tiny = large[50:90, 110:190], large[60:80, 120:144]
    assert find([large, small, tiny]) == [
        Overlap(0, 1, 0, False, 110, 50, 40 * 80, exact=True),
        Overlap(0, 2, 0, False, 120, 60, 20 * 24, exact=True),
        Overlap(1, 2, 0, False, 10, 10, 20 * 24, exact=True),
    ]


def test_narrow_strips_are_found() -> None:
    steel = drawn()
    assert find([steel[:, :108], steel[:, 92:]]) == [Overlap(0, 1, 0, False, 92, 0, 200 * 16, exact=True)]


def test_flat_pictures_and_specks_on_white_do_not_pair_up() -> None:
    flat = np.full((100, 100), 128, np.uint8)
    white = np.full((100, 100), 255, np.uint8)
    pictures = [flat, flat, white, white]
    for row, column in ((30, 40), (55, 61)):
        speck = white.copy()
        speck[row : row + 3, column : column + 3] = [[90, 120, 200], [40, 20, 150], [90, 60, 220]]
        pictures.append(speck)
    stripes = np.broadcast_to(np.arange(100, dtype=np.uint8) % 17 * 10, (100, 100))
    assert find([*pictures, stripes, stripes[:, 34:]]) == []


def test_level_tops_as_of_overexposed_steel_hold_no_anchors() -> None:
    picture = np.full((100, 100), 60, np.uint8)
    picture[20:80, 20:80] = 255
    assert len(detect(picture, FINE).code) == 0
    picture[50, 50] = 254
    assert len(detect(picture, FINE).code) == 1


def test_one_changed_pixel_makes_the_overlap_inexact_and_unseen_where_pixels_have_to_be_equal() -> None:
    steel = drawn()
    changed = steel[:, 60:].copy()
    changed[100, 50] ^= 1
    pictures = [steel[:, :150], changed]
    assert find(pictures, tolerant=False) == []
    assert find(pictures) == [Overlap(0, 1, 0, False, 60, 0, 200 * 90, exact=False)]


def test_groups_of_drawn_crops_come_back_exactly() -> None:
    pictures, frames = crops(1)
    assert partition(groups(len(pictures), find(pictures))) == partition(frames)


def test_drawn_pictures_that_share_nothing_do_not_pair_up() -> None:
    assert find([drawn(synthetic.CLASSES[n % 7], n, 100) for n in range(200)]) == []


def test_chance_matches_of_a_picture_hardly_grow_with_the_number_of_pictures() -> None:
    def by_chance(pictures: int, each: int = 200) -> float:
        """Ways for each picture where anchors have nothing to do with one another."""
        rng = np.random.default_rng(0)
        code = rng.integers(0, 1 << BITS, pictures * each, np.uint64) << np.uint64(64 - BITS)
        pose = rng.integers(0, 8, len(code), np.uint8)
        row, column = rng.integers(0, 200, (2, len(code)), np.int32)
        owners = np.repeat(np.arange(pictures, dtype=np.int32), each)
        sizes = np.full((pictures, 2), 200, np.int32)
        return len(by_anchors(Anchors(code, pose, row, column), owners, sizes, tolerant=True)) / pictures

    assert 0 < by_chance(4_000) < 3 * by_chance(250)


@pytest.mark.parametrize("quality", [75, 94])
def test_crops_saved_as_jpeg_are_found_where_they_were_before(quality: int) -> None:
    pictures, frames = crops(2)
    before = {(one.first, one.second): one for one in find(pictures, tolerant=False)}
    after = find([saved(picture, quality) for picture in pictures])
    assert all(frames[one.first] == frames[one.second] for one in after)
    same = [one for one in after if before.get((one.first, one.second)) == replace(one, exact=True)]
    assert len(same) == len(after)
    assert len(same) >= 0.95 * len(before) > 0


def test_pairs_without_an_anchor_in_common_follow_from_others() -> None:
    steel = drawn()
    upper_left, lower_right = steel[:107, :107], steel[95:, 95:]
    assert find([upper_left, lower_right], tolerant=False) == []
    found = find([upper_left, steel[40:160, 40:160].T, lower_right], tolerant=False)
    pairs = {(one.first, one.second): one for one in found}
    assert pairs[0, 2] == Overlap(0, 2, 0, False, 95, 95, 12 * 12, exact=True)


def test_groups_are_transitive_and_numbered_as_they_appear() -> None:
    def link(first: int, second: int) -> Overlap:
        return Overlap(first, second, 0, False, 0, 0, 400, exact=True)

    assert groups(7, [link(4, 6), link(1, 3), link(3, 6)]) == [0, 1, 2, 1, 1, 3, 1]
    assert groups(3, []) == [0, 1, 2]
    assert groups(0, []) == []


def test_the_evidence_frames_the_shared_area_in_both_pictures() -> None:
    first, second = np.full((40, 50), 10, np.uint8), np.full((60, 30), 200, np.uint8)
    overlap = Overlap(0, 1, 1, True, dx=-20, dy=15, area=0, exact=True)
    sheet = np.asarray(evidence(first, second, overlap))
    assert sheet.shape == (40, 50 + 8 + 60, 3)
    framed = (sheet == FRAME).all(axis=2)
    expected = np.zeros_like(framed)
    # the second is 60 wide and 30 high as it lies: 40x25 pixels are shared
    for x, y in ((0, 15), (58 + 20, 0)):
        expected[y : y + 25, x : x + 40] = True
        expected[y + 1 : y + 24, x + 1 : x + 39] = False
    np.testing.assert_array_equal(framed, expected)
    assert (sheet[~framed[:, :50].any(axis=1), :50] == 10).all()
    assert (sheet[28, 60] == 200).all()


def test_files_are_read_progress_is_told_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    steel = drawn()
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    Image.fromarray(steel).save(paths[0])
    Image.fromarray(np.ascontiguousarray(steel[50:].T)).save(paths[1])
    told: list[tuple[str, int, int]] = []
    found = find(paths, on_progress=lambda *step: told.append(step))
    assert found == [Overlap(0, 1, 1, True, 0, 50, 150 * 200, exact=True)]
    assert told[:3] == [("reading", 1, 2), ("reading", 2, 2), ("comparing", 1, 1)]
    paths[1].write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"b\.png"):
        find(paths)


def test_no_pictures_have_no_overlaps() -> None:
    assert find([]) == []
    assert find([drawn()]) == []


@pytest.fixture(scope="module")
def neu_paths(neu: Path) -> list[Path]:
    return sorted((neu / "neu-cls").glob("*.bmp"))


def test_on_neu_cls_no_known_group_is_cut_and_every_exact_pair_shares_its_pixels(
    neu: Path, neu_paths: list[Path]
) -> None:
    found = find(neu_paths, tolerant=False)
    pictures = [decode(path) for path in neu_paths]
    for overlap in found:
        ours, theirs = shared(pictures[overlap.first], pictures[overlap.second], overlap)
        np.testing.assert_array_equal(ours, theirs)
        assert ours.size == overlap.area
    number = dict(zip((path.stem for path in neu_paths), groups(len(neu_paths), found), strict=True))
    with (neu / "neu-cls-groups.csv").open(newline="") as file:
        known = {row["image"]: row["group"] for row in csv.DictReader(file)}
    assert len({(known[name], number[name]) for name in known}) == len(set(known.values()))
    pairs = {(neu_paths[one.first].stem, neu_paths[one.second].stem): one for one in found}
    assert pairs["Pa_101", "Pa_105"].area == 200 * 200
    shift = pairs["Cr_1", "Cr_2"]
    assert (shift.dx, shift.dy, shift.turn, shift.mirrored) == (-85, 0, 0, False)


def test_on_neu_det_the_pairs_of_neu_cls_are_found_again(neu: Path, neu_paths: list[Path]) -> None:
    kinds = {"Cr": "crazing", "RS": "rolled-in_scale"}
    chosen = [path for path in neu_paths if path.stem[:2] in kinds]
    copies = [neu / "neu-det" / "IMAGES" / f"{kinds[path.stem[:2]]}{path.stem[2:]}.jpg" for path in chosen]
    before = {(one.first, one.second) for one in find(chosen)}
    after = {(one.first, one.second) for one in find(copies)}
    assert len(after & before) >= 0.95 * len(before)
    assert len(after - before) <= 0.01 * len(after)
