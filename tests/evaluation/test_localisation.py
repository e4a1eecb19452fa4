"""Localisation on rectangles whose overlap is plain to see, and against scikit-learn's average precision."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from steelsight.evaluation.localisation import (
    Shown,
    average_precision,
    localisation,
    mask_overlap,
    overlap,
)
from steelsight.records import Region


def box(x: int, y: int, width: int, height: int, label: str = "a", score: float = 1.0) -> Region:
    return Region(label, x, y, width, height, score)


BOXES = st.builds(box, *(st.integers(0, 50) for _ in range(2)), *(st.integers(1, 50) for _ in range(2)))


@given(BOXES, BOXES)
def test_overlap_is_that_of_the_pixels(one: Region, other: Region) -> None:
    masks = np.zeros((2, 100, 100), bool)
    for mask, each in zip(masks, (one, other), strict=True):
        mask[each.y : each.y + each.height, each.x : each.x + each.width] = True
    assert overlap(one, other) == pytest.approx((masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum())


def test_shares_are_by_true_class_and_only_boxes_of_the_predicted_one_count() -> None:
    half = box(0, 0, 10, 20)
    shown = [
        Shown("a", "a", (5, 5), (box(0, 0, 10, 10),), (half,)),  # overlap 0.5
        Shown("a", "a", (50, 5), (box(0, 0, 10, 7),), (half,)),  # overlap 0.35
        Shown("b", "a", (5, 5), (half,), (box(0, 0, 10, 20, "b"),)),
        Shown("b", "b", None, (), (box(0, 0, 10, 20, "b"),)),
    ]
    found = localisation(shown)
    assert found.pointing == {"a": 0.5, "b": 0.0}
    assert found.overlap_30 == {"a": 1.0, "b": 0.0}
    assert found.overlap_50 == {"a": 0.5, "b": 0.0}
    assert found.macro == (0.25, 0.5, 0.25)


def test_average_precision_is_scikit_learns_where_every_box_is_claimed_once() -> None:
    rng = np.random.default_rng(0)
    shown, right, scores = [], [], rng.permutation(60) / 60
    for score in scores:
        right.append(bool(rng.random() < 0.3 + 0.6 * score))
        there = box(10, 10, 20, 20)
        claim = box(10, 10, 20, 20, score=score) if right[-1] else box(60, 60, 20, 20, score=score)
        shown.append(Shown("a", "a", None, (claim,), (there,) if right[-1] else ()))
    found = average_precision(shown, "a", 0.5)
    assert found >= average_precision_score(right, scores) - 1e-9  # which does not take the best later precision
    assert found == pytest.approx(average_precision_score(right, scores), abs=0.05)


def test_a_box_is_found_once() -> None:
    claims = (box(0, 0, 10, 10, score=0.9), box(0, 0, 10, 10, score=0.8))
    assert average_precision([Shown("a", "a", None, claims, (box(0, 0, 10, 10),))], "a", 0.5) == 1.0
    two = (box(0, 0, 10, 10), box(50, 50, 10, 10))
    assert average_precision([Shown("a", "a", None, claims, two)], "a", 0.5) == 0.5
    assert average_precision([], "a", 0.5) == 0.0


def test_heat_is_held_against_masks_at_their_own_size() -> None:
    heat = np.array([[1.0, 0.0], [0.0, 0.0]], np.float32)
    mask = np.zeros((10, 10), bool)
    mask[:5, :5] = True
    assert mask_overlap(heat, mask, 0.5) == 1.0
    mask[:, :5] = True
    assert mask_overlap(heat, mask, 0.5) == 0.5
