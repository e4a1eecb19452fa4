"""Heat and regions from class maps and features that are drawn by hand."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import gaussian_filter
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from steelsight.runtime.regions import (
    blurred,
    components,
    contrast,
    contrast_for,
    evidence_inside,
    find,
    heat_of,
    lead_of_another,
    of_others,
    point,
    softened,
    threshold,
)


def class_map(*spots: tuple[int, int, float]) -> np.ndarray:
    """Two classes on 10x10 places; the first leads at the spots only."""
    maps = np.zeros((2, 10, 10), np.float32)
    maps[0] = -1
    for y, x, value in spots:
        maps[0, y, x] = value
    return maps


def test_heat_is_one_at_the_strongest_place_and_zero_where_another_class_leads() -> None:
    heat = heat_of(class_map((2, 3, 4.0), (7, 7, 2.0)), 0)
    assert heat[2, 3] == 1
    assert heat[7, 7] == 0.5
    assert heat[0, 0] == 0


def test_a_label_that_leads_nowhere_has_no_heat_and_no_region() -> None:
    heat = heat_of(class_map(), 0)
    assert not heat.any()
    assert find(heat, "scratches", 0.9, (200, 200)) == ()


def test_places_that_lie_together_are_one_region_in_pixels_of_the_original() -> None:
    heat = heat_of(class_map((2, 3, 4.0), (2, 4, 4.0), (8, 8, 4.0)), 0)
    regions = find(heat, "scratches", 0.9, (200, 400))
    boxes = {(region.x, region.y, region.width, region.height) for region in regions}
    assert boxes == {(120, 40, 80, 20), (320, 160, 40, 20)}
    assert all(region.label == "scratches" for region in regions)


def test_a_gap_of_two_cool_places_does_not_part_a_region() -> None:
    together = find(heat_of(class_map((2, 1, 4.0), (2, 4, 4.0)), 0), "scratches", 0.9, (100, 100))
    apart = find(heat_of(class_map((2, 1, 4.0), (2, 5, 4.0)), 0), "scratches", 0.9, (100, 100))
    assert [len(together), len(apart)] == [1, 2]


def test_the_region_with_most_of_the_heat_comes_first() -> None:
    spots = [(1, 1, 3.0), (1, 2, 3.0), (8, 8, 4.0)]
    regions = find(heat_of(class_map(*spots), 0), "patches", 0.8, (100, 100))
    assert [region.x for region in regions] == [10, 80]
    assert [region.score for region in regions] == pytest.approx([0.8 * 0.6, 0.8 * 0.4])


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=14)))
def test_the_threshold_parts_hot_from_cool_with_the_least_spread_within_both(levels: np.ndarray) -> None:
    def spread(at: float) -> float:
        parts = levels[levels >= at].astype(float), levels[levels < at].astype(float)
        return sum(part.var() * part.size for part in parts)

    at = threshold(levels.astype(np.float32))
    distinct = np.unique(levels)
    if len(distinct) == 1:
        assert at == np.inf
    else:
        assert at in distinct
        assert spread(at) == pytest.approx(min(spread(level) for level in distinct[1:]))


def test_contrast_is_highest_where_a_picture_is_unlike_itself() -> None:
    rng = np.random.default_rng(0)
    features = np.tile(rng.normal(size=(8, 1, 1)), (1, 10, 10)).astype(np.float32)
    features[:, 4:6, 7] += 3
    heat = contrast(features)
    assert np.argwhere(heat > 0.5).tolist() == [[4, 7], [5, 7]]
    assert heat.max() == 1
    (region,) = find(heat, "inclusion", 0.5, (200, 200))
    assert (region.x, region.y, region.width, region.height) == (140, 80, 20, 40)


def test_of_two_places_that_stand_out_the_one_that_shows_the_label_is_hotter() -> None:
    features = np.zeros((1, 20, 20), np.float32)
    features[0, 4, 6] = features[0, 16, 16] = 1
    heat = contrast_for(class_map((8, 8, 2.0)), 0, features)
    assert heat.shape == (20, 20)
    assert heat[16, 16] == 1
    assert heat[4, 6] == pytest.approx(1 / 3, abs=0.02)


def test_a_picture_that_is_the_same_everywhere_has_no_region() -> None:
    heat = contrast(np.ones((8, 10, 10), np.float32))
    assert not heat.any()
    assert find(heat, "inclusion", 0.5, (200, 200)) == ()


@given(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.floats(0, 1, width=32)),
    st.integers(16, 3000),
    st.integers(16, 3000),
)
def test_regions_lie_inside_the_picture_and_hold_all_places_that_are_hot_enough(
    heat: np.ndarray, height: int, width: int
) -> None:
    regions = find(heat, "patches", 1.0, (height, width))
    for region in regions:
        assert region.width > 0
        assert region.height > 0
        assert 0 <= region.x < region.x + region.width <= max(width, region.x + 1)
        assert 0 <= region.y < region.y + region.height <= max(height, region.y + 1)
    if len(regions) < 20:
        hot = heat >= threshold(heat)
        for y, x in np.argwhere(hot & (heat >= 0.05 * heat[hot].sum())):
            px, py = (x + 0.5) * width / heat.shape[1], (y + 0.5) * height / heat.shape[0]
            assert any(r.x <= px < r.x + r.width + 1 and r.y <= py < r.y + r.height + 1 for r in regions)


def test_a_stray_place_does_not_widen_a_region() -> None:
    heat = np.zeros((20, 20), np.float32)
    heat[5:10, 5:10] = 1
    heat[7, 12] = 0.6
    (region,) = find(heat, "patches", 1.0, (200, 200))
    assert (region.x, region.y, region.width, region.height) == (50, 50, 50, 50)


@given(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.floats(0, 1, width=32)),
    st.floats(1, 4),
)
def test_blur_is_that_of_scipy_with_nothing_beyond_the_edges(heat: np.ndarray, width: float) -> None:
    expected = gaussian_filter(heat.astype(np.float64), width, mode="constant", truncate=12)
    np.testing.assert_allclose(blurred(heat, width), expected, atol=1e-4)


@given(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.floats(0, 1, width=32))
)
def test_softened_is_the_mean_of_what_scipy_weighs_inside_the_picture(values: np.ndarray) -> None:
    held, weighed = (
        gaussian_filter(each.astype(np.float64), 1.0, mode="constant", truncate=12)
        for each in (values, np.ones_like(values))
    )
    np.testing.assert_allclose(softened(values), held / weighed, atol=1e-4)


def test_the_inside_of_boxes_is_a_region_and_looked_at_first_in_its_middle() -> None:
    logits = np.full((25, 25), -4, np.float32)
    logits[5:12, 10:20] = 4
    logits[20, 3] = 4  # a speck, softened away
    seen = evidence_inside(logits, "patches", 0.9, (200, 400))
    (region,) = seen.regions
    assert abs(region.x - 160) <= 16
    assert abs(region.y - 40) <= 8
    assert abs(region.width - 160) <= 32
    assert abs(region.height - 56) <= 16
    assert seen.point is not None
    assert region.x < seen.point[0] < region.x + region.width
    assert region.y < seen.point[1] < region.y + region.height


@given(st.floats(-300, 300, width=32))
def test_where_every_place_is_alike_the_whole_picture_is_the_region_or_none(level: float) -> None:
    seen = evidence_inside(np.full((25, 25), level, np.float32), "patches", 0.9, (200, 300))
    if abs(level) > 0.1:
        whole = [(region.x, region.y, region.width, region.height) for region in seen.regions]
        assert whole == ([(0, 0, 300, 200)] if level > 0 else [])
        assert seen.point == ((150, 100) if level > 0 else None)


@given(hnp.arrays(np.float32, (12, 12), elements=st.floats(-300, 300, width=32)))
def test_regions_of_any_logits_lie_in_the_picture_and_are_none_of_clean_steel(logits: np.ndarray) -> None:
    seen = evidence_inside(logits, "patches", 0.9, (120, 60))
    for region in seen.regions:
        assert 0 <= region.x < region.x + region.width <= 60
        assert 0 <= region.y < region.y + region.height <= 120
    assert evidence_inside(logits, "clean", 0.9, (120, 60)).heat is None


def test_the_place_to_look_at_first_is_in_the_thick_of_the_heat() -> None:
    heat = np.zeros((20, 20), np.float32)
    heat[2, 17] = 1  # the hottest, and alone
    heat[10:15, 4:8] = 0.7
    assert point(heat, (200, 400)) in {(110, 125), (130, 125)}
    assert point(np.zeros((4, 4), np.float32), (200, 200)) is None


@given(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.floats(0, 1, width=32)),
    st.integers(1, 3000),
    st.integers(1, 3000),
)
def test_the_place_to_look_at_first_lies_in_the_picture(heat: np.ndarray, height: int, width: int) -> None:
    found = point(heat, (height, width))
    assert (found is None) == (not heat.any())
    assert found is None or (0 <= found[0] < width and 0 <= found[1] < height)


@pytest.mark.parametrize(("beside", "regions"), [(2, 1), (4, 2)])
def test_a_region_with_next_to_no_heat_is_left_out(beside: int, regions: int) -> None:
    """Of 100 hot places so many lie apart from the rest."""
    heat = np.zeros((20, 20), np.float32)
    heat[:10, :10] = 1
    heat[0, :beside] = 0
    heat[15, 15 : 15 + beside] = 1
    assert len(find(heat, "patches", 0.9, (200, 200))) == regions


def test_another_class_shows_one_region_where_it_leads_by_enough() -> None:
    maps = np.zeros((3, 10, 10), np.float32)
    maps[0] = 2
    maps[1, 1:3, 1:3] = 5  # leads by three
    maps[2, 8, 8] = 3  # leads by one
    scores = {"patches": 0.7, "scratches": 0.2, "clean": 0.1}
    assert lead_of_another(maps, 0) == 3
    assert lead_of_another(maps[:, 4:6], 0) == 0
    (region,) = of_others(maps, 0, scores, 2.5, (100, 100))
    assert (region.label, region.score) == ("scratches", 0.2)
    assert (region.x, region.y, region.width, region.height) == (10, 10, 20, 20)
    assert of_others(maps, 0, scores, 3.5, (100, 100)) == ()
    assert len(of_others(maps, 0, scores, 0.5, (100, 100))) == 1  # nobody looks for clean steel


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)), st.integers(1, 4))
def test_components_are_those_of_scipy(mask: np.ndarray, apart: int) -> None:
    places_of_mask = np.argwhere(mask)
    near = cdist(places_of_mask, places_of_mask, "chebyshev") <= apart if len(places_of_mask) else np.zeros((0, 0))
    count, labels = connected_components(near)
    expected = {frozenset(map(tuple, places_of_mask[labels == number].tolist())) for number in range(count)}
    assert {frozenset(zip(*places, strict=True)) for places in components(mask, apart)} == expected


def test_noise_of_many_components_does_not_take_long() -> None:
    mask = np.random.default_rng(0).random((400, 400)) < 0.1
    started = time.perf_counter()
    assert sum(1 for _ in components(mask)) > 3000
    assert time.perf_counter() - started < 5
