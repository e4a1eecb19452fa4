"""Speed and memory of the commands from a cold start: `python benchmarks/inspect_speed.py FOLDER OUT.json`.

Runs `steelsight inspect` on growing parts of FOLDER, with and without pictures in the report, one picture alone, and
`--help`; writes medians of several runs, peak memory, and where they were measured.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from steelsight.evaluation.provenance import provenance

REPEATS = 3


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians of the runs: seconds from start to end, and megabytes of memory at the peak."""

    what: str
    images: int
    seconds: float
    images_per_second: float
    peak_megabytes: float


def measure(what: str, images: int, words: list[str]) -> Measured:
    runs = [_run([sys.executable, "-m", "steelsight", *words]) for _ in range(REPEATS)]
    seconds = statistics.median(seconds for seconds, _ in runs)
    memory = statistics.median(megabytes for _, megabytes in runs)
    return Measured(what, images, round(seconds, 3), round(images / seconds, 1), round(memory, 1))


def _run(command: list[str]) -> tuple[float, float]:
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{command} ended with {process.returncode}"
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def main(folder: Path, out: Path) -> None:
    pictures = sorted(path for path in folder.iterdir() if path.is_file())
    found = [measure("--help", 0, ["--help"]), measure("one image", 1, ["inspect", str(pictures[0]), "--json"])]
    with tempfile.TemporaryDirectory() as place:
        for share in (4, 2, 1):
            part = Path(place) / f"part-{share}"
            part.mkdir()
            for path in pictures[: len(pictures) // share]:
                shutil.copy(path, part)
            words = ["inspect", str(part), "--out", str(Path(place) / "report")]
            count = len(pictures) // share
            found.append(measure("report without pictures", count, [*words, "--no-pictures"]))
            found.append(measure("report with pictures", count, words))
    result = {"measured": [asdict(each) for each in found], "repeats": REPEATS, "provenance": provenance()}
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for each in found:
        print(each)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
