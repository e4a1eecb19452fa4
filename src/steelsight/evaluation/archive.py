"""Committed results: one JSON file a cell, RESULTS/RECIPE/NETWORK/PROTOCOL-fold-K-seed-S.json, and what they come to.

PROTOCOL is the stem of a fold file, so all figures can be counted again from the names of the mistaken pictures.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

import numpy as np

from steelsight.data.foldfile import Assignment
from steelsight.data.naming import Named
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
    definition: Mapping[str, Any]
    """What the study said when it was run (`studies.definition_of`)."""


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
            found.append(_kept(key, json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise SteelsightError(f"{path}: is not a result of a cell; delete it and run the study again.") from None
    return sorted(found, key=lambda cell: (cell.key.path.parent, cell.key.protocol, cell.key.seed, cell.key.fold))


def pool(cells: Sequence[Kept], folds: Sequence[Assignment], group_of: Mapping[str, str]) -> Pooled:
    """At least one cell with scores, the protocol's fold file, and groups by picture -> their figures.

    Raises SteelsightError where the cells do not fit the fold file.
    """
    scores = [cell.scores for cell in cells if cell.scores]
    answered = [pair for cell in cells for pair in _answered(cell, folds)]
    return Pooled(
        cells=len(scores),
        images=len(answered),
        mistakes=sum(not is_right for _, is_right in answered),
        accuracy=_mean_and_deviation([each["accuracy"] for each in scores]),
        macro_f1=_mean_and_deviation([each["macro_f1"] for each in scores]),
        interval=accuracy_interval([is_right for _, is_right in answered], [group_of[image] for image, _ in answered]),
    )


def shares_right(cells: Sequence[Kept], folds: Sequence[Assignment]) -> dict[str, Fraction]:
    """By picture: in which share of its cells it was right; what `comparison.compare` takes.

    Raises SteelsightError where the cells do not fit the fold file.
    """
    right = defaultdict(list)
    for cell in cells:
        for image, is_right in _answered(cell, folds):
            right[image].append(is_right)
    return {image: Fraction(sum(found), len(found)) for image, found in right.items()}


def confusion(cells: Sequence[Kept]) -> tuple[list[str], list[list[int]]]:
    """Classes, and how many pictures of each (rows) were taken for each (columns), over all cells with scores."""
    scores = [cell.scores for cell in cells if cell.scores]
    return list(scores[0]["classes"]), np.sum([each["confusion"] for each in scores], axis=0).tolist()


def _kept(key: Key, held: Mapping[str, Any]) -> Kept:
    """Raises ValueError, KeyError, TypeError or AttributeError where something is missing or of another kind."""
    scores = held["scores"]
    if scores is not None:
        scores["confusion"], scores["classes"], scores["images"] + scores["accuracy"] + scores["macro_f1"]
        [(mistake["image"], mistake["predicted"], mistake["truth"]) for mistake in scores["mistakes"]]
    return Kept(
        key,
        dict(held["facts"]),
        scores,
        list(held.get("problems", ())),
        dict(held["provenance"]),
        list(held.get("history", ())),
        dict(held.get("definition", {})),
    )


def _answered(cell: Kept, folds: Sequence[Assignment]) -> list[tuple[str, bool]]:
    """The tested pictures of a cell, and whether each was right; none for a cell without scores."""
    if not cell.scores:
        return []
    wrong = Named((mistake["image"], True) for mistake in cell.scores["mistakes"])
    found = [(entry.image, wrong.get(entry.image) is None) for entry in folds if entry.fold == cell.key.fold]
    mistakes = sum(not is_right for _, is_right in found)
    if len(found) != cell.scores["images"] or mistakes != len(cell.scores["mistakes"]):
        raise SteelsightError(f"{cell.key.path}: does not fit the fold file {cell.key.protocol}; run the cell again.")
    return found


def _mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    return mean(values), pstdev(values)
