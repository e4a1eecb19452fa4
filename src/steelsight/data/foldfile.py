"""Fold files: CSV with the columns image,label,group,fold, which say what is learned and what is tested."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steelsight.data.naming import Named, names_of
from steelsight.records import Sample, SteelsightError

COLUMNS = ["image", "label", "group", "fold"]

TRAINING_ONLY = -1
"""The fold of pictures that are never tested: all but the test part of a holdout, and a class in a single group."""
UNUSED = -2
"""The fold of pictures that are neither learned nor tested: those that a choice must not see."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One line of a fold file; `group` is empty where pictures are not grouped."""

    image: str
    label: str
    group: str
    fold: int


def write(assignments: Sequence[Assignment], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((entry.image, entry.label, entry.group, entry.fold) for entry in assignments)


def read(path: Path) -> list[Assignment]:
    """The lines of a fold file. Raises SteelsightError with one sentence where it is not one."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        if not rows:
            raise ValueError("no line")
        found = [Assignment(row["image"], row["label"], row["group"] or "", int(row["fold"])) for row in rows]
        if min(entry.fold for entry in found) < UNUSED:
            raise ValueError("a fold that means nothing")
        return found
    except FileNotFoundError:
        raise SteelsightError(f"{path}: there is no such fold file; make one with `steelsight data split`.") from None
    except (OSError, KeyError, TypeError, ValueError, csv.Error):
        raise SteelsightError(
            f"{path}: is not a fold file; it needs the columns {','.join(COLUMNS)}, with whole numbers as folds "
            f"({TRAINING_ONLY} for pictures that are never tested, {UNUSED} for those that are not used at all)."
        ) from None


def match(
    names: Sequence[str], labels: Sequence[str], assignments: Sequence[Assignment], path: Path
) -> tuple[list[Assignment], list[str]]:
    """The assignment of each picture, and a remark for what else is odd about the file `path`.

    Raises SteelsightError where a picture has no line, two, or one with another label.
    """
    try:
        known = Named((entry.image, entry) for entry in assignments)
    except ValueError as twice:
        raise SteelsightError(f"{path}: names {twice} twice; delete one of the lines.") from None
    missing = [name for name in names if known.get(name) is None]
    if missing:
        raise SteelsightError(f"{path}: has no line for {_some(missing)}; make the fold file from the same folder.")
    found = [entry for name in names if (entry := known.get(name))]
    other = [
        f"{name} ({label}, there {entry.label})"
        for name, label, entry in zip(names, labels, found, strict=True)
        if label != entry.label
    ]
    if other:
        raise SteelsightError(f"{path}: has another label for {_some(other)}; make the fold file from the same folder.")
    return found, [*_absent(known.beyond(names), path), *_cut_groups(found, path)]


def match_samples(samples: Sequence[Sample], root: Path, folds: Path) -> tuple[list[Assignment], list[str]]:
    """The assignment of each sample of the data's folder `root` in a fold file, and remarks, as `match` gives them."""
    names = names_of([sample.path for sample in samples], root)
    return match(names, [sample.label for sample in samples], read(folds), folds)


def check_fold(fold: int, assignments: Sequence[Assignment], path: Path) -> None:
    """Raises SteelsightError where no picture is in a fold."""
    known = tested(assignments)
    if fold not in known:
        raise SteelsightError(f"{path}: has no fold {fold} to test; its folds are {', '.join(map(str, known))}.")


def groups_of(images: Sequence[str], assignments: Sequence[Assignment]) -> dict[str, str]:
    """The group of each picture, by its path or name; one that is in no group is its own."""
    known = Named((entry.image, entry.group) for entry in assignments)
    return {image: known.get(image) or image for image in images}


def tested(assignments: Sequence[Assignment]) -> list[int]:
    """The folds that can be test parts."""
    return sorted({entry.fold for entry in assignments} - {TRAINING_ONLY, UNUSED})


def _absent(names: Sequence[str], path: Path) -> list[str]:
    return [f"{path}: names pictures that are not there or cannot be read: {_some(names)}."] if names else []


def _cut_groups(found: Sequence[Assignment], path: Path) -> list[str]:
    folds_of = defaultdict[str, set[int]](set)
    for entry in found:
        if entry.fold != UNUSED:
            folds_of[entry.group].add(entry.fold)
    cut = sorted(group for group, folds in folds_of.items() if group and len(folds) > 1)
    if not cut:
        return []
    return [f"{path}: group {_some(cut)} in more than one fold, so what is tested was partly seen in training."]


def _some(names: Sequence[str]) -> str:
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else names[0]
