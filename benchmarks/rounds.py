"""Processes timed in turn, round after round, so that what else the machine does falls on all alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from benchmarks.process import ProcessError, Worker
from benchmarks.records import Times, Variant

ENOUGH = 100
"""Calls from which on there is a 99th percentile."""

Ask = tuple[str, int]
"""Way of calling and number of pictures, as in Times."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How often a file is called in each round: `most` times, or what `seconds` hold, but not less than `fewest`."""

    rounds: int
    untimed: int
    fewest: int
    most: int
    seconds: float


def time_rounds(asks: Mapping[Worker, Sequence[Ask]], amount: Amount, problems: list[str]) -> list[Times]:
    """A process that ends keeps what was measured before, and a sentence is added to the problems."""
    found: dict[tuple[Variant, Ask], list[list[float]]] = {}
    calls = {name: value for name, value in asdict(amount).items() if name != "rounds"}
    for _ in range(amount.rounds):
        for worker, wanted in asks.items():
            try:
                for ask in wanted if worker.is_running else ():
                    milliseconds = worker.ask(*ask, calls)
                    found.setdefault((worker.variant, ask), []).append(milliseconds)
            except ProcessError as error:
                problems.append(str(error))
    return [sum_up(variant, ask, rounds) for (variant, ask), rounds in found.items()]


def sum_up(variant: Variant, ask: Ask, rounds: Sequence[Sequence[float]]) -> Times:
    """`rounds`: milliseconds of each call in each round."""
    calls = [each for found in rounds for each in found]
    median, p95, p99 = (round(float(value), 4) for value in np.percentile(calls, [50, 95, 99]))
    has_tails = len(calls) >= ENOUGH
    return Times(
        variant,
        way=ask[0],
        pictures=ask[1],
        calls=len(calls),
        median=median,
        p95=p95 if has_tails else None,
        p99=p99 if has_tails else None,
        rounds=tuple(round(float(np.median(each)), 4) for each in rounds),
    )
