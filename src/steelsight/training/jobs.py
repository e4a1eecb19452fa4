"""Cells of cross-validations, each run by `train` in a process of its own, as many side by side as there are cores.

A small network trains fastest on one core. A cell that dies takes nothing with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import torch

from steelsight.evaluation.cells import LOG, Cell
from steelsight.runtime import engines

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Job:
    """A cell to be run: its name for people, its recipe and fold file."""

    name: str
    cell: Cell
    recipe: Path
    folds: Path


def run(
    data: Path,
    jobs: Sequence[Job],
    say: Say,
    on_end: Callable[[Job, int], None] = lambda *_: None,
    side_by_side: int | None = None,
) -> None:
    """Runs all jobs, resuming those that were stopped, and says how each ended and how much time is left.

    on_end: called with each job that has ended, and its exit code. side_by_side: how many run at a time; where None one
    a core, or one on a GPU.

    Ctrl-C, or any error, stops the running ones; a second call goes on with them.
    """
    cores = engines.cores()
    usual = 1 if torch.cuda.is_available() else cores
    side_by_side = max(1, min(len(jobs), side_by_side or usual))
    waiting = list(jobs)
    running: list[tuple[Job, subprocess.Popen[bytes], float]] = []
    took: list[float] = []
    try:
        while waiting or running:
            while waiting and len(running) < side_by_side:
                job = waiting.pop(0)
                running.append((job, _start(data, job, max(1, cores // side_by_side)), time.monotonic()))
            time.sleep(0.2)
            for entry in [entry for entry in running if entry[1].poll() is not None]:
                running.remove(entry)
                took.append(time.monotonic() - entry[2])
                say(_progress(entry[0], len(took), len(jobs), mean(took) / side_by_side))
                on_end(entry[0], entry[1].returncode)
    finally:
        for _, process, _ in running:
            process.terminate()
        for _, process, _ in running:
            process.wait()


def _start(data: Path, job: Job, threads: int) -> subprocess.Popen[bytes]:
    cell = job.cell
    cell.folder.mkdir(parents=True, exist_ok=True)
    words = ["train", data, "--recipe", job.recipe, "--folds", job.folds, "--fold", cell.fold]
    words += ["--seed", cell.seed, "--out", cell.folder, "--resume"]
    command = [sys.executable, "-m", "steelsight", *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with (cell.folder / LOG).open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


def _progress(job: Job, done: int, total: int, seconds_each: float) -> str:
    if not job.cell.is_done:
        return f"{job.name} failed: {job.cell.last_words}"
    left = f"; about {(total - done) * seconds_each / 60:.0f} minutes left" if done < total else ""
    return f"{job.name}: {100 * job.cell.scores['accuracy']:.2f} % ({done} of {total} cells{left})"
