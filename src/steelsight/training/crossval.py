"""Every fold and seed of a protocol, cell by cell: each cell is a run of `train` in a process of its own.

A small network trains fastest on one core, so as many cells run side by side as there are cores. A cell that is
finished is not run again; one that was stopped goes on.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean

import torch

from steelsight.data import foldfile
from steelsight.evaluation import cells as on_disk
from steelsight.evaluation.cells import LOG, Cell, Summary
from steelsight.records import SteelsightError
from steelsight.training import recipe as recipes
from steelsight.training.recipe import Recipe

Say = Callable[[str], None]


def crossval(
    data: Path,
    recipe: Recipe,
    folds: Path,
    seeds: Sequence[int],
    out: Path,
    say: Say,
    *,
    against: Path | None = None,
) -> Summary:
    """Runs the missing cells in `out` and sums all of them up, beside those in the folder `against`, if given.

    Raises SteelsightError where none could be run.
    """
    cells = [on_disk.cell(out, fold, seed) for seed in seeds for fold in foldfile.tested(foldfile.read(folds))]
    _prepare(out, recipe, folds)
    _run_missing(data, folds, cells, out, say)
    if not any(cell.is_done for cell in cells):
        raise SteelsightError(f"{out}: no cell could be run; {cells[0].last_words}")
    say("Summing up, with the baselines on the same folds")
    summary = on_disk.sum_up(data, folds, cells, against)
    facts = {"Network": recipe.model, "Folds": folds.stem}
    on_disk.write(out, summary, cells, data, f"{recipe.model} on {data.name}", facts)
    return summary


def _prepare(out: Path, recipe: Recipe, folds: Path) -> None:
    """Keeps recipe and folds beside the cells, so that cells of another recipe or other folds are never mixed in."""
    kept, copy = out / "recipe.yaml", out / "folds.csv"
    try:
        out.mkdir(parents=True, exist_ok=True)
        is_other = kept.exists() and recipes.load(kept) != recipe
        if is_other or (copy.exists() and foldfile.read(copy) != foldfile.read(folds)):
            raise SteelsightError(f"{out}: holds cells of another recipe or other folds; give another --out.")
        recipes.save(recipe, kept)
        foldfile.write(foldfile.read(folds), copy)
    except OSError as error:
        raise SteelsightError(f"{out}: cannot be written ({error.strerror}); give another --out.") from None


def _run_missing(data: Path, folds: Path, cells: Sequence[Cell], out: Path, say: Say) -> None:
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
    if not cell.is_done:
        return f"{cell.name} failed: {cell.last_words}"
    left = f"; about {(total - done) * seconds_each / 60:.0f} minutes left" if done < total else ""
    return f"{cell.name}: {100 * cell.scores['accuracy']:.2f} % ({done} of {total} cells{left})"
