"""The evaluator takes anything that predicts."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from steelsight.evaluation.evaluate import evaluate
from steelsight.records import Prediction, Sample, SteelsightError

ROOT = Path("/photos")
SAMPLES = [Sample(ROOT / f"{label}_{n}.png", label) for label in ("a", "b") for n in range(3)]


def always_a(paths: Sequence[Path]) -> list[Prediction]:
    return [Prediction(str(path), "a", 0.7, {"a": 0.7, "b": 0.3}) for path in paths]


def test_a_plain_function_is_scored() -> None:
    scores = evaluate(always_a, SAMPLES, ("a", "b"), ROOT).scores
    assert scores.accuracy == 0.5
    assert [mistake.image for mistake in scores.mistakes] == ["b_0.png", "b_1.png", "b_2.png"]


def test_classes_that_the_model_does_not_know_are_named_and_left_out() -> None:
    found = evaluate(always_a, [*SAMPLES, Sample(ROOT / "rust.png", "rust")], ("a", "b"), ROOT)
    assert found.scores.images == 6
    assert found.problems == ("Class rust is not one of the model's classes and was left out.",)


def test_unreadable_pictures_are_named_and_left_out() -> None:
    def half_blind(paths: Sequence[Path]) -> list[Prediction]:
        return [Prediction(str(paths[0]), None, None, error=f"{paths[0]}: is damaged."), *always_a(paths[1:])]

    found = evaluate(half_blind, SAMPLES, ("a", "b"), ROOT)
    assert found.scores.images == 5
    assert found.problems == ("/photos/a_0.png: is damaged.",)


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(SteelsightError, match="no readable picture"):
        evaluate(always_a, SAMPLES, ("x", "y"), ROOT)
