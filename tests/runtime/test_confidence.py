"""Shares are the softmax, and strange pictures are judged less surely."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from steelsight.records import Card
from steelsight.runtime.confidence import DOUBT, doubt, shares, shares_of_many, warmth_of

CARD = Card("x", ("a", "b"), (64, 64), temperature=0.5)
LOGITS = st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=9)


@given(LOGITS, st.floats(0.01, 100))
def test_shares_are_the_softmax(logits: list[float], warmth: float) -> None:
    expected = softmax(np.array(logits) / warmth)
    np.testing.assert_allclose(shares(logits, warmth), expected, atol=1e-6)
    np.testing.assert_allclose(shares_of_many(np.array([logits] * 2), warmth)[1], expected, rtol=1e-4, atol=1e-6)


def test_a_picture_like_those_learned_is_judged_at_the_temperature() -> None:
    doubting = replace(CARD, thresholds={DOUBT: 2.0})
    assert warmth_of(doubting, 0.5) == warmth_of(doubting, 1.0) == CARD.temperature


def test_the_stranger_a_picture_the_less_surely_it_is_judged() -> None:
    doubting = replace(CARD, thresholds={DOUBT: 2.0})
    assert warmth_of(doubting, 3.0) == pytest.approx(9 * CARD.temperature)
    assert doubt(3.0, 0.5) == pytest.approx(3**0.5)


def test_a_picture_of_unknown_strangeness_is_judged_at_the_temperature() -> None:
    assert doubt(math.nan, 2.0) == 1.0


@pytest.mark.parametrize(("card", "strangeness"), [(CARD, 3.0), (replace(CARD, thresholds={DOUBT: 2.0}), None)])
def test_without_a_power_or_a_strangeness_there_is_no_doubt(card: Card, strangeness: float | None) -> None:
    assert warmth_of(card, strangeness) == CARD.temperature
