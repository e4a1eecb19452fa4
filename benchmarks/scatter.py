"""Accuracy against time as one SVG file: time on a logarithmic axis, a dot for each network with its 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from steelsight.curves import Frame, Tick, ticks

FRAME = Frame(width=800, height=440, left=52, right=190, top=22, bottom=40)
LINE = 13
WIDE = 180
"""Height and about the greatest width of a label, SVG units; those that would touch are moved down."""


@dataclass(frozen=True, slots=True)
class Point:
    """A network: milliseconds a picture, and accuracy with its interval, per cent."""

    name: str
    milliseconds: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Dot:
    """A point in SVG units; the label stands beside it at `label_y`.

    What several recipes trained is named once: the dots that follow have no name.
    """

    name: str
    x: float
    y: float
    low_y: float
    high_y: float
    label_y: float


def draw(points: Sequence[Point]) -> str:
    """The SVG file's text, of at least one point."""
    dots, x_ticks, y_ticks = place(points)
    template = _environment().get_template("scatter.svg.j2")
    return template.render(frame=FRAME, dots=dots, x_ticks=x_ticks, y_ticks=y_ticks)


def place(points: Sequence[Point]) -> tuple[list[Dot], list[Tick], list[Tick]]:
    """Dots, marks of the horizontal axis and marks of the vertical one."""
    x_marks = _powers([point.milliseconds for point in points])
    y_marks = ticks(min(point.low for point in points), max(point.high for point in points), 6)

    def x_at(milliseconds: float) -> float:
        share = math.log(milliseconds / x_marks[0]) / math.log(x_marks[-1] / x_marks[0])
        return round(FRAME.left + share * (FRAME.width - FRAME.left - FRAME.right), 1)

    def y_at(accuracy: float) -> float:
        share = (accuracy - y_marks[0]) / (y_marks[-1] - y_marks[0])
        return round(FRAME.height - FRAME.bottom - share * (FRAME.height - FRAME.top - FRAME.bottom), 1)

    dots: list[Dot] = []
    for point in sorted(points, key=lambda point: -point.accuracy):
        x, y = x_at(point.milliseconds), y_at(point.accuracy)
        named = next((dot for dot in dots if (dot.name, dot.x) == (point.name, x)), None)
        free = max([y, *(dot.label_y + LINE for dot in dots if abs(dot.x - x) < WIDE)])
        name, label_y = ("", named.label_y) if named else (point.name, free)
        dots.append(Dot(name, x, y, y_at(point.low), y_at(point.high), label_y))
    return (
        dots,
        [Tick(x_at(mark), f"{mark:g}") for mark in x_marks],
        [Tick(y_at(mark), f"{mark:.10g}") for mark in y_marks],
    )


def _environment() -> jinja2.Environment:
    here = jinja2.FileSystemLoader(Path(__file__).parent)
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([here, jinja2.PackageLoader("steelsight")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _powers(values: Sequence[float]) -> list[float]:
    """1, 2 and 5 times powers of ten that cover the values, the fewest that do and at least two."""
    scale = [factor * 10.0**power for power in range(-4, 6) for factor in (1, 2, 5)]
    first = max(number for number, mark in enumerate(scale) if mark <= min(values))
    last = min(number for number, mark in enumerate(scale) if mark >= max(values))
    return [float(f"{mark:g}") for mark in scale[first : max(last, first + 1) + 1]]
