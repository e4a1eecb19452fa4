"""Folds and validation parts, with pictures of one group kept together where groups are known.

Needs scikit-learn (the `train` extra).
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from steelsight.data import catalog, foldfile, grouping
from steelsight.data.foldfile import TRAINING_ONLY, Assignment
from steelsight.data.naming import names_of
from steelsight.records import SteelsightError

PROTOCOLS = ("published", "leak-free")
FINEST = 20
"""Held-out shares are multiples of a twentieth or of a coarser part."""

OFF = 0.1
"""A held-out share of a class that is further than this from what was asked is remarked upon."""


@dataclass(frozen=True, slots=True)
class Split:
    """A picture's fold each, and a sentence for whatever could not be done as it was asked."""

    assignments: tuple[Assignment, ...]
    remarks: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    """A sentence for each file that has no label or cannot be used."""

    @property
    def sentence(self) -> str:
        """How many pictures each fold has."""
        sizes = dict(sorted(Counter(entry.fold for entry in self.assignments).items()))
        untested = sizes.pop(TRAINING_ONLY, 0)
        folds = f"{len(sizes)} folds" if len(sizes) > 1 else "one test part"
        kept = f", and {untested} for training alone" if untested else ""
        return f"{folds} of {', '.join(map(str, sizes.values()))} pictures{kept}"


def assign(
    names: Sequence[str], labels: Sequence[str], groups: Sequence[str] | None, folds: int, seed: int = 0
) -> Split:
    """Stratified folds; with groups, no group is in two folds.

    Without groups they are scikit-learn's `StratifiedKFold(folds, shuffle=True, random_state=seed)`, the papers'
    protocol; with groups its `StratifiedGroupKFold`. A class in a single group (without groups: a single picture) can
    be learned or tested, not both: it is TRAINING_ONLY. Where there are too few groups there are fewer folds; remarks
    say so. Raises SteelsightError where not even two folds can be made.
    """
    dealt = _dealt(labels, groups)
    units = _units(labels, groups, dealt)
    thing = "groups of pictures that share pixels" if groups else "pictures"
    most = max((len(found) for found in units.values()), default=0)
    if most < 2:
        raise SteelsightError(f"No class has two {thing}, so nothing can be both learned and tested; add pictures.")
    remarks = []
    if most < folds:
        remarks.append(f"No class has more than {most} {thing}, so there are {most} folds and not {folds}.")
        folds = most
    remarks += [
        f"Class {label} has only {len(found)} {thing}, so some of the {folds} folds do not test it."
        for label, found in units.items()
        if 1 < len(found) < folds
    ]
    fold_of = dict.fromkeys(range(len(names)), TRAINING_ONLY)
    for number, test in enumerate(_parts(labels, groups, dealt, folds, seed)):
        fold_of |= dict.fromkeys(test, number)
    fold_of = _learnable(labels, groups, fold_of)
    return _split(names, labels, groups, fold_of, remarks)


def assign_holdout(
    names: Sequence[str], labels: Sequence[str], groups: Sequence[str] | None, share: float, seed: int = 0
) -> Split:
    """A single test part, fold 0, of about `share` of each class, with all others TRAINING_ONLY."""

    def nearest(parts: list[list[int]], count: int) -> list[list[int]]:
        """Large groups make uneven parts, so those that come nearest to the share in every class are taken."""
        classes = sorted(set(labels))
        counts = np.array([[sum(labels[n] == label for n in one) for label in classes] for one in parts])
        wanted = count / len(parts) * counts.sum(axis=0)
        best = min(
            combinations(range(len(parts)), count),
            key=lambda chosen: float(np.abs(counts[list(chosen)].sum(axis=0) - wanted).max()),
        )
        return [parts[at] for at in best]

    held = _held(labels, groups, share, seed, nearest)
    if not held:
        raise SteelsightError("No class has two pictures, or groups of them, so nothing can be held out; add pictures.")
    fold_of = dict.fromkeys(range(len(names)), TRAINING_ONLY) | dict.fromkeys(held, 0)
    made = _split(names, labels, groups, fold_of, [])
    return replace(made, remarks=(*made.remarks, *_off_share(made.assignments, share)))


