"""Training curves as plain coordinates, which the page template draws as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

CHARTS = {
    "Loss": {"train_loss": "training", "val_loss": "validation"},
    "Accuracy": {"train_accuracy": "training", "val_accuracy": "validation"},
    "Learning rate": {"learning_rate": "learning rate"},
}
"""Title of a chart -> key of the history -> name in the legend."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Size of a chart and the margins for its axes, in SVG units."""

    width: int = 460
    height: int = 230
    left: int = 52
    right: int = 12
    top: int = 10
    bottom: int = 34


FRAME = Frame()


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: `at` is its position in SVG units."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """One curve; points are (x, y) in SVG units."""

    name: str
    points: tuple[tuple[float, float], ...]
    last: str
    """The last value, as text."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves with common axes."""

    title: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    frame: Frame = FRAME


def charts(history: Sequence[Mapping[str, float]]) -> list[Chart]:
    """One dict an epoch -> the charts it has numbers for; absent and non-finite values leave a gap in the points."""
    found = []
    for title, names in CHARTS.items():
        curves = {name: _values(history, key) for key, name in names.items()}
        curves = {name: values for name, values in curves.items() if values}
        if curves:
            found.append(_chart(title, curves))
    return found


def ticks(low: float, high: float, most: int, step: float = 0.0) -> list[float]:
    """Round numbers that cover low to high, at most about `most`; `step` is the smallest distance allowed."""
    # Values that hardly differ still get marks whose labels differ.
    rough = max((high - low) / most, step, 1e-3 * max(abs(low), abs(high)), 1e-12)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def _values(history: Sequence[Mapping[str, float]], key: str) -> list[tuple[float, float]]:
    """(epoch, value) where there is one; the first entry is epoch 1 unless it says otherwise."""
    pairs = [(entry.get("epoch", number), entry[key]) for number, entry in enumerate(history, 1) if key in entry]
    return [(float(epoch), float(value)) for epoch, value in pairs if math.isfinite(value)]


def _chart(title: str, curves: Mapping[str, list[tuple[float, float]]]) -> Chart:
    points = [point for values in curves.values() for point in values]
    x_marks = ticks(min(x for x, _ in points), max(x for x, _ in points), 8, step=1)
    highest = max(y for _, y in points)
    # Losses and rates start at 0; accuracies near 1 would be a flat line there.
    lowest = min(y for _, y in points) if title == "Accuracy" else min(0.0, *(y for _, y in points))
    y_marks = ticks(lowest, highest, 5)
    x_at = _scale(x_marks, FRAME.left, FRAME.width - FRAME.right)
    y_at = _scale(y_marks, FRAME.height - FRAME.bottom, FRAME.top)

    def line(name: str, values: list[tuple[float, float]]) -> Line:
        return Line(name, tuple((x_at(x), y_at(y)) for x, y in values), f"{values[-1][1]:.4g}")

    return Chart(
        title,
        tuple(line(name, values) for name, values in curves.items()),
        tuple(Tick(x_at(mark), f"{mark:g}") for mark in x_marks),
        tuple(Tick(y_at(mark), f"{mark:.10g}") for mark in y_marks),
    )


def _scale(marks: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    """Maps the first mark to `start` and the last to `end`."""
    span = marks[-1] - marks[0]
    return lambda value: round(start + (value - marks[0]) / span * (end - start), 2)
