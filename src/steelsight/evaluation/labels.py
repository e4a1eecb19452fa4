"""Likely label errors, from what models say of pictures that they were not trained on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from steelsight.records import Answer

USUAL = 0.95
"""Of the mean score that a class has on its own pictures."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A picture whose label the models do not believe; scores are means over the seeds, 0..1."""

    image: str
    label: str
    likelier: str
    score_of_label: float
    score_of_likelier: float


def suspects(answers: Sequence[Answer]) -> list[Suspect]:
    """Out-of-fold answers -> the pictures whose label is likely wrong, the least believed label first.

    As in confident learning (Northcutt et al. 2021, eq. 1) a picture counts as of the class whose score is the highest
    of those that reach what is usual for that class's own pictures, and where that is not the label, the label is
    suspect. Usual is the mean, or a little under it: of its own pictures, too, half stay under the mean.
    """
    scores = _mean_scores(answers)
    labels = {answer.image: answer.truth for answer in answers}
    usual = {
        label: USUAL * fmean(scores[image][label] for image, its in labels.items() if its == label)
        for label in set(labels.values())
    }
    found = []
    for image, label in labels.items():
        convincing = {name: score for name, score in scores[image].items() if name in usual and score >= usual[name]}
        likelier = max(convincing, key=convincing.__getitem__, default=label)
        if likelier != label:
            found.append(Suspect(image, label, likelier, scores[image][label], scores[image][likelier]))
    return sorted(found, key=lambda suspect: (suspect.score_of_label, suspect.image))


def _mean_scores(answers: Sequence[Answer]) -> dict[str, dict[str, float]]:
    """By picture: each class's score, averaged over its answers."""
    by_image = defaultdict(list)
    for answer in answers:
        by_image[answer.image].append(answer.scores)
    return {
        image: {name: fmean(each[name] for each in found) for name in found[0]} for image, found in by_image.items()
    }
