"""Writes the folds on which choices are made, of pictures that are in no test part: `python studies/choices.py`.

Learning rates for paper 2 are chosen among pictures that neither of its 70/30 splits tests; networks and recipes for
five folds among those that fold 0 of the leak-free folds does not test. What is to be scored on the published 70/30
split alone is chosen among the pictures that it trains on, in random folds, as that split is random. All other pictures
are unused there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from steelsight.data import foldfile, splits
from steelsight.data.foldfile import UNUSED, Assignment
from steelsight.evaluation.studies import GROUPS

FOLDS = Path(__file__).parent / "folds"
CHOICES = {
    "neu-cls-choices": ("neu-cls-leak-free-495",),
    "neu-cls-choices-70-30": ("neu-cls-leak-free-70-30", "neu-cls-published-70-30"),
}
RANDOM_CHOICES = {"neu-cls-choices-published-70-30": ("neu-cls-published-70-30",)}


def choices(protocols: Sequence[str], *, leak_free: bool) -> list[Assignment]:
    """Five folds of the pictures that no fold 0 of these protocols holds."""
    everything = foldfile.read(FOLDS / f"{GROUPS}.csv")
    tested = {each.image for name in protocols for each in foldfile.read(FOLDS / f"{name}.csv") if each.fold == 0}
    free = [each for each in everything if each.image not in tested]
    groups = [e.group for e in free] if leak_free else None
    made = splits.assign([e.image for e in free], [e.label for e in free], groups, folds=5)
    unused = [replace(e, fold=UNUSED, group=e.group if leak_free else "") for e in everything if e.image in tested]
    return [*made.assignments, *unused]


if __name__ == "__main__":
    for name, protocols in {**CHOICES, **RANDOM_CHOICES}.items():
        foldfile.write(choices(protocols, leak_free=name in CHOICES), FOLDS / f"{name}.csv")
