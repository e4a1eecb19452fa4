"""The harsh suite against what each kind says it does, worked out by other means where there are any."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from steelsight.data import synthetic
from steelsight.evaluation.harsh import KINDS, NEVER_TRAINED_ON, STRENGTHS, SUITE, corrupt

NAME = "In_1.bmp"
STEEL = synthetic.draw("inclusion", 0).pixels
ALL = sorted(STRENGTHS)


def flat(level: int) -> np.ndarray:
    return np.full((200, 200), level, np.uint8)


def test_has_eighteen_kinds_in_five_strengths_and_knows_those_not_trained_on():
    assert len(STRENGTHS) == 18
    assert set(KINDS) == set(SUITE["kinds"])
    assert all(len(values) == 5 for values in STRENGTHS.values())
    assert len(NEVER_TRAINED_ON) == 6
    assert set(NEVER_TRAINED_ON) < set(STRENGTHS)


@pytest.mark.parametrize("kind", ALL)
def test_is_the_same_for_everyone_and_leaves_the_picture_alone(kind):
    before = STEEL.copy()
    once, again = (corrupt(STEEL, kind, 3, NAME) for _ in range(2))
    assert once.dtype == np.uint8
    assert once.shape == STEEL.shape
    assert np.array_equal(once, again)
    assert np.array_equal(STEEL, before)
    assert not np.array_equal(once, STEEL)


@pytest.mark.parametrize("kind", ALL)
def test_gets_harsher_with_strength(kind):
    """In the mean over pictures: signs and places are drawn anew for each."""
    pictures = {f"{label}_{n}.bmp": synthetic.draw(label, n).pixels for label in synthetic.CLASSES[:4] for n in (1, 2)}
    changes = [
        np.mean(
            [np.abs(corrupt(grey, kind, strength, name).astype(float) - grey).mean() for name, grey in pictures.items()]
        )
        for strength in (1, 3, 5)
    ]
    assert changes[0] < changes[1] < changes[2]


def test_draws_anew_for_every_picture_kind_and_strength():
    noises = {
        corrupt(flat(128), kind, strength, name).tobytes()
        for kind in ("gaussian_noise", "shot_noise")
        for strength in (1, 2)
        for name in ("a.bmp", "b.bmp")
    }
    assert len(noises) == 8


def test_the_folder_of_a_picture_does_not_matter():
    assert np.array_equal(corrupt(STEEL, "hot_spot", 2, "x/In_1.bmp"), corrupt(STEEL, "hot_spot", 2, NAME))


@pytest.mark.parametrize("strength", range(1, 6))
def test_light_follows_its_formula(strength):
    def of(kind: str, grey: np.ndarray = STEEL) -> np.ndarray:
        return corrupt(grey, kind, strength, NAME).astype(float)

    offset, factor, g = (STRENGTHS[kind][strength - 1] for kind in ("brightness", "contrast", "gamma"))
    assert abs(of("brightness", flat(128)) - 128).max() == abs(of("brightness", flat(128)) - 128).min() == offset
    expected = STEEL.mean() + factor * (STEEL - STEEL.mean())
    assert np.abs(of("contrast") - expected.clip(0, 255)).max() <= 0.5
    levels = np.array([255 * (100 / 255) ** exponent for exponent in (g, 1 / g)])
    assert np.abs(levels - of("gamma", flat(100))[0, 0]).min() <= 0.5


@pytest.mark.parametrize("strength", range(1, 6))
def test_ramp_bump_shadow_and_vignette_have_their_size(strength):
    ramp, spot, shadow, vignette = (
        corrupt(flat(128), kind, strength, NAME).astype(float)
        for kind in ("illumination_ramp", "hot_spot", "shadow_edge", "vignette")
    )
    span, peak, factor, a = (
        STRENGTHS[kind][strength - 1] for kind in ("illumination_ramp", "hot_spot", "shadow_edge", "vignette")
    )
    assert np.ptp(ramp) == pytest.approx(span, abs=1)
    assert spot.max() == pytest.approx(min(255, 128 + peak), abs=1)
    assert spot.min() >= 128
    assert shadow.min() == pytest.approx(128 * factor, abs=1)
    assert shadow.max() == 128
    assert vignette[0, 0] == vignette[-1, -1] == pytest.approx(128 * (1 - a), abs=1)
    assert vignette[100, 100] == pytest.approx(128, abs=1)


@pytest.mark.parametrize("strength", range(1, 6))
def test_noise_has_the_deviation_of_its_formula(strength):
    sigma, photons = STRENGTHS["gaussian_noise"][strength - 1], STRENGTHS["shot_noise"][strength - 1]
    gaussian, shot = (
        corrupt(flat(128), kind, strength, NAME).astype(float) for kind in ("gaussian_noise", "shot_noise")
    )
    assert gaussian.std() == pytest.approx(sigma, rel=0.03)
    assert gaussian.mean() == pytest.approx(128, abs=0.5)
    if strength < 4:  # later on levels beyond white are cut
        assert shot.std() == pytest.approx(255 * np.sqrt(128 / 255 / photons), rel=0.03)


def test_defocus_spreads_a_point_over_a_disc():
    point = np.zeros((41, 41), np.float64)
    point[20, 20] = 1
    spread = KINDS["defocus_blur"](point, 4.0, np.random.default_rng(0), 1.0)
    y, x = np.nonzero(spread)
    assert spread.sum() == pytest.approx(1)
    assert np.hypot(y - 20, x - 20).max() <= 4.5
    assert spread[20, 20] == pytest.approx(1 / (np.pi * 16), rel=0.05)


def test_motion_goes_down_the_picture_alone():
    columns = np.tile(np.arange(200, dtype=np.uint8), (200, 1))
    assert np.array_equal(corrupt(columns, "motion_blur_along", 5, NAME), columns)
    blurred = corrupt(columns.T.copy(), "motion_blur_along", 5, NAME)
    assert np.array_equal(blurred[20:-20], columns.T[20:-20])
    line = np.zeros((200, 200), np.uint8)
    line[100] = 190
    assert (corrupt(line, "motion_blur_along", 5, NAME)[:, 0] > 0).sum() == 19


@pytest.mark.parametrize("strength", range(1, 6))
def test_dirt_is_as_much_and_as_dark_as_it_says(strength):
    stuck = corrupt(STEEL, "dead_columns", strength, NAME)
    changed = np.nonzero((stuck != STEEL).any(0))[0]
    assert len(changed) == STRENGTHS["dead_columns"][strength - 1]
    assert (np.ptp(stuck[:, changed], axis=0) == 0).all()
    dust = flat(128) - corrupt(flat(128), "scale_dust", strength, NAME)
    count = STRENGTHS["scale_dust"][strength - 1]
    assert set(np.unique(dust)) == {0, 60}
    assert 0.4 * count * np.pi < (dust > 0).sum() < count * np.pi * 4.5
    drops = corrupt(flat(128), "water_drops", strength, NAME).astype(int) - 128
    assert {-30, 20} <= set(np.unique(drops)) <= {-30, -10, 0, 20}


def test_jpeg_is_what_pillow_makes_of_it():
    held = io.BytesIO()
    Image.fromarray(STEEL).save(held, "JPEG", quality=int(STRENGTHS["jpeg"][2]))
    assert np.array_equal(corrupt(STEEL, "jpeg", 3, NAME), np.asarray(Image.open(held)))


def test_the_camera_moves_about_the_middle():
    point = np.zeros((201, 201), np.uint8)
    point[99:102, 99:102] = 255
    far = np.zeros((201, 201), np.uint8)
    far[95:106, 140:151] = 255
    for kind, strength in (("scale", 5), ("rotation", 5)):
        assert corrupt(point, kind, strength, NAME)[100, 100] == 255
    rows, columns = np.nonzero(corrupt(far, "rotation", 5, NAME) > 128)
    angle = np.degrees(np.arctan2(rows.mean() - 100, columns.mean() - 100))
    assert abs(angle) == pytest.approx(25, abs=1)
    columns = np.nonzero(corrupt(far, "scale", 5, NAME) > 128)[1]
    assert columns.mean() - 100 == pytest.approx(45 * 1.75, abs=1) or columns.mean() - 100 == pytest.approx(
        45 / 1.75, abs=1
    )


def test_a_smaller_picture_is_changed_as_the_same_steel_would_be():
    """Lengths follow the shorter side: a blur of a halved picture is the half of the blur."""
    half = np.asarray(Image.fromarray(STEEL).reduce(2))
    small = corrupt(half, "defocus_blur", 5, NAME).astype(float)
    large = np.asarray(Image.fromarray(corrupt(STEEL, "defocus_blur", 5, NAME)).reduce(2)).astype(float)
    assert np.abs(small - large).mean() < 0.25 * np.abs(half - large).mean()


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(ALL),
    strength=st.integers(1, 5),
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    level=st.integers(0, 255),
)
def test_takes_pictures_of_any_size(kind, strength, height, width, level):
    grey = np.full((height, width), level, np.uint8)
    assert corrupt(grey, kind, strength, "any").shape == grey.shape


def test_unknown_kinds_and_strengths_are_refused():
    with pytest.raises(KeyError):
        corrupt(STEEL, "rain", 1, NAME)
    for strength in (0, 6):
        with pytest.raises(IndexError):
            corrupt(STEEL, "jpeg", strength, NAME)
