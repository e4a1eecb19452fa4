"""Writes the leak-free folds with one class left out, for each class: `python studies/left_out.py`.

A network that is trained on five classes should say of the sixth that it does not know it. The pictures of the class
left out are unused there: all of them are strange to every network.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from steelsight.data import foldfile
from steelsight.evaluation.studies import GROUPS

FOLDS = Path(__file__).parent / "folds"

if __name__ == "__main__":
    everything = foldfile.read(FOLDS / f"{GROUPS}.csv")
    for label in sorted({each.label for each in everything}):
        entries = [replace(each, fold=foldfile.UNUSED) if each.label == label else each for each in everything]
        foldfile.write(entries, FOLDS / f"neu-cls-without-{label}.csv")
