"""The one evaluator: any way of predicting, on labelled pictures. Needs the `train` extra."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from steelsight.evaluation.metrics import score
from steelsight.records import UNKNOWN, Answer, Prediction, Sample, Scores, SteelsightError

Predict = Callable[[Sequence[Path]], Iterable[Prediction]]
"""One prediction for each path, in order; `Classifier.predict` is one."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores, the answers that they count, and a sentence for each picture or class that was left out."""

    scores: Scores
    answers: tuple[Answer, ...]
    problems: tuple[str, ...]
    unknown: int = 0
    """How many pictures the model would rather not name; here the class with the highest score counts."""


def evaluate(predict: Predict, samples: Sequence[Sample], classes: Sequence[str], root: Path) -> Evaluation:
    """Predicts every sample and scores the answers; pictures are named by their path below `root`.

    Raises SteelsightError where no sample has a class that the model knows, or none can be read.
    """
    foreign = sorted({sample.label for sample in samples} - set(classes))
    problems = [f"Class {label} is not one of the model's classes and was left out." for label in foreign]
    known = [sample for sample in samples if sample.label in classes]
    answers, unknown = [], 0
    for sample, prediction in zip(known, predict([sample.path for sample in known]), strict=True):
        if prediction.label is None:
            problems.append(prediction.error or f"{sample.path}: could not be read.")
            continue
        inside = sample.path.relative_to(root) if sample.path.is_relative_to(root) else sample.path
        unknown += prediction.label == UNKNOWN
        best = max(prediction.scores, key=prediction.scores.__getitem__)
        answers.append(Answer(inside.as_posix(), sample.label, best, prediction.scores))
    if not answers:
        raise SteelsightError(
            f"{root}: has no readable picture of the model's classes ({', '.join(classes)}); {' '.join(problems)}"
        )
    return Evaluation(score(classes, answers), tuple(answers), tuple(problems), unknown)
