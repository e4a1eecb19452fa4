"""Pictures that show what the check of a folder found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steelsight.data import overlap
from steelsight.data.naming import Named
from steelsight.evaluation.labels import Suspect
from steelsight.records import Exhibit, GreyImage, Sample

MOST = 12
"""Pictures under each finding."""


@dataclass(frozen=True, slots=True)
class Readable:
    """The samples that can be decoded, with their pixels and their names below the data's folder."""

    samples: tuple[Sample, ...]
    greys: tuple[GreyImage, ...]
    names: tuple[str, ...]

    @property
    def labels(self) -> list[str]:
        return [sample.label for sample in self.samples]


def pairs(readable: Readable, found: Sequence[overlap.Overlap]) -> list[Exhibit]:
    """The pairs that share most pixels, side by side, with the shared area framed."""
    return [_pair(readable, each) for each in largest(found)[:MOST]]


def singles(readable: Readable, doubted: Sequence[Suspect]) -> list[Exhibit]:
    """Pictures whose label is doubted."""
    at = Named((name, number) for number, name in enumerate(readable.names))
    return [
        Exhibit(f"{each.image}: labelled {each.label}, looks like {each.likelier}", readable.greys[number])
        for each in doubted[:MOST]
        if (number := at.get(each.image)) is not None
    ]


def largest(found: Sequence[overlap.Overlap]) -> list[overlap.Overlap]:
    """The overlaps, that over most pixels first."""
    return sorted(found, key=lambda each: -each.area)


def laid(each: overlap.Overlap) -> str:
    """How the second picture lies on the first, in words."""
    turned = f", turned {90 * each.turn}°" if each.turn else ""
    mirrored, encoded = ", mirrored" if each.mirrored else "", "" if each.exact else ", re-encoded"
    return f"at ({each.dx}, {each.dy}){turned}{mirrored}{encoded}"


def _pair(readable: Readable, each: overlap.Overlap) -> Exhibit:
    sheet = overlap.evidence(readable.greys[each.first], readable.greys[each.second], each)
    one, other = (f"{readable.names[n]} ({readable.samples[n].label})" for n in (each.first, each.second))
    return Exhibit(f"{one} and {other}: {each.area:,} pixels, the second laid {laid(each)}", np.asarray(sheet))
