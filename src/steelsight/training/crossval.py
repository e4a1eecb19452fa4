"""Every fold and seed of a protocol, cell by cell: each cell is a run of `train` in a process of its own.

A small network trains fastest on one core, so as many cells run side by side as there are cores. A cell that is
finished is not run again; one that was stopped goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

import torch

from steelsight import images, report
from steelsight.data import catalog, splits
from steelsight.evaluation import baselines, metrics, results
from steelsight.evaluation.provenance import provenance
from steelsight.images import ImageError
from steelsight.records import Answer, Scores, SteelsightError
from steelsight.training import recipe as recipes
from steelsight.training.recipe import Recipe

SUMMARY = "crossval.json"
LOG = "output.txt"


@dataclass(frozen=True, slots=True)
class Cell:
    """One fold with one seed, and the folder of its run."""

    fold: int
    seed: int
    folder: Path

    @property
    def is_done(self) -> bool:
        return (self.folder / results.ANSWERS).exists()


@dataclass(frozen=True, slots=True)
class Summary:
    """All cells together. Accuracies in 0..1, with the population deviation over the cells, as papers print it."""

    cells: tuple[dict[str, Any], ...]
    mean_accuracy: float
    deviation: float
    interval: tuple[float, float]
    baselines: dict[str, tuple[float, ...]]
    errors: tuple[str, ...]
    """A line for each picture and wrong answer: what it was taken for, and in how many of its cells."""
    pooled: Scores
    failed: tuple[str, ...]


def crossval(
    data: Path, recipe: Recipe, folds: Path, seeds: Sequence[int], out: Path, say: Callable[[str], None]
) -> Summary:
    """Runs the missing cells in `out` and sums all of them up. Raises SteelsightError where none could be run."""
    assigned = splits.read(folds)
    numbers = sorted({entry.fold for entry in assigned})
    cells = [Cell(fold, seed, out / f"fold-{fold}-seed-{seed}") for seed in seeds for fold in numbers]
    _prepare(out, recipe, folds)
    _run_missing(data, folds, cells, out, say)
    done = [cell for cell in cells if cell.is_done]
    if not done:
        raise SteelsightError(f"{out}: no cell could be run; {_last_words(cells[0])}")
    summary = _sum_up(data, folds, assigned, cells, say)
    facts = {
        "Network": recipe.model,
        "Folds": folds.stem,
        "Cells": f"{len(done)} of {len(cells)}, {len(seeds)} seeds",
        "Accuracy of the cells": f"{100 * summary.mean_accuracy:.2f} ± {100 * summary.deviation:.2f} %",
        "95 % interval over groups": " to ".join(f"{100 * end:.2f}" for end in summary.interval) + " %",
        **{name: f"{100 * mean(values):.2f} %" for name, values in summary.baselines.items()},
    }
    results.write_json(out / SUMMARY, {"facts": facts, **asdict(summary), "provenance": provenance()})
    report.write_scores(out / "report.html", summary.pooled, title=f"{recipe.model} on {data.name}", facts=facts)
    return summary


def _prepare(out: Path, recipe: Recipe, folds: Path) -> None:
    """Keeps recipe and folds beside the cells, so that cells of another recipe or other folds are never mixed in."""
    kept, copy = out / "recipe.yaml", out / "folds.csv"
    try:
        out.mkdir(parents=True, exist_ok=True)
        is_other = kept.exists() and recipes.load(kept) != recipe
        if is_other or (copy.exists() and splits.read(copy) != splits.read(folds)):
            raise SteelsightError(f"{out}: holds cells of another recipe or other folds; give another --out.")
        recipes.save(recipe, kept)
        splits.write(splits.read(folds), copy)
    except OSError as error:
        raise SteelsightError(f"{out}: cannot be written ({error.strerror}); give another --out.") from None


def _run_missing(data: Path, folds: Path, cells: Sequence[Cell], out: Path, say: Callable[[str], None]) -> None:
    waiting = [cell for cell in cells if not cell.is_done]
    side_by_side = 1 if torch.cuda.is_available() else max(1, min(len(waiting), os.cpu_count() or 1))
    threads = max(1, (os.cpu_count() or 1) // side_by_side)
    running: list[tuple[Cell, subprocess.Popen[bytes], float]] = []
    took: list[float] = []
    total = len(waiting)
    try:
        while waiting or running:
            while waiting and len(running) < side_by_side:
                cell = waiting.pop(0)
                running.append((cell, _start(data, folds, cell, out, threads), time.monotonic()))
            time.sleep(0.2)
            for entry in [entry for entry in running if entry[1].poll() is not None]:
                running.remove(entry)
                took.append(time.monotonic() - entry[2])
                say(_progress(entry[0], len(took), total, mean(took) / side_by_side))
    finally:
        for _, process, _ in running:
            process.terminate()
            process.wait()


def _start(data: Path, folds: Path, cell: Cell, out: Path, threads: int) -> subprocess.Popen[bytes]:
    cell.folder.mkdir(parents=True, exist_ok=True)
    words = ["train", data, "--recipe", out / "recipe.yaml", "--folds", folds, "--fold", cell.fold]
    words += ["--seed", cell.seed, "--out", cell.folder, "--resume"]
    command = [sys.executable, "-m", "steelsight", *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with (cell.folder / LOG).open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


def _progress(cell: Cell, done: int, total: int, seconds_each: float) -> str:
    name = f"fold {cell.fold}, seed {cell.seed}"
    if not cell.is_done:
        return f"{name} failed: {_last_words(cell)}"
    accuracy = metrics_of(cell)["accuracy"]
    left = f"; about {(total - done) * seconds_each / 60:.0f} minutes left" if done < total else ""
    return f"{name}: {100 * accuracy:.2f} % ({done} of {total} cells{left})"


def metrics_of(cell: Cell) -> dict[str, Any]:
    """The scores of a finished cell, as its run wrote them."""
    scores: dict[str, Any] = json.loads((cell.folder / results.SCORES).read_text(encoding="utf-8"))["scores"]
    return scores


def _sum_up(
    data: Path,
    folds: Path,
    assigned: Sequence[splits.Assignment],
    cells: Sequence[Cell],
    say: Callable[[str], None],
) -> Summary:
    done = [cell for cell in cells if cell.is_done]
    accuracies = [float(metrics_of(cell)["accuracy"]) for cell in done]
    answers = [answer for cell in done for answer in results.read_answers(cell.folder)]
    group_of = {Path(entry.image).with_suffix("").as_posix(): entry.group or entry.image for entry in assigned}
    groups = [group_of[Path(answer.image).with_suffix("").as_posix()] for answer in answers]
    classes = sorted(answers[0].scores)
    say("Baselines on the same folds")
    return Summary(
        cells=tuple({"fold": cell.fold, "seed": cell.seed, "accuracy": metrics_of(cell)["accuracy"]} for cell in done),
        mean_accuracy=mean(accuracies),
        deviation=pstdev(accuracies),
        interval=metrics.interval([answer.is_right for answer in answers], groups),
        baselines=_baselines(data, folds, assigned),
        errors=_errors(answers),
        pooled=metrics.score(classes, answers),
        failed=tuple(f"fold {cell.fold}, seed {cell.seed}: {_last_words(cell)}" for cell in cells if not cell.is_done),
    )


def _baselines(data: Path, folds: Path, assigned: Sequence[splits.Assignment]) -> dict[str, tuple[float, ...]]:
    root = data if data.is_dir() else data.parent
    samples = catalog.read(data).samples
    found = splits.match([splits.name_of(sample.path, root) for sample in samples], assigned, folds)
    greys, labels, numbers = [], [], []
    for sample, entry in zip(samples, found, strict=True):
        with contextlib.suppress(ImageError):
            greys.append(images.decode(sample.path))
            labels.append(sample.label)
            numbers.append(entry.fold)
    return {name: tuple(values) for name, values in baselines.accuracies(greys, labels, numbers).items()}


def _errors(answers: Sequence[Answer]) -> tuple[str, ...]:
    times = Counter(answer.image for answer in answers)
    wrong = Counter((answer.image, answer.truth, answer.predicted) for answer in answers if not answer.is_right)
    return tuple(
        f"{image}: {truth}, taken for {predicted} in {count} of {times[image]}"
        for (image, truth, predicted), count in sorted(wrong.items())
    )


def _last_words(cell: Cell) -> str:
    try:
        lines = (cell.folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1].removeprefix("steelsight: ") if lines else "it left no word."
