"""Committed results: one JSON file a cell, RESULTS/RECIPE/NETWORK/PROTOCOL-fold-K-seed-S.json, and what they come to.

PROTOCOL is the stem of a fold file, so all figures can be counted again from the names of the mistaken pictures.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

from steelsight.data.foldfile import Assignment
from steelsight.data.naming import without_ending
from steelsight.evaluation.metrics import Interval, accuracy_interval
from steelsight.records import SteelsightError


@dataclass(frozen=True, slots=True)
class Key:
    """What a cell is a result of; `recipe` and `network` are names that a study gives."""

    recipe: str
    network: str
    protocol: str
    fold: int
    seed: int

    @property
    def path(self) -> Path:
        """Where the cell lies below the folder of results."""
        return Path(self.recipe, self.network, f"{self.protocol}-fold-{self.fold}-seed-{self.seed}.json")


@dataclass(frozen=True, slots=True)
class Kept:
    """A finished cell. `scores` are as `records.Scores`; None where it failed, and then `problems` say why."""

    key: Key
    facts: Mapping[str, str]
    scores: Mapping[str, Any] | None
    problems: Sequence[str]
    provenance: Mapping[str, str]
    history: Sequence[Mapping[str, float]]

    @property
    def wrong(self) -> dict[str, str]:
        """Mistaken pictures, without their ending -> what each was taken for."""
        mistakes = self.scores["mistakes"] if self.scores else ()
        return {without_ending(each["image"]): each["predicted"] for each in mistakes}


@dataclass(frozen=True, slots=True)
class Pooled:
    """Cells of one network under one protocol. Means are of the cells, with the population deviation, in 0..1."""

    cells: int
    images: int
    mistakes: int
    accuracy: tuple[float, float]
    macro_f1: tuple[float, float]
    interval: Interval
    """Of the share of right answers, by draws of whole groups."""


def load(results: Path) -> list[Kept]:
    """All cells below a folder, in order of their names. Raises SteelsightError where a file is damaged."""
    found = []
    for path in sorted(results.glob("*/*/*.json")):
        name = re.fullmatch(r"(.+)-fold-(\d+)-seed-(\d+)", path.stem)
        if not name:
            continue
        key = Key(path.parent.parent.name, path.parent.name, name[1], int(name[2]), int(name[3]))
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            found.append(
                Kept(
                    key,
                    held["facts"],
                    held["scores"],
                    held.get("problems", ()),
                    held["provenance"],
                    held.get("history", ()),
                )
            )
        except (ValueError, KeyError, TypeError):
            raise SteelsightError(f"{path}: is not a result of a cell; delete it and run the study again.") from None
    return sorted(found, key=lambda cell: (cell.key.path.parent, cell.key.protocol, cell.key.seed, cell.key.fold))


def of(cells: Sequence[Kept], network: str, protocol: str, recipe: str | None = None) -> list[Kept]:
    """The cells of a network under a protocol that have scores."""
    return [
        cell
        for cell in cells
        if (cell.key.network, cell.key.protocol) == (network, protocol)
        and recipe in (None, cell.key.recipe)
        and cell.scores
    ]


def pool(cells: Sequence[Kept], folds: Sequence[Assignment], group_of: Mapping[str, str]) -> Pooled:
    """At least one cell with scores, the protocol's fold file, and groups by picture -> their figures."""
    scores = [cell.scores for cell in cells if cell.scores]
    right, groups = [], []
    for cell in cells:
        tested = [entry.image for entry in folds if entry.fold == cell.key.fold]
        right += [image not in cell.wrong for image in tested]
        groups += [group_of[image] for image in tested]
    return Pooled(
        cells=len(scores),
        images=sum(each["images"] for each in scores),
        mistakes=sum(len(each["mistakes"]) for each in scores),
        accuracy=_mean_and_deviation([each["accuracy"] for each in scores]),
        macro_f1=_mean_and_deviation([each["macro_f1"] for each in scores]),
        interval=accuracy_interval(right, groups),
    )


def shares_right(cells: Sequence[Kept], folds: Sequence[Assignment]) -> dict[str, Fraction]:
    """By picture: in which share of its cells it was right; what `comparison.compare` takes."""
    right: Counter[str] = Counter()
    times: Counter[str] = Counter()
    for cell in cells:
        tested = [entry.image for entry in folds if entry.fold == cell.key.fold]
        times.update(tested)
        right.update(image for image in tested if image not in cell.wrong)
    return {image: Fraction(right[image], count) for image, count in times.items()}


def _mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    return mean(values), pstdev(values)
