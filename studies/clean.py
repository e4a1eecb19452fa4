"""Whether a network can learn what clean steel is from beside the defects: `python studies/clean.py DATA --runs RUNS`.

MillNet by its own recipe and with `clean_windows`, on the leak-free folds of NEU-CLS with NEU-DET's boxes. Trains the
folds that RUNS lacks, then writes results/clean.json: what the networks say of photographs, of clean windows and of
windows on defects, all of test parts; beside them the networks that know no clean steel, in studies/models.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from neu_det import PREFIXES
from rich.console import Console

from steelsight import images
from steelsight.data import catalog, foldfile
from steelsight.evaluation.provenance import provenance
from steelsight.evaluation.results import write_json
from steelsight.records import CLEAN, UNKNOWN, GreyImage, Sample
from steelsight.runtime.classifier import RUN_FILE, Classifier, load
from steelsight.training import recipe as recipes
from steelsight.training import windows
from steelsight.training.run import train

STUDIES = Path(__file__).parent
PROTOCOL = "neu-cls-leak-free-495"
LEAST = 64
"""Pixels a side of the smallest window."""
EPOCHS = 100
"""Of two and a half times as many pictures as without windows: as many steps as the recipe takes."""


def linked(data: Path, place: Path) -> Path:
    """The photographs of NEU-CLS as NEU-DET names them, with its boxes; and the folds by those names."""
    folder = place / "neu"
    (folder / "IMAGES").mkdir(parents=True, exist_ok=True)
    for file in data.glob("*.bmp"):
        link = folder / "IMAGES" / f"{_named(file.stem)}.bmp"
        if not link.exists():
            link.symlink_to(file.resolve())
    if not (folder / "ANNOTATIONS").exists():
        (folder / "ANNOTATIONS").symlink_to((data.parent / "neu-det" / "ANNOTATIONS").resolve())
    entries = foldfile.read(STUDIES / "folds" / f"{PROTOCOL}.csv")
    renamed = [replace(entry, image=f"IMAGES/{_named(entry.image)}.bmp") for entry in entries]
    foldfile.write(renamed, place / f"{PROTOCOL}.csv")
    return folder


def _named(name: str) -> str:
    prefix, _, number = name.partition("_")
    return f"{PREFIXES[prefix]}_{number}"


def shares(classifier: Classifier, pictures: Sequence[GreyImage], labels: Sequence[str]) -> dict[str, int]:
    """Of so many pictures, those called by their label, clean, and unknown."""
    said = [prediction.label for prediction in classifier.predict(list(pictures))]
    right = [one == label for one, label in zip(said, labels, strict=True)]
    return {
        "pictures": len(said),
        "right": sum(right),
        "clean": sum(one in CLEAN for one in said),
        "unknown": sum(one == UNKNOWN for one in said),
    }


def told(classifier: Classifier, tested: Sequence[Sample]) -> dict[str, dict[str, int]]:
    clean, defects = windows.find(tested, windows.CLEAN_LABEL, LEAST, Path("windows"))
    shown = {"clean windows": clean, "windows on defects": defects}
    return {
        "photographs": shares(classifier, [images.decode(s.path) for s in tested], [s.label for s in tested]),
        **{
            kind: shares(
                classifier,
                [windows.mirrored(images.decode(each.source), each.square) for each in found],
                [each.sample.label for each in found],
            )
            for kind, found in shown.items()
        },
    }


def main(data: Path, runs: Path) -> None:
    folder = linked(data, runs)
    folds = runs / f"{PROTOCOL}.csv"
    recipe = recipes.load(STUDIES / "recipes" / "millnet.yaml")
    recipe = replace(recipe, model="millnet", model_options={"cap": 2.0}, clean_windows=LEAST).with_epochs(EPOCHS)
    samples = catalog.read(folder).samples
    assigned, _ = foldfile.match_samples(samples, folder, folds)
    found: dict[str, dict[str, Any]] = {"with": {}, "without": {}}
    for fold in foldfile.tested(assigned):
        out = runs / f"fold-{fold}"
        if not (out / RUN_FILE).exists():
            train(folder, recipe, out, Console(), folds=folds, fold=fold, resume=True)
        tested = [sample for sample, entry in zip(samples, assigned, strict=True) if entry.fold == fold]
        sibling = STUDIES / "models" / "millnet" / "millnet" / PROTOCOL / f"fold-{fold}-seed-0" / RUN_FILE
        found["with"][str(fold)] = told(load(out, threads=1), tested)
        found["without"][str(fold)] = told(load(sibling, threads=1), tested)
    write_json(
        STUDIES / "results" / "clean.json",
        {"least": LEAST, "folds": found, "provenance": provenance(), "recipe": recipes.to_dict(recipe)},
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, required=True)
    asked = parser.parse_args()
    main(asked.data, asked.runs)