def split(data: Path, out: Path, protocol: str, folds: str, *, groups: Path | None, seed: int) -> Split:
    """Writes the fold file of a labelled folder.

    folds: how many, or a holdout such as "70/30", training before test. groups: a file of them for the leak-free
    protocol; where None, overlap is looked for and kept beside `out`. Raises SteelsightError.
    """
    if protocol not in PROTOCOLS:
        raise SteelsightError(f"There is no protocol {protocol}; give {' or '.join(PROTOCOLS)}.")
    count, share = _asked(folds)
    labelled = catalog.read(data)
    root = catalog.root_of(data)
    paths = [sample.path for sample in labelled.samples]
    names, labels = names_of(paths, root), [sample.label for sample in labelled.samples]
    known = None
    if protocol == "leak-free":
        kept = out.with_name(f"{out.stem}-groups.csv")
        known = grouping.read(groups, names) if groups else grouping.find_or_read(paths, names, kept)
    made = assign_holdout(names, labels, known, share, seed) if share else assign(names, labels, known, count, seed)
    try:
        foldfile.write(made.assignments, out)
    except OSError as error:
        raise SteelsightError(f"{out}: cannot be written ({error.strerror}); give another --out.") from None
    return replace(made, left_out=labelled.problems)


def is_file(folds: str) -> bool:
    """Whether what was given as folds is a fold file's name, not a number or a holdout."""
    return not re.fullmatch(r"\d+(/\d+)?", folds)


def hold_out(
    labels: Sequence[str], groups: Sequence[str] | None, share: float, seed: int = 0
) -> tuple[list[int], list[int]]:
    """Numbers of the pictures that stay, and of those held out: about `share` of each class, groups uncut.

    A class that cannot be cut, such as one whose pictures are all in one group, stays whole.
    """
    held = _held(labels, groups, share, seed, lambda parts, count: parts[:count]) if share > 0 else set()
    return [n for n in range(len(labels)) if n not in held], sorted(held)


def _asked(folds: str) -> tuple[int, float]:
    """How many folds, and the share held out: one of the two is 0."""
    if folds.isdecimal() and int(folds) >= 2:
        return int(folds), 0.0
    parts = [int(part) for part in folds.split("/")] if re.fullmatch(r"\d+/\d+", folds) else []
    if parts and all(parts):
        return 0, parts[1] / sum(parts)
    raise SteelsightError(f"Folds {folds}: give a number of 2 or more, or a holdout such as 70/30.")


def _units(labels: Sequence[str], groups: Sequence[str] | None, dealt: Sequence[int]) -> dict[str, set[str]]:
    """What each class has to deal out: its groups, or its pictures where there are none."""
    units: dict[str, set[str]] = {labels[n]: set() for n in dealt}
    for n in dealt:
        units[labels[n]].add(groups[n] if groups else str(n))
    return dict(sorted(units.items()))


def _dealt(labels: Sequence[str], groups: Sequence[str] | None) -> list[int]:
    """The pictures that can be learned in one fold and tested in another.

    Not those of a class in a single group; nor, since groups stay whole, what else is in that group.
    """
    dealt = list(range(len(labels)))
    while True:
        units = _units(labels, groups, dealt)
        whole = {unit for found in units.values() if len(found) == 1 for unit in found}
        if not whole:
            return dealt
        dealt = [n for n in dealt if (groups[n] if groups else str(n)) not in whole]


