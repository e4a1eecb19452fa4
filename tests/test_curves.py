import itertools
import math
import re
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelsight.curves import CROWD, FRAME, MOST_NAMED, charts, charts_side_by_side, ticks

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


def losses(*values):
    return [{"val_loss": value} for value in values]


def test_runs_are_drawn_together():
    run = [{"epoch": 1.0, "train_loss": 1.0, "val_loss": 2.0, "val_accuracy": 0.5, "learning_rate": 0.1}]
    found = charts_side_by_side({"fold 0": run, "fold 1": run})
    assert [chart.title for chart in found] == ["Training loss", "Validation loss", "Validation accuracy"]
    assert all([line.legend for line in chart.lines] == ["fold 0", "fold 1"] for chart in found)


def test_a_run_has_one_colour_in_all_charts():
    runs = {"silent": [], "first": [{"train_loss": 1.0, "val_loss": math.nan}], "second": [{"val_loss": 1.0}]}
    looks = {line.name: line.look for chart in charts_side_by_side(runs) for line in chart.lines}
    assert looks == {"first": "curve-1", "second": "curve-2"}


def test_every_look_has_its_colour():
    style = resources.files("steelsight").joinpath("templates/chart.css").read_text(encoding="utf-8")
    colours = re.findall(r"\.(curve-\d|crowd) { color: (#\w+);", style)
    assert [look for look, _ in colours] == [*(f"curve-{number}" for number in range(MOST_NAMED)), CROWD]
    assert len({colour for _, colour in colours}) == MOST_NAMED + 1


def test_of_many_runs_the_two_ends_stand_out_on_top():
    runs = {f"fold {number}": losses(1.0, float(number % 12)) for number in range(15)}
    (chart,) = charts_side_by_side(runs)
    *crowd, lowest, highest = chart.lines
    assert len(crowd) == 13
    assert {(line.look, line.legend) for line in crowd} == {(CROWD, "")}
    assert (lowest.legend, lowest.last) == ("lowest: fold 0 and 1 more", "0")
    assert (highest.legend, highest.last) == ("highest: fold 11", "11")


def test_many_runs_that_end_alike_have_one_end():
    (chart,) = charts_side_by_side({f"fold {number}": losses(1.0) for number in range(9)})
    assert [line.legend for line in chart.lines if line.legend] == ["highest: fold 0 and 8 more"]


def test_the_first_fall_does_not_hide_how_runs_end():
    (chart,) = charts_side_by_side({"a": losses(1000.0, 90.0, *[0.2] * 8), "b": losses(900.0, *[0.1] * 9)})
    assert chart.is_cut
    assert [len(line.points) for line in chart.lines] == [8, 9]
    first, second = (line.points[-1][1] for line in chart.lines)
    assert second - first > 50
    assert not charts(losses(1000.0, *[0.1] * 9))[0].is_cut


RUNS = st.dictionaries(
    st.text(), st.lists(st.fixed_dictionaries({"val_loss": st.floats(0, 1e4) | st.just(math.nan)})), max_size=12
)


@given(RUNS)
def test_runs_of_any_length_lie_inside_the_axes(runs):
    found = charts_side_by_side(runs)
    drawn = {name for name, run in runs.items() if any(math.isfinite(epoch["val_loss"]) for epoch in run)}
    assert {line.name for chart in found for line in chart.lines} == drawn
    for line in (line for chart in found for line in chart.lines):
        assert line.points
        for x, y in line.points:
            assert FRAME.left <= x <= FRAME.width - FRAME.right
            assert FRAME.top <= y <= FRAME.height - FRAME.bottom


def test_no_runs():
    assert charts_side_by_side({}) == charts_side_by_side({"silent": []}) == []
