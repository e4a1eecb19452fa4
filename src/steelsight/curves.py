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

RUN_CHARTS = {"Training loss": "train_loss", "Validation loss": "val_loss", "Validation accuracy": "val_accuracy"}
"""Title of a chart of several runs -> key of their histories."""

ZOOMED = frozenset({"Accuracy", "Validation accuracy"})
"""Charts whose axis need not start at 0: accuracies near 1 would be a flat line there."""

EARLY = 0.2
"""In charts of several runs this share of the epochs does not count for the axis: losses fall so much in it that runs
could not be told apart at the end."""

MOST_NAMED = 8
"""As many lines the eye can tell apart; the page has a colour for each. More are drawn alike, as a crowd."""

CROWD = "crowd"

Values = list[tuple[float, float]]
"""(epoch, value), in order."""


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
    look: str
    """The class that chart.css draws it by."""
    legend: str
    """What the legend calls it; empty where it has no entry of its own."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves with common axes."""

    title: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    is_cut: bool = False
    """Whether early values lie beyond the axis and were left out."""
    frame: Frame = FRAME


def charts(history: Sequence[Mapping[str, float]]) -> list[Chart]:
    """One mapping an epoch -> the charts it has numbers for; absent and non-finite values leave a gap in the points.

    An epoch may have `epoch`, `train_loss`, `val_loss`, `train_accuracy`, `val_accuracy` and `learning_rate`.
    """
    return _with_numbers(
        {title: {name: _values(history, key) for key, name in names.items()} for title, names in CHARTS.items()}
    )


def charts_side_by_side(histories: Mapping[str, Sequence[Mapping[str, float]]]) -> list[Chart]:
    """Histories of several runs, as `charts` takes them, by name -> charts with a line for each run.

    Up to MOST_NAMED runs, each has one colour in all charts; of more, only the one that ends lowest and the one that
    ends highest stand out and are named. The axis covers what comes after the first EARLY of the epochs.
    """
    return _with_numbers(
        {title: {name: _values(run, key) for name, run in histories.items()} for title, key in RUN_CHARTS.items()},
        EARLY,
    )


def ticks(low: float, high: float, most: int, step: float = 0.0) -> list[float]:
    """Round numbers that cover low to high, at most about `most`; `step` is the smallest distance allowed."""
    # Values that hardly differ still get marks whose labels differ.
    rough = max((high - low) / most, step, 1e-3 * max(abs(low), abs(high)), 1e-12)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def _values(history: Sequence[Mapping[str, float]], key: str) -> Values:
    """(epoch, value) where there is one; the first entry is epoch 1 unless it says otherwise."""
    pairs = [(entry.get("epoch", number), entry[key]) for number, entry in enumerate(history, 1) if key in entry]
    return [(float(epoch), float(value)) for epoch, value in pairs if math.isfinite(value)]


def _with_numbers(wanted: Mapping[str, Mapping[str, Values]], early: float = 0.0) -> list[Chart]:
    """The charts, by title, that have a value."""
    return [_chart(title, curves, early) for title, curves in wanted.items() if any(curves.values())]


def _chart(title: str, curves: Mapping[str, Values], early: float) -> Chart:
    """`early` is the share of each curve, 0 to 1, that does not count for the axis of values."""
    epochs = [x for values in curves.values() for x, _ in values]
    x_marks = ticks(min(epochs), max(epochs), 8, step=1)
    covered = [y for values in curves.values() for _, y in values[int(early * len(values)) :]]
    lowest, highest = min(covered), max(covered)
    if title not in ZOOMED:
        lowest = min(0.0, lowest)
    y_marks = ticks(lowest, highest, 5)
    x_at = _scale(x_marks, FRAME.left, FRAME.width - FRAME.right)
    y_at = _scale(y_marks, FRAME.height - FRAME.bottom, FRAME.top)

    def points(values: Values) -> tuple[tuple[float, float], ...]:
        return tuple((x_at(x), y_at(y)) for x, y in values if lowest <= y <= highest)

    lines = [
        Line(name, points(curves[name]), f"{curves[name][-1][1]:.4g}", look, legend)
        for name, (look, legend) in _looks(curves).items()
    ]
    return Chart(
        title,
        tuple(lines),
        tuple(Tick(x_at(mark), f"{mark:g}") for mark in x_marks),
        tuple(Tick(y_at(mark), f"{mark:.10g}") for mark in y_marks),
        is_cut=sum(len(line.points) for line in lines) < len(epochs),
    )


def _looks(curves: Mapping[str, Values]) -> dict[str, tuple[str, str]]:
    """Name of each line that has values -> its look and its legend; those drawn later lie on top."""
    if len(curves) <= MOST_NAMED:
        # Numbered before the empty ones go, so that a name has one colour in all charts.
        return {name: (f"curve-{number}", name) for number, name in enumerate(curves) if curves[name]}
    ends = _ends({name: values[-1][1] for name, values in curves.items() if values})
    crowd = {name: (CROWD, "") for name, values in curves.items() if values and name not in ends}
    return crowd | ends


def _ends(lasts: Mapping[str, float]) -> dict[str, tuple[str, str]]:
    """Look and legend of the line that ends lowest and of the one that ends highest; one line if all end alike."""
    found = {}
    for number, (word, value) in enumerate((("lowest", min(lasts.values())), ("highest", max(lasts.values())))):
        name, *others = (name for name, last in lasts.items() if last == value)
        found[name] = (f"curve-{number}", f"{word}: {name}" + (f" and {len(others)} more" if others else ""))
    return found


def _scale(marks: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    """Maps the first mark to `start` and the last to `end`."""
    span = marks[-1] - marks[0]
    return lambda value: round(start + (value - marks[0]) / span * (end - start), 2)
