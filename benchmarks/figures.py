"""What the records come to: lookups, ratios and floors, for the page."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from statistics import median, quantiles

from benchmarks.choice import fastest
from benchmarks.records import REDUCED, Counted, Speed, Start, Times, Variant

Key = tuple[str, Variant, str, int]
"""Number of cores, file, way of calling, number of pictures."""


class Figures:
    """The records of one file of results, by what is asked of them. None stands for what was not measured."""

    def __init__(self, speed: Speed) -> None:
        self.speed = speed

    def times(self, variant: Variant | None, way: str = "engine", pictures: int = 1, cores: int = 1) -> Times | None:
        return self._times.get((str(cores), variant, way, pictures)) if variant else None

    def fastest(self, network: str, size: int) -> tuple[Variant | None, Variant | None]:
        """The fastest file in fp32 and in reduced precision, by what was tried on one core."""
        found = [each for each in self._fastest if (each.network, each.size) == (network, size)]
        in_float, reduced = (
            next((each for each in found if (each.precision in REDUCED) == is_reduced), None)
            for is_reduced in (False, True)
        )
        return in_float, reduced

    def start(self, variant: Variant, cores: int) -> Start | None:
        starts = self.speed.sections[str(cores)].starts
        return next((each for each in starts if each.variant == variant), None)

    def counted(self, network: str, size: int) -> Counted:
        return next(each for each in self.speed.counted if (each.network, each.size) == (network, size))

    def floor(self, variant: Variant, cores: int) -> float | None:
        """Milliseconds that the multiplications of a picture take at the processor's peak."""
        peak = self.speed.peaks.get(str(cores), {}).get(variant.precision)
        return 1000 * self.counted(variant.network, variant.size).macs / peak if peak else None

    @cached_property
    def _fastest(self) -> list[Variant]:
        section = self.speed.sections.get("1")
        return fastest(section.tried) if section else []

    @cached_property
    def _times(self) -> dict[Key, Times]:
        return {
            (cores, each.variant, each.way, each.pictures): each
            for cores, section in self.speed.sections.items()
            for each in section.times
        }


def ratio(slow: Times, fast: Times) -> float:
    """How many times as long one takes as the other, in the same round; the median over the rounds."""
    return median(one / other for one, other in zip(slow.rounds, fast.rounds, strict=False))


def unrest(times: Sequence[Times]) -> float | None:
    """How far the middle half of a file's rounds spans, as a share of their median; the median of all files.

    None where there were too few rounds to tell.
    """
    told = [each.rounds for each in times if len(each.rounds) >= 4]
    spans = [(quantiles(rounds)[2] - quantiles(rounds)[0]) / median(rounds) for rounds in told]
    return median(spans) if spans else None
