"""How a model holds up on harsh pictures: every picture of a folder in every kind and strength of the suite."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from steelsight.evaluation.harsh import NEVER_TRAINED_ON, STRENGTHS, corrupt
from steelsight.evaluation.metrics import certainty_of
from steelsight.records import GreyImage, HarshScores
from steelsight.runtime.classifier import Classifier

Shares = npt.NDArray[np.floating[Any]]
LEVELS = 5
"""Strengths of each kind."""


def answers(
    classifier: Classifier, pictures: Iterable[tuple[str, GreyImage]], on_picture: Callable[[], object] = lambda: None
) -> tuple[Shares, Shares]:
    """Pictures with their file names -> scores of the clean ones, shape (pictures, classes), and of the harsh ones,
    shape (kinds, strengths, pictures, classes)."""
    predictions = classifier.stream(_all_of(pictures, on_picture))
    scores = np.array([list(prediction.scores.values()) for prediction, _ in predictions])
    scores = scores.reshape(-1, 1 + len(STRENGTHS) * LEVELS, len(classifier.classes))
    harsh = scores[:, 1:].reshape(len(scores), len(STRENGTHS), LEVELS, -1)
    return scores[:, 0], np.moveaxis(harsh, 0, 2)


def harsh_scores(truths: Sequence[int], clean: Shares, harsh: Shares) -> HarshScores:
    """Numbers of the true classes of at least one picture, and scores as `answers` gives them -> what they come to."""
    truth = np.asarray(truths)
    right = (harsh.argmax(-1) == truth).mean(-1)
    flat = harsh.reshape(-1, harsh.shape[-1])
    return HarshScores(
        images=len(truth),
        clean=float((clean.argmax(-1) == truth).mean()),
        accuracy={kind: tuple(row) for kind, row in zip(STRENGTHS, right.tolist(), strict=True)},
        never_trained_on=NEVER_TRAINED_ON,
        certainty=certainty_of(flat, np.tile(truth, len(flat) // len(truth))),
    )


def _all_of(pictures: Iterable[tuple[str, GreyImage]], on_picture: Callable[[], object]) -> Iterator[GreyImage]:
    """Each picture as it is, then in every kind and strength."""
    for name, grey in pictures:
        yield grey
        for kind in STRENGTHS:
            for strength in range(1, LEVELS + 1):
                yield corrupt(grey, kind, strength, name)
        on_picture()
