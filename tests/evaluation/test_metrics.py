"""Every figure against counting by hand, and against scikit-learn's own function where it has one."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics as sk

from steelsight.evaluation.metrics import accuracy_interval, calibration_error, interval, score
from steelsight.records import Answer

CLASSES = ("a", "b", "c", "d")


@st.composite
def random_answers(draw: st.DrawFn) -> list[Answer]:
    count, seed = draw(st.integers(1, 60)), draw(st.integers(0, 10**6))
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet([draw(st.sampled_from([0.1, 1.0]))] * len(CLASSES), count)
    truths = rng.integers(len(CLASSES), size=count)
    return [
        Answer(f"{n}.png", CLASSES[truth], CLASSES[share.argmax()], dict(zip(CLASSES, share.tolist(), strict=True)))
        for n, (truth, share) in enumerate(zip(truths, shares, strict=True))
    ]


@given(random_answers())
def test_counts_are_what_counting_gives(answers: list[Answer]) -> None:
    scores = score(CLASSES, answers)
    counts = np.array([[sum(x.truth == a and x.predicted == b for x in answers) for b in CLASSES] for a in CLASSES])
    assert scores.confusion == tuple(map(tuple, counts.tolist()))
    assert scores.accuracy == pytest.approx(np.trace(counts) / counts.sum(), abs=1e-12)
    for n, name in enumerate(CLASSES):
        hit, asked, answered = counts[n, n], counts[n].sum(), counts[:, n].sum()
        found = scores.per_class[name]
        assert found.precision == pytest.approx(hit / answered if answered else 0.0, abs=1e-12)
        assert found.recall == pytest.approx(hit / asked if asked else 0.0, abs=1e-12)
        assert found.f1 == pytest.approx(2 * hit / (asked + answered) if asked + answered else 0.0, abs=1e-12)
        assert found.support == asked
    assert len(scores.mistakes) == counts.sum() - np.trace(counts)


@given(random_answers())
def test_scikit_learn_agrees(answers: list[Answer]) -> None:
    scores = score(CLASSES, answers)
    truths, predicted = [x.truth for x in answers], [x.predicted for x in answers]
    shares = np.array([list(x.scores.values()) for x in answers])
    present = sorted(set(truths))
    averages = {"labels": present, "average": "macro", "zero_division": 0.0}
    assert scores.accuracy == pytest.approx(sk.accuracy_score(truths, predicted), abs=1e-12)
    assert scores.macro_precision == pytest.approx(sk.precision_score(truths, predicted, **averages), abs=1e-12)
    assert scores.macro_recall == pytest.approx(sk.recall_score(truths, predicted, **averages), abs=1e-12)
    assert scores.macro_f1 == pytest.approx(sk.f1_score(truths, predicted, **averages), abs=1e-12)
    assert scores.certainty is not None
    assert scores.certainty.log_loss == pytest.approx(sk.log_loss(truths, shares, labels=CLASSES), abs=1e-12)
    one_hot = np.array([[x.truth == name for name in CLASSES] for x in answers], float)
    assert scores.certainty.brier == pytest.approx(len(CLASSES) * sk.mean_squared_error(one_hot, shares), abs=1e-12)
    for k in (1, 2, 3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = sk.top_k_accuracy_score(truths, shares, k=k, labels=CLASSES)
        assert scores.certainty.top_k[str(k)] == pytest.approx(expected, abs=1e-12)


@given(random_answers())
def test_calibration_error_is_the_gap_of_each_bin(answers: list[Answer]) -> None:
    confidences = np.array([max(x.scores.values()) for x in answers])
    right = np.array([x.is_right for x in answers])
    gap = 0.0
    for n in range(15):
        inside = (confidences > n / 15) & (confidences <= (n + 1) / 15)
        if inside.any():
            gap += inside.mean() * abs(right[inside].mean() - confidences[inside].mean())
    assert calibration_error(confidences, right) == pytest.approx(gap, abs=1e-12)


def test_scores_that_say_nothing_are_not_the_first_of_all() -> None:
    even = dict.fromkeys(CLASSES, 0.25)
    found = score(CLASSES, [Answer("1.png", "a", "a", even)]).certainty
    assert found is not None
    assert found.top_k == {"1": 0.0, "2": 0.0, "3": 0.0}


def test_the_surest_mistake_comes_first() -> None:
    def answer(name: str, truth: str, predicted: str, share: float) -> Answer:
        return Answer(name, truth, predicted, {**dict.fromkeys(CLASSES, (1 - share) / 3), predicted: share})

    scores = score(CLASSES, [answer("1", "a", "b", 0.4), answer("2", "a", "c", 0.9), answer("3", "b", "b", 1.0)])
    assert [(mistake.image, mistake.predicted) for mistake in scores.mistakes] == [("2", "c"), ("1", "b")]


def test_an_interval_over_groups_is_wider_than_one_over_pictures() -> None:
    right = [True] * 90 + [False] * 10
    alone = interval(right, [str(n) for n in range(100)])
    together = interval(right, [str(n // 10) for n in range(100)])
    assert alone[0] < 0.9 < alone[1]
    assert together[1] - together[0] > 1.5 * (alone[1] - alone[0])


@given(st.integers(1, 60), st.integers(0, 60))
def test_with_single_pictures_the_interval_is_clopper_and_pearsons(right: int, wrong: int) -> None:
    found = accuracy_interval([True] * right + [False] * wrong, [str(n) for n in range(right + wrong)])
    exact = binomtest(right, right + wrong).proportion_ci(0.95)
    assert found.low == pytest.approx(exact.low, abs=1e-9)
    assert found.high == pytest.approx(exact.high, abs=1e-9)


def test_nothing_wrong_still_leaves_doubt_and_the_more_the_fewer_groups() -> None:
    right = accuracy_interval([True] * 9, list("aabbccdde"))
    assert (right.low, right.high) == (pytest.approx(binomtest(5, 5).proportion_ci(0.95).low), 1.0)
    wrong = accuracy_interval([False] * 9, list("aabbccdde"))
    assert (wrong.low, wrong.high) == pytest.approx((0, 1 - right.low))
    one = accuracy_interval([True, False], ["a", "a"])
    assert one.high - one.low > 0.9


def test_the_interval_of_groups_is_wider_than_that_of_pictures() -> None:
    is_right, groups = [n % 20 > 0 or n > 60 for n in range(200)], [str(n // 20) for n in range(200)]
    clustered = [n >= 4 for n in range(200)]
    alone = accuracy_interval(clustered, [str(n) for n in range(200)], "pictures")
    together = accuracy_interval(clustered, groups)
    assert together.low < alone.low
    assert str(alone).endswith(", over pictures")
    assert accuracy_interval(is_right, groups).low > together.low