def _held(
    labels: Sequence[str],
    groups: Sequence[str] | None,
    share: float,
    seed: int,
    choose: Callable[[list[list[int]], int], list[list[int]]],
) -> set[int]:
    """The numbers of about `share` of each class, whole groups. `choose` takes so many of equal parts.

    A class that has fewer groups than there are parts gives its share of them by lot, and one at least.
    """
    dealt = _dealt(labels, groups)
    units = _units(labels, groups, dealt)
    if not dealt:
        return set()
    finest = min(FINEST, max(map(len, units.values())))
    part = max(Fraction(share).limit_denominator(finest), Fraction(1, finest))
    part = min(part, Fraction(finest - 1, finest))
    unit_of = {n: groups[n] if groups else str(n) for n in range(len(labels))}
    common = [n for n in dealt if len(units[labels[n]]) >= part.denominator]
    parts = _parts(labels, groups, common, part.denominator, seed) if common else []
    taken = {unit_of[n] for one in choose(parts, part.numerator) for n in one} if parts else set()
    lots = np.random.default_rng(seed)
    for its in units.values():
        if len(its) < part.denominator and not its & taken:
            count = min(max(1, round(share * len(its))), len(its) - 1)
            taken |= set(lots.permutation(sorted(its))[:count].tolist())
    fold_of = {n: 0 if unit_of[n] in taken else TRAINING_ONLY for n in unit_of}
    return {n for n, fold in _learnable(labels, groups, fold_of).items() if fold == 0}


def _off_share(assignments: Sequence[Assignment], share: float) -> list[str]:
    """A remark for each class of which far more or less is tested than was asked."""
    remarks = []
    for label in sorted({entry.label for entry in assignments}):
        its = [entry.fold == 0 for entry in assignments if entry.label == label]
        if any(its) and abs(sum(its) / len(its) - share) > OFF:
            remarks.append(
                f"Of class {label} {sum(its)} of {len(its)} pictures are tested, and not {100 * share:.0f} %: its "
                "groups are too large, or too few, to be cut so."
            )
    return remarks


def _uneven(fold_of: Mapping[int, int]) -> list[str]:
    """A remark where folds are of very different size."""
    sizes = Counter(fold for fold in fold_of.values() if fold != TRAINING_ONLY).values()
    if max(sizes) <= 2 * min(sizes):
        return []
    return [f"The folds have from {min(sizes)} to {max(sizes)} pictures, since groups that share pixels stay whole."]


def _learnable(labels: Sequence[str], groups: Sequence[str] | None, fold_of: Mapping[int, int]) -> dict[int, int]:
    """Takes classes that ended up in one fold alone out of it, whole groups, so that none is tested unlearned."""
    fold_of = dict(fold_of)
    while True:
        folds = {label: {fold_of[n] for n in fold_of if labels[n] == label} for label in set(labels)}
        alone = {label for label, its in folds.items() if len(its) == 1 and its != {TRAINING_ONLY}}
        if not alone:
            return fold_of
        whole = {groups[n] if groups else str(n) for n in fold_of if labels[n] in alone}
        fold_of |= {n: TRAINING_ONLY for n in fold_of if (groups[n] if groups else str(n)) in whole}


def _split(
    names: Sequence[str],
    labels: Sequence[str],
    groups: Sequence[str] | None,
    fold_of: Mapping[int, int],
    remarks: Sequence[str],
) -> Split:
    tested = {labels[n] for n, fold in fold_of.items() if fold != TRAINING_ONLY}
    if not tested:
        raise SteelsightError("The pictures share too many pixels to be split; add pictures of other places.")
    never = [
        f"Class {label} has too few pictures, or they share too many pixels, to be both learned and tested, so it is "
        "kept for training; add others."
        for label in sorted(set(labels) - tested)
    ]
    rows = enumerate(zip(names, labels, strict=True))
    return Split(
        tuple(Assignment(name, label, groups[n] if groups else "", fold_of[n]) for n, (name, label) in rows),
        (*never, *remarks, *_uneven(fold_of)),
    )


def _parts(
    labels: Sequence[str], groups: Sequence[str] | None, dealt: Sequence[int], folds: int, seed: int
) -> list[list[int]]:
    """The numbers of the pictures `dealt` out, in as many parts as there are folds."""
    kind = StratifiedGroupKFold if groups else StratifiedKFold
    splitter = kind(folds, shuffle=True, random_state=seed)
    in_groups = [groups[n] for n in dealt] if groups else None
    with warnings.catch_warnings():
        # The remarks of `assign` say it in our words.
        warnings.filterwarnings("ignore", "The least populated class")
        tests = [test for _, test in splitter.split(np.zeros(len(dealt)), [labels[n] for n in dealt], in_groups)]
    return [[dealt[at] for at in test] for test in tests]
