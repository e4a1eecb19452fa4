"""Strips in bands: the same places as in one piece, and regions in pixels of the strip."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter

import steelsight
from steelsight.records import Card, SteelsightError
from steelsight.runtime import scanning
from steelsight.runtime.classifier import Classifier, load
from steelsight.runtime.confidence import MAP_TEMPERATURE
from steelsight.runtime.engines import Output

CARD = Card("drawn", ("left", "right"), (32, 32), stride=8, reach=8)


@given(st.integers(1, 5000), st.sampled_from([1, 2, 8, 16]), st.integers(0, 300), st.integers(1, 40))
def test_bands_keep_every_place_once_and_know_its_neighbours(length: int, stride: int, reach: int, places: int) -> None:
    found = list(scanning.bands(length, stride, reach, places))
    assert found[-1].stop == length
    kept = 0
    for band in found:
        first = band.start // stride + band.skip
        assert band.start % stride == 0
        assert first == kept
        assert band.start == 0 or first * stride - band.start >= reach
        assert 0 <= band.start < band.stop <= length
        if band.keep is not None:
            kept = first + band.keep
            assert (kept - 1) * stride + reach < band.stop
    assert [band.keep for band in found].count(None) == 1


@pytest.mark.parametrize("places", [1, 2, 7, 30])
@pytest.mark.parametrize(("height", "width"), [(403, 301), (64, 700), (517, 65)])
def test_in_pieces_as_in_one(model_file: Path, height: int, width: int, places: int) -> None:
    classifier = load(model_file)
    strip = np.random.default_rng(places).integers(0, 256, (height, width), dtype=np.uint8)
    whole = classifier.class_map(strip)
    pieces = scanning.map_in_pieces(classifier._scanner.run, strip, classifier.card, places)
    assert pieces.shape == whole.shape
    np.testing.assert_allclose(pieces, whole, atol=1e-4)


def test_a_card_that_promises_what_the_graph_does_not_give_gets_a_sentence() -> None:
    with pytest.raises(SteelsightError, match="does not fit the model's card"):
        scanning.map_in_pieces(by_half, np.zeros((400, 64), np.uint8), replace(CARD, stride=4), 9)


def test_means_over_windows_are_those_of_scipy_away_from_the_edges() -> None:
    values = np.random.default_rng(0).normal(size=(3, 20, 30)).astype(np.float32)
    means = scanning.window_means(values, (5, 7))
    expected = uniform_filter(values.astype(np.float64), (1, 5, 7))
    np.testing.assert_allclose(means[:, 2:-2, 3:-3], expected[:, 2:-2, 3:-3], atol=1e-5)


def test_means_over_windows_larger_than_the_map_are_its_mean() -> None:
    values = np.random.default_rng(0).normal(size=(3, 4, 6)).astype(np.float32)
    means = scanning.window_means(values, (9, 50))
    np.testing.assert_allclose(means, np.broadcast_to(values.mean((1, 2), keepdims=True), values.shape), atol=1e-5)


def by_half(batch: np.ndarray) -> Output:
    """Class 0 is bright, class 1 dark."""
    grey = batch[:, :, ::8, ::8].astype(np.float32) / 16 - 8
    maps = np.concatenate([grey, -grey], axis=1)
    return Output(maps.mean((2, 3)), maps)


def test_regions_are_in_pixels_of_the_strip() -> None:
    strip = np.zeros((64, 400), np.uint8)
    strip[:, :200] = 255
    found = scanning.scan(by_half, strip, CARD)
    assert found.class_map.shape == (2, 8, 50)
    assert {(one.label, one.x, one.y, one.width, one.height) for one in found.regions} == {
        ("left", 0, 0, 200, 64),
        ("right", 200, 0, 200, 64),
    }


def test_the_hotter_the_less_sure_are_regions() -> None:
    strip = np.zeros((64, 400), np.uint8)
    strip[:, :200] = 255
    cool, hot = (
        max(region.score for region in scanning.scan(by_half, strip, replace(CARD, temperature=each)).regions)
        for each in (100.0, 300.0)
    )
    assert cool > hot


def test_where_the_map_has_a_temperature_of_its_own_a_strip_is_judged_by_it() -> None:
    strip = np.zeros((64, 400), np.uint8)
    strip[:, :200] = 255
    own = replace(CARD, temperature=100.0, thresholds={MAP_TEMPERATURE: 300.0})
    assert (
        scanning.scan(by_half, strip, own).regions
        == scanning.scan(by_half, strip, replace(CARD, temperature=300.0)).regions
    )


def test_clean_steel_has_no_region() -> None:
    found = scanning.scan(by_half, np.zeros((64, 400), np.uint8), replace(CARD, classes=("left", "clean")))
    assert found.regions == ()


def test_too_small_a_strip_gets_a_sentence() -> None:
    with pytest.raises(SteelsightError, match="24x500 pixels"):
        scanning.scan(by_half, np.zeros((500, 24), np.uint8), CARD)


def test_a_network_that_cannot_scan_says_so(model_file: Path, drawn: Path) -> None:
    classifier = load(model_file)
    still = Classifier(replace(classifier.card, stride=0), "still", b"", classifier._engine, 1)
    with pytest.raises(SteelsightError, match="cannot scan"):
        still.scan(next((drawn / "IMAGES").glob("*.png")))


def test_a_strip_that_cannot_be_read_gets_a_sentence(model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "strip.png").write_bytes(b"no picture")
    with pytest.raises(SteelsightError, match=r"strip\.png"):
        steelsight.load(model_file).scan(tmp_path / "strip.png")
