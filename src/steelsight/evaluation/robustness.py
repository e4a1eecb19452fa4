"""How a model holds up on harsh pictures: every picture of a folder in every kind and strength of the suite."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model said of pictures as they are, and of harsh ones."""

    clean: Shares
    """Scores, shape (pictures, classes)."""
    harsh: Shares
    """Shape (kinds, strengths, pictures, classes)."""
    clean_strangeness: Shares
    """Shape (pictures,); not a number where the model cannot tell."""
    harsh_strangeness: Shares
    """Shape (kinds, strengths, pictures)."""


def answers(
    classifier: Classifier, pictures: Iterable[tuple[str, GreyImage]], on_picture: Callable[[], object] = lambda: None
) -> Answers:
    """Asks the model about pictures with their file names, each as it is and in every kind and strength."""
    told = [
        [*prediction.scores.values(), math.nan if prediction.strangeness is None else prediction.strangeness]
        for prediction, _ in classifier.stream(_all_of(pictures, on_picture))
    ]
    values = np.array(told).reshape(-1, 1 + len(STRENGTHS) * LEVELS, len(classifier.classes) + 1)
    harsh = np.moveaxis(values[:, 1:].reshape(len(values), len(STRENGTHS), LEVELS, -1), 0, 2)
    return Answers(values[:, 0, :-1], harsh[..., :-1], values[:, 0, -1], harsh[..., -1])


def harsh_scores(truths: Sequence[int], clean: Shares, harsh: Shares) -> HarshScores:
    """Numbers of the true classes of at least one picture, and scores as `Answers` holds them -> what they come to."""
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
