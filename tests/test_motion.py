"""Motion blur is found and taken out, and nothing else is touched."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as drawn_arrays
from scipy import ndimage

from steelsight import images, motion
from steelsight.data import catalog
from steelsight.data.synthetic import CLASSES, draw
from steelsight.evaluation.harsh import corrupt
from steelsight.records import GreyImage

LENGTHS = (5, 9)


def moved(grey: GreyImage, rows: int) -> GreyImage:
    """The mean of each pixel and those below it that it moves over; what enters from below is the picture, mirrored."""
    tall = np.pad(grey.astype(np.float64), ((0, rows - 1), (0, 0)), mode="symmetric")
    shifted = np.roll(np.mean([tall[at : at + len(grey)] for at in range(rows)], axis=0), (rows - 1) // 2, axis=0)
    return np.rint(shifted).astype(np.uint8)


def missed_by(one: GreyImage, other: GreyImage) -> float:
    return float(np.abs(one[32:-32].astype(float) - other[32:-32]).mean())


@pytest.mark.parametrize("rows", LENGTHS)
def test_the_length_is_found_or_nothing_and_the_picture_becomes_sharper(rows: int) -> None:
    sharp = [draw(label, seed, 200).pixels for label in CLASSES for seed in range(3)]
    blurred = [moved(grey, rows) for grey in sharp]
    lengths = [motion.blurred_rows(grey) for grey in blurred]
    assert set(lengths) <= {0, rows}  # 0: the noise of the drawn camera hides it
    assert sum(map(bool, lengths)) >= len(sharp) / 3
    for was, grey, found in zip(sharp, blurred, lengths, strict=True):
        assert not found or missed_by(motion.sharpened(grey), was) < 0.6 * missed_by(grey, was)


@pytest.mark.parametrize("label", CLASSES)
def test_sharp_pictures_stay_as_they_are(label: str) -> None:
    for seed in range(10):
        grey = draw(label, seed, 200).pixels
        for view in (grey, grey.T.copy()):
            assert motion.sharpened(view) is view


def test_what_is_blurred_in_another_way_stays_as_it_is() -> None:
    sharp = draw("patches", 1, 200).pixels
    levels = sharp.astype(np.float64)
    across = moved(sharp.T.copy(), 9).T.copy()
    unfocused = [ndimage.gaussian_filter(levels, sigma) for sigma in (1, 2, 3)]
    larger = [
        ndimage.zoom(levels[: int(200 / down), :80], (down, across), order=1)
        for down, across in ((2.5, 2.5), (2, 1), (4, 1), (8, 1))
    ]
    noisy = moved(sharp, 9) + np.random.default_rng(0).normal(0, 6, sharp.shape)
    for other in (across, *unfocused, *larger, noisy, *map(tiles, (6, 8, 10, 12, 16, 20))):
        grey = np.clip(np.rint(other), 0, 255).astype(np.uint8)
        assert motion.sharpened(grey) is grey


def tiles(rows: int) -> npt.NDArray[np.float64]:
    """Rectangles of so many rows with soft edges."""
    levels = np.random.default_rng(1).integers(60, 200, (200 // rows + 1, 200)).repeat(rows, axis=0)[:200]
    return np.asarray(ndimage.gaussian_filter1d(levels.astype(np.float64), 1, axis=0))


def test_what_did_not_move_with_the_strip_is_not_smeared() -> None:
    blurred = moved(draw("rolled-in_scale", 0, 200).pixels, 9)
    assert motion.sharpened(blurred) is not blurred
    blurred[185:197, 20:100] = 255  # a caption that the camera writes
    assert motion.sharpened(blurred) is blurred


@pytest.mark.parametrize("rows", [6, 10])
def test_even_lengths_lie_as_the_harsh_suites_do(rows: int) -> None:
    sharp = draw("rolled-in_scale", 1, 200).pixels
    blurred = np.rint(ndimage.uniform_filter1d(sharp.astype(np.float64), rows, axis=0, mode="mirror")).astype(np.uint8)
    assert motion.blurred_rows(blurred) == rows
    assert missed_by(motion.sharpened(blurred), sharp) < 0.6 * missed_by(blurred, sharp)


@pytest.mark.parametrize("period", [4, 10, 18, 26, 40])
def test_a_pattern_that_repeats_is_no_blur(period: int) -> None:
    rows = np.arange(200)[:, None]
    waves = 128 + 60 * np.sin(2 * np.pi * rows / period) + np.random.default_rng(0).normal(0, 1, (200, 200))
    bars = np.where(rows % period < period / 2, 90, 160) + np.random.default_rng(0).normal(0, 1, (200, 200))
    for pattern in (waves, bars):
        assert motion.blurred_rows(np.rint(pattern).astype(np.uint8)) == 0


def test_a_tall_and_wide_picture_is_sharpened_in_pieces_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sharp = np.concatenate([draw("patches", seed, 200).pixels for seed in range(4)])
    blurred = moved(sharp, 9)
    in_pieces = motion.sharpened(blurred)
    monkeypatch.setattr(motion, "ACROSS", 64)
    np.testing.assert_allclose(motion.sharpened(blurred).astype(int), in_pieces.astype(int), atol=1)
    monkeypatch.setattr(motion, "BLOCK", len(sharp))
    np.testing.assert_allclose(motion.sharpened(blurred).astype(int), in_pieces.astype(int), atol=2)


@given(
    drawn_arrays.arrays(
        np.uint8,
        drawn_arrays.array_shapes(min_dims=2, max_dims=2, min_side=16, max_side=120),
        elements=st.sampled_from([0, 1, 7, 128, 254, 255]),
    )
)
def test_any_picture_comes_back_whole(grey: GreyImage) -> None:
    found = motion.sharpened(grey)
    assert (found.shape, found.dtype) == (grey.shape, grey.dtype)


def test_no_photograph_of_neu_is_taken_for_blurred(neu: Path) -> None:
    for sample in catalog.read(neu / "neu-cls").samples:
        grey = images.decode(sample.path)
        assert motion.sharpened(grey) is grey, sample.path.name


def test_most_photographs_of_neu_are_sharpened_where_the_harsh_suite_blurred_them(neu: Path) -> None:
    gains = []
    for sample in catalog.read(neu / "neu-cls").samples[::20]:
        grey = images.decode(sample.path)
        blurred = corrupt(grey, "motion_blur_along", 3, sample.path.name)
        rows = motion.blurred_rows(blurred)
        assert rows in (0, 9)  # 0: the camera's noise, or the rounding of faint steel, hides it
        if rows:
            gains.append(missed_by(motion.sharpened(blurred), grey) / missed_by(blurred, grey))
    assert len(gains) >= 45
    assert np.median(gains) < 0.5
    assert max(gains) <= 1


@given(drawn_arrays.arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(16, 70), st.integers(16, 40))))
def test_pictures_are_mended_together_as_alone(greys: np.ndarray) -> None:
    expected = np.stack([images.mend(grey) for grey in greys])
    assert np.array_equal(images.prepare_all(list(greys), greys.shape[1:]), expected)


def test_pictures_that_need_mending_are_found_among_others() -> None:
    sharp = [draw("scratches", seed, 200).pixels for seed in range(3)]
    blurred = corrupt(sharp[0], "motion_blur_along", 3, "a.png")
    dead = corrupt(sharp[1], "dead_columns", 3, "b.png")
    pictures = [*sharp, blurred, dead]
    mended = images.prepare_all(pictures, (200, 200))
    assert np.array_equal(mended, np.stack([images.prepare(grey, (200, 200)) for grey in pictures]))
    assert [not np.array_equal(one, other) for one, other in zip(mended, pictures, strict=True)][3:] == [True, True]
