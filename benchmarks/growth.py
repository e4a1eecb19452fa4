"""How `steelsight inspect` grows with the pictures: `python -m benchmarks.growth [--quick] [OUT.json]`.

Inspects folders of 10^2 to 10^5 pictures with MillNet, from a cold start to the finished report. The folders hold a few
drawn pictures under many names.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.inspect_speed import REPEATS, Measured, measure
from benchmarks.records import GROWTH, Variant, is_same_place
from PIL import Image

from steelsight.data import synthetic
from steelsight.evaluation.provenance import provenance
from steelsight.records import Sample

MODEL = Variant("millnet", 200)
COUNTS = (100, 1_000, 10_000, 100_000)
QUICK = (20, 200)
PER_CLASS = 4
ABOUT = {
    "measured": "a cold start, all pictures and the report; seconds and megabytes at the peak are medians of the runs",
    "model": f"{MODEL}, with random weights",
    "pictures": "drawn, 200x200 pixels, BMP; the same few under many names, so all are in the system's memory",
}


def draw(folder: Path) -> list[Path]:
    """A few pictures of each class, as BMP files."""
    folder.mkdir()
    paths = []
    for label in synthetic.CLASSES:
        for seed in range(PER_CLASS):
            paths.append(folder / f"{label}_{seed}.bmp")
            Image.fromarray(synthetic.draw(label, seed).pixels).save(paths[-1])
    return paths


def fill(folder: Path, pictures: Sequence[Path], count: int) -> None:
    """So many names for the pictures, in turn."""
    folder.mkdir()
    for number in range(count):
        os.link(pictures[number % len(pictures)], folder / f"{number:06d}.bmp")


def write_model(folder: Path, picture: Path) -> Path:
    """The file to inspect with, made in a process of its own: torch's memory is not to count."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as fresh:
        return fresh.submit(_export, folder, picture).result()


def _export(folder: Path, picture: Path) -> Path:
    from benchmarks import files

    from steelsight.runtime.classifier import load
    from steelsight.training.export import write_card

    problems = files.write([MODEL], folder, [Sample(picture, "")])
    assert not problems, problems
    path = files.path_of(folder, MODEL)
    # Random weights are in doubt of every picture; trained ones hardly ever are.
    write_card(path, replace(load(path).card, second_look=0.0))
    return path


def inspected(folder: Path, model: Path, pictures: Sequence[Path], count: int) -> Measured:
    """Inspects so many pictures, several times."""
    steel = folder / f"steel-{count}"
    fill(steel, pictures, count)
    words = ["inspect", str(steel), "--model", str(model), "--out", str(folder / "report")]
    return measure("inspect", count, words)


def resumed(out: Path, is_quick: bool) -> dict[str, Any]:
    """What was measured so far; nothing where that was with other versions or on another machine."""
    here = provenance()
    found = json.loads(out.read_text(encoding="utf-8")) if out.exists() else None
    if found and found["is_quick"] == is_quick and is_same_place(found["provenance"], here):
        return dict(found)
    return {"about": ABOUT, "is_quick": is_quick, "repeats": REPEATS, "provenance": here, "measured": []}


def run(counts: Sequence[int], out: Path) -> None:
    """Measures what OUT does not hold yet, and writes it as it comes."""
    result = resumed(out, counts == QUICK)
    done = {each["images"] for each in result["measured"]}
    with tempfile.TemporaryDirectory() as place:
        pictures = draw(Path(place) / "drawn")
        model = write_model(Path(place), pictures[0])
        for count in counts:
            if count not in done:
                measured = inspected(Path(place), model, pictures, count)
                print(measured, flush=True)
                result["measured"].append(asdict(measured))
                out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def main(words: Sequence[str]) -> None:
    paths = [Path(word) for word in words if word != "--quick"]
    run(QUICK if "--quick" in words else COUNTS, paths[0] if paths else GROWTH)


if __name__ == "__main__":
    main(sys.argv[1:])
