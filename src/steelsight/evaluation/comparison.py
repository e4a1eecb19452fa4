"""Two models on the same pictures: a paired test, by groups, since pictures of one frame are not independent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

import numpy as np

from steelsight.evaluation.metrics import interval
from steelsight.records import Answer, SteelsightError


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much more often the first model is right than the second, on pictures that both answered."""

    images: int
    first: float
    second: float
    """Accuracies in 0..1."""
    difference: float
    """first - second."""
    interval: tuple[float, float]
    """95 %, by draws of whole groups."""
    p_value: float
    """Two-sided: how often chance alone would make a difference at least as large."""
    only_first_wrong: tuple[str, ...]
    only_second_wrong: tuple[str, ...]
    """Pictures that this model got wrong more often than the other, by name."""

    @property
    def sentence(self) -> str:
        """The difference in points, its interval and its p-value."""
        low, high = (100 * end for end in self.interval)
        return (
            f"{100 * self.difference:+.2f} points, 95 % interval over groups {low:+.2f} to {high:+.2f}, "
            f"paired test p = {self.p_value:.2g}"
        )


def shares_right(answers: Sequence[Answer]) -> dict[str, Fraction]:
    """By picture: the share of its answers that are right; there are several where there are several seeds."""
    found = defaultdict(list)
    for answer in answers:
        found[answer.image].append(answer.is_right)
    return {image: Fraction(sum(right), len(right)) for image, right in found.items()}


def compare(first: Mapping[str, Fraction], second: Mapping[str, Fraction], group_of: Mapping[str, str]) -> Comparison:
    """Shares of right answers by picture, and each picture's group -> the paired comparison.

    Raises SteelsightError where the models answered different pictures.
    """
    if first.keys() != second.keys():
        other = sorted(first.keys() ^ second.keys())
        raise SteelsightError(
            f"Only one of the models answered {other[0]}, in all {len(other)} pictures; compare them on the same folds."
        )
    images = sorted(first)
    gains = [first[image] - second[image] for image in images]
    groups = [group_of[image] for image in images]
    by_group: dict[str, Fraction] = defaultdict(Fraction)
    for group, gain in zip(groups, gains, strict=True):
        by_group[group] += gain
    return Comparison(
        images=len(images),
        first=float(sum(first.values()) / len(images)),
        second=float(sum(second.values()) / len(images)),
        difference=float(sum(gains) / len(images)),
        interval=interval([float(gain) for gain in gains], groups),
        p_value=sign_flip(list(by_group.values())),
        only_first_wrong=tuple(image for image, gain in zip(images, gains, strict=True) if gain < 0),
        only_second_wrong=tuple(image for image, gain in zip(images, gains, strict=True) if gain > 0),
    )


def sign_flip(gains: Sequence[Fraction]) -> float:
    """Two-sided p-value of the sum of independent gains whose signs, were the models alike, would be chance.

    Exact, over all ways to set the signs. With gains of 1 and -1 alone it is McNemar's exact test.
    """
    scale = lcm(*(gain.denominator for gain in gains))
    steps = [abs(int(gain * scale)) for gain in gains if gain]
    # Probability of each sum from -reach to reach, each sign set in turn.
    reach = sum(steps)
    chance = np.zeros(2 * reach + 1)
    chance[reach] = 1
    for step in steps:
        chance = (np.roll(chance, step) + np.roll(chance, -step)) / 2
    seen = abs(int(sum(gains) * scale))
    sums = np.abs(np.arange(-reach, reach + 1))
    return float(min(1.0, chance[sums >= seen].sum()))
