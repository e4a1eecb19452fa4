"""Calibration against what the draws were made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from steelsight.evaluation.calibration import alarm_threshold, candidate_share, temperature
from steelsight.evaluation.metrics import calibration_error


def drawn(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are right as often as their softmax says."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, 4))
    shares = softmax(logits, axis=1)
    return logits, np.array([rng.choice(4, p=row) for row in shares])


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
def test_finds_the_temperature_that_logits_were_made_hotter_by(factor):
    logits, truth = drawn(20_000)
    found = temperature(factor * logits, truth)
    assert found == pytest.approx(factor, rel=0.05)
    shares = softmax(factor * logits / found, axis=1)
    assert calibration_error(shares.max(1), shares.argmax(1) == truth) < 0.012


def test_no_other_temperature_has_a_lower_loss():
    logits, truth = drawn(500, seed=1)
    best = temperature(logits, truth)
    losses = [log_loss(truth, softmax(logits / (best * factor), axis=1)) for factor in (0.9, 1.0, 1.1)]
    assert losses[1] == min(losses)


def test_leaves_the_logits_alone_where_nothing_is_wrong():
    assert temperature(np.eye(3), np.arange(3)) == 1.0


@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_candidates_hold_the_truth_as_often_as_promised(coverage):
    logits, truth = drawn(4_000)
    least = candidate_share(softmax(logits, axis=1), truth, coverage)
    new, new_truth = drawn(20_000, seed=2)
    held = softmax(new, axis=1)[np.arange(len(new)), new_truth] >= least
    assert held.mean() == pytest.approx(coverage, abs=0.015)


def test_few_pictures_promise_nothing():
    logits, truth = drawn(10)
    assert candidate_share(softmax(logits, axis=1), truth, 0.95) == 0.0
    assert alarm_threshold(np.arange(50.0), 0.01) == math.inf


def test_known_pictures_exceed_the_threshold_as_rarely_as_promised():
    rng = np.random.default_rng(0)
    threshold = alarm_threshold(rng.chisquare(5, 5_000), 0.01)
    assert (rng.chisquare(5, 50_000) > threshold).mean() == pytest.approx(0.01, abs=0.003)
    assert alarm_threshold(np.arange(100.0), 0.01) == 99.0
