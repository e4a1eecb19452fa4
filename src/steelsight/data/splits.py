"""Folds and validation parts, with pictures of one group kept together where groups are known.

Needs scikit-learn (the `train` extra).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from steelsight.data import catalog, grouping
from steelsight.records import SteelsightError

PROTOCOLS = ("published", "leak-free")
COLUMNS = ["image", "label", "group", "fold"]


@dataclass(frozen=True, slots=True)
class Assignment:
    """One line of a fold file; `group` is empty where pictures are not grouped."""

    image: str
    label: str
    group: str
    fold: int


def assign(
    names: Sequence[str], labels: Sequence[str], groups: Sequence[str] | None, folds: int, seed: int = 0
) -> list[Assignment]:
    """Stratified folds; with groups, no group is in two folds.

    Without groups they are scikit-learn's `StratifiedKFold(folds, shuffle=True, random_state=seed)`, the papers'
    protocol; with groups its `StratifiedGroupKFold`. Raises SteelsightError where a class is too small.
    """
    smallest = min(labels, key=labels.count)
    if labels.count(smallest) < folds:
        raise SteelsightError(
            f"Class {smallest} has {labels.count(smallest)} pictures, too few for {folds} folds; "
            f"ask for {max(2, labels.count(smallest))} folds or add pictures."
        )
    fold_of = np.zeros(len(names), dtype=int)
    for number, test in enumerate(_parts(labels, groups, folds, seed)):
        fold_of[test] = number
    return [
        Assignment(name, label, groups[n] if groups else "", int(fold_of[n]))
        for n, (name, label) in enumerate(zip(names, labels, strict=True))
    ]


def split(data: Path, out: Path, protocol: str, folds: int, *, groups: Path | None, seed: int) -> list[int]:
    """Writes the fold file of a labelled folder and returns the number of pictures in each fold.

    groups: a file of them for the leak-free protocol; where None, overlap is looked for and kept beside `out`.
    """
    labelled = catalog.read(data)
    root = data if data.is_dir() else data.parent
    names = [name_of(sample.path, root) for sample in labelled.samples]
    labels = [sample.label for sample in labelled.samples]
    if protocol not in PROTOCOLS:
        raise SteelsightError(f"There is no protocol {protocol}; give {' or '.join(PROTOCOLS)}.")
    known = None
    if protocol == "leak-free":
        paths = [sample.path for sample in labelled.samples]
        kept = out.with_name(f"{out.stem}-groups.csv")
        known = grouping.read(groups, names) if groups else grouping.find_or_read(paths, names, kept)
    assignments = assign(names, labels, known, folds, seed)
    try:
        write(assignments, out)
    except OSError as error:
        raise SteelsightError(f"{out}: cannot be written ({error.strerror}); give another --out.") from None
    return [sum(entry.fold == fold for entry in assignments) for fold in range(folds)]


def hold_out(
    labels: Sequence[str], groups: Sequence[str] | None, share: float, seed: int = 0
) -> tuple[list[int], list[int]]:
    """Numbers of the pictures that stay, and of those held out: about `share` of each class, groups uncut.

    A class with a single picture, or whose pictures are all in one group, stays whole.
    """
    everything = list(range(len(labels)))
    units = {label: {groups[n] if groups else n for n in everything if labels[n] == label} for label in set(labels)}
    split = [n for n in everything if len(units[labels[n]]) > 1]
    if share <= 0 or not split:
        return everything, []
    smallest = min(len(units[labels[n]]) for n in split)
    folds = max(2, min(round(1 / share), smallest))
    parts = _parts([labels[n] for n in split], [groups[n] for n in split] if groups else None, folds, seed)
    held = {split[n] for n in parts[0]}
    return [n for n in everything if n not in held], sorted(held)


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
        return [Assignment(row["image"], row["label"], row["group"] or "", int(row["fold"])) for row in rows]
    except FileNotFoundError:
        raise SteelsightError(f"{path}: there is no such fold file; make one with `steelsight data split`.") from None
    except (OSError, KeyError, TypeError, ValueError, csv.Error):
        raise SteelsightError(
            f"{path}: is not a fold file; it needs the columns {','.join(COLUMNS)}, with whole numbers as folds."
        ) from None


def name_of(path: Path, root: Path) -> str:
    """What fold files call a picture: its path below the data's folder, without the ending."""
    inside = path.relative_to(root) if path.is_relative_to(root) else path
    return inside.with_suffix("").as_posix()


def match(names: Sequence[str], assignments: Sequence[Assignment], path: Path) -> list[Assignment]:
    """The assignment of each name. Raises SteelsightError where one is missing."""
    by_name = {Path(entry.image).with_suffix("").as_posix(): entry for entry in assignments}
    missing = [name for name in names if name not in by_name]
    if missing:
        rest = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise SteelsightError(f"{path}: has no line for {missing[0]}{rest}; make the fold file from the same folder.")
    return [by_name[name] for name in names]


def _parts(labels: Sequence[str], groups: Sequence[str] | None, folds: int, seed: int) -> list[npt.NDArray[np.intp]]:
    kind = StratifiedGroupKFold if groups else StratifiedKFold
    splitter = kind(folds, shuffle=True, random_state=seed)
    return [test for _, test in splitter.split(np.zeros(len(labels)), list(labels), groups)]
