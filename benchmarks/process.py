"""The processes that measure, each pinned to so many cores, and what they answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.records import ROOT, Start, Variant

PAUSE = 0.03
"""Seconds that the threads of an engine which has just answered may go on waiting in a loop."""


class ProcessError(Exception):
    """A process has ended before its time; the message is a sentence that says which and why."""


@contextmanager
def pinned(cores: int) -> Iterator[None]:
    """Processes started inside run on the last so many cores; the first one has most of the system's own work."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[-cores:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


class Worker:
    """benchmarks/worker.py at work on one file. Raises ProcessError where the process has ended."""

    def __init__(self, variant: Variant, path: Path, cores: int) -> None:
        self.variant, self._cores = variant, cores
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        started = time.perf_counter()
        with pinned(cores):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.worker", variant.engine, str(path.resolve()), str(cores)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )
        memory = self._answer("loading")["memory_megabytes"]
        milliseconds = round(1000 * (time.perf_counter() - started), 1)
        self.start = Start(variant, round(path.stat().st_size / 1e6, 3), memory, milliseconds)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def ask(self, way: str, pictures: int, amount: Mapping[str, float]) -> list[float]:
        """Milliseconds of each call."""
        assert self._process.stdin is not None
        if self._cores > 1:
            time.sleep(PAUSE)
        with suppress(BrokenPipeError):  # then there is no answer either
            self._process.stdin.write(json.dumps({"way": way, "pictures": pictures, "amount": amount}) + "\n")
            self._process.stdin.flush()
        return self._answer(f"{way} with {pictures}")["milliseconds"]  # type: ignore[no-any-return]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
        self._errors.close()

    def _answer(self, doing: str) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            error = self._ended(doing)
            self.close()
            raise error
        return json.loads(line)  # type: ignore[no-any-return]

    def _ended(self, doing: str) -> ProcessError:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines() or ["it said nothing"]
        reason = f"signal {signal.Signals(-code).name}" if code < 0 else lines[-1]
        cores = "one core" if self._cores == 1 else f"{self._cores} cores"
        return ProcessError(f"{self.variant}, {cores}, {doing}: the process ended ({reason}).")


def peaks(cores: int, side: int) -> dict[str, float | None]:
    """What benchmarks/peak.py finds; nothing where it fails."""
    with pinned(cores):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.peak", str(cores), str(side)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    return json.loads(done.stdout) if done.returncode == 0 else {}
