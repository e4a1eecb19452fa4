import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelsight.curves import FRAME, charts, ticks

NUMBERS = st.floats(-1e6, 1e6)


@given(low=NUMBERS, span=st.floats(0, 1e6), most=st.integers(2, 10))
def test_ticks_cover_the_range_with_few_even_steps(low, span, most):
    marks = ticks(low, low + span, most)
    steps = [after - before for before, after in itertools.pairwise(marks)]
    assert 2 <= len(marks) <= most + 3
    assert len({f"{mark:.10g}" for mark in marks}) == len(marks)
    assert max(steps) == pytest.approx(min(steps), rel=1e-3)
    assert marks[0] <= low + 1e-6 * max(1, steps[0])
    assert marks[-1] >= low + span - 1e-6 * max(1, steps[0])


def test_ticks_are_round():
    assert ticks(0, 1.7, 5) == [0, 0.5, 1.0, 1.5, 2.0]
    assert ticks(1, 60, 8, step=1) == [0, 10, 20, 30, 40, 50, 60]


def test_epochs_are_whole_numbers():
    assert ticks(1, 3, 8, step=1) == [1, 2, 3]


@given(st.lists(st.fixed_dictionaries({"train_loss": st.floats(0, 1e4)}), min_size=1, max_size=30))
def test_every_point_lies_inside_the_axes(history):
    (chart,) = charts(history)
    (line,) = chart.lines
    assert len(line.points) == len(history)
    for x, y in line.points:
        assert FRAME.left <= x <= FRAME.width - FRAME.right
        assert FRAME.top <= y <= FRAME.height - FRAME.bottom


def test_better_accuracies_are_higher():
    (chart,) = charts([{"val_accuracy": 0.5}, {"val_accuracy": 0.9}])
    (first, last) = chart.lines[0].points
    assert last[0] > first[0]
    assert last[1] < first[1]  # SVG counts y from the top


def test_absent_and_infinite_values_are_left_out():
    history = [{"train_loss": math.nan, "val_loss": 1.0}, {"train_loss": 2.0}, {"seconds": 3.0}]
    (chart,) = charts(history)
    assert [(line.name, len(line.points)) for line in chart.lines] == [("training", 1), ("validation", 1)]


def test_nothing_to_draw():
    assert charts([]) == []
    assert charts([{"epoch": 1.0, "train_loss": math.inf}]) == []
