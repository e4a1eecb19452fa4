"""Cross-validation: every cell once, finished cells kept, a failed one named while the rest runs."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from steelsight.data import splits
from steelsight.evaluation import results
from steelsight.evaluation.cells import SUMMARY
from steelsight.records import SteelsightError
from steelsight.training import jobs
from steelsight.training import recipe as recipes
from steelsight.training.crossval import crossval
from tests.drawn import quick


@pytest.fixture(scope="module")
def folds(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("folds") / "two.csv"
    splits.split(drawn, path, "published", "2", groups=None, seed=0)
    return path


def test_every_picture_is_tested_once_and_a_second_call_runs_nothing(drawn: Path, folds: Path, tmp_path: Path) -> None:
    said: list[str] = []
    summary = crossval(drawn, quick(), folds, [0], tmp_path, said.append)
    assert [(cell["fold"], cell["seed"]) for cell in summary.cells] == [(0, 0), (1, 0)]
    assert summary.pooled.images == 18
    assert summary.failed == ()
    assert summary.mean_accuracy == pytest.approx(summary.pooled.accuracy)
    answers = [answer for fold in (0, 1) for answer in results.read_answers(tmp_path / f"fold-{fold}-seed-0")]
    assert len({answer.image for answer in answers}) == 18
    assert len(summary.errors) == sum(not answer.is_right for answer in answers)
    assert all(len(values) == 2 for values in summary.baselines.values())
    assert sum("fold" in line and "%" in line for line in said) == 2
    first = json.loads((tmp_path / SUMMARY).read_text(encoding="utf-8"))
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/model.onnx")}
    said.clear()
    crossval(drawn, quick(), folds, [0], tmp_path, said.append)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/model.onnx")} == stamps
    assert not any("fold 0" in line for line in said)
    again = json.loads((tmp_path / SUMMARY).read_text(encoding="utf-8"))
    assert again["cells"] == first["cells"]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Validation loss" in page
    assert all(mistake.image in page for mistake in summary.pooled.mistakes)


@pytest.mark.parametrize(("asked", "expected"), [(1, 1), (2, 2), (9, 2)])
def test_as_many_cells_run_side_by_side_as_asked_for(
    drawn: Path, folds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: int, expected: int
) -> None:
    alive: list[subprocess.Popen[bytes]] = []
    most = []

    def start(*_: object) -> subprocess.Popen[bytes]:
        alive.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1)"]))
        most.append(sum(process.poll() is None for process in alive))
        return alive[-1]

    monkeypatch.setattr(jobs, "_start", start)
    with pytest.raises(SteelsightError, match="no cell could be run"):
        crossval(drawn, quick(), folds, [0], tmp_path, lambda _: None, side_by_side=asked)
    assert max(most) == expected


def test_two_networks_are_compared_on_the_same_folds(drawn: Path, folds: Path, tmp_path: Path) -> None:
    crossval(drawn, quick(), folds, [0], tmp_path / "one", print)
    summary = crossval(drawn, quick(seed=5), folds, [5], tmp_path / "other", print, against=tmp_path / "one")
    assert summary.comparison is not None
    assert summary.comparison.images == 18
    assert summary.comparison.first == pytest.approx(summary.mean_accuracy)
    assert 0 < summary.comparison.p_value <= 1
    kept = json.loads((tmp_path / "other" / SUMMARY).read_text(encoding="utf-8"))
    assert kept["comparison"]["difference"] == summary.comparison.difference
    assert "paired test" in (tmp_path / "other" / "report.html").read_text(encoding="utf-8")
    splits.split(drawn, tmp_path / "others.csv", "published", "2", groups=None, seed=9)
    with pytest.raises(SteelsightError, match="has cells of other folds"):
        crossval(drawn, quick(), tmp_path / "others.csv", [0], tmp_path / "new", print, against=tmp_path / "one")
    assert not (tmp_path / "new").exists()
    itself = crossval(drawn, quick(), folds, [0], tmp_path / "one", print, against=tmp_path / "one").comparison
    assert itself is not None
    assert (itself.difference, itself.p_value, itself.only_first_wrong) == (0.0, 1.0, ())


def test_cells_of_another_recipe_or_other_folds_are_not_mixed_in(drawn: Path, folds: Path, tmp_path: Path) -> None:
    recipes.save(quick(seed=3), tmp_path / "recipe.yaml")
    with pytest.raises(SteelsightError, match="another recipe"):
        crossval(drawn, quick(), folds, [0], tmp_path, print)
    recipes.save(quick(), tmp_path / "recipe.yaml")
    splits.split(drawn, tmp_path / "folds.csv", "published", "3", groups=None, seed=0)
    with pytest.raises(SteelsightError, match="other folds"):
        crossval(drawn, quick(), folds, [0], tmp_path, print)


def test_cells_that_fail_are_named_with_their_reason(drawn: Path, folds: Path, tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(SteelsightError, match="There is no network called nonsense"):
        crossval(drawn, quick(model="nonsense"), folds, [0], tmp_path, said.append)
    assert len(said) == 2
    assert "fold 0, seed 0 failed: There is no network called nonsense" in "\n".join(said)


def wait_for(what: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_stop_stops_the_running_cells_too(drawn: Path, folds: Path, tmp_path: Path) -> None:
    recipes.save(quick().with_epochs(1000), tmp_path / "long.yaml")
    words = ["crossval", str(drawn), "--folds", str(folds), "--recipe", str(tmp_path / "long.yaml")]
    command = [sys.executable, "-m", "steelsight", *words, "--out", str(tmp_path / "cells")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_for(lambda: children.read_text(encoding="ascii").split())
    started = [Path("/proc") / child for child in children.read_text(encoding="ascii").split()]
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    wait_for(lambda: not any(child.exists() for child in started))
