"""Heat and regions from class maps that are drawn by hand."""

import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from steelsight.runtime.regions import components, find, heat_of


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


def test_places_that_touch_are_one_region_in_pixels_of_the_original() -> None:
    heat = heat_of(class_map((2, 3, 4.0), (3, 4, 4.0), (8, 8, 4.0)), 0)
    regions = find(heat, "scratches", 0.9, (200, 400))
    boxes = {(region.x, region.y, region.width, region.height) for region in regions}
    assert boxes == {(120, 40, 80, 40), (320, 160, 40, 20)}
    assert all(region.label == "scratches" for region in regions)


def test_the_strongest_region_comes_first() -> None:
    regions = find(heat_of(class_map((1, 1, 3.0), (8, 8, 5.0)), 0), "patches", 0.8, (100, 100))
    assert [region.x for region in regions] == [80, 10]
    assert regions[0].score == np.float32(0.8)


@given(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.floats(0, 1, width=32)),
    st.integers(16, 3000),
    st.integers(16, 3000),
)
def test_regions_lie_inside_the_picture_and_hold_all_hot_places(heat: np.ndarray, height: int, width: int) -> None:
    regions = find(heat, "patches", 1.0, (height, width))
    for region in regions:
        assert region.width > 0
        assert region.height > 0
        assert 0 <= region.x < region.x + region.width <= max(width, region.x + 1)
        assert 0 <= region.y < region.y + region.height <= max(height, region.y + 1)
    if len(regions) < 20:
        for y, x in np.argwhere(heat >= 0.5):
            px, py = (x + 0.5) * width / heat.shape[1], (y + 0.5) * height / heat.shape[0]
            assert any(r.x <= px < r.x + r.width + 1 and r.y <= py < r.y + r.height + 1 for r in regions)


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_components_are_those_of_scipy(mask: np.ndarray) -> None:
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    expected = {frozenset(zip(*np.nonzero(labels == number + 1), strict=True)) for number in range(count)}
    assert {frozenset(zip(*places, strict=True)) for places in components(mask)} == expected


def test_noise_of_many_components_does_not_take_long() -> None:
    mask = np.random.default_rng(0).random((400, 400)) < 0.1
    started = time.perf_counter()
    assert sum(1 for _ in components(mask)) > 3000
    assert time.perf_counter() - started < 5
