"""How much less sure a strange picture is to be judged: `python studies/doubt.py [--runs RUNS] [--data DATA]`.

Chooses `runtime.classifier.DOUBT`, the power of the strangeness that multiplies the temperature. On validation parts
(`neu-cls-choices`): pictures as they are, and changed as the recipe millnet_robust changes them in training; the harsh
suite is not looked at. Each fold's temperature comes from the other's pictures as they are. Writes
results/doubt.json.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax

from steelsight import images
from steelsight.data import catalog, foldfile
from steelsight.evaluation.calibration import temperature
from steelsight.evaluation.metrics import certainty_of
from steelsight.evaluation.provenance import provenance
from steelsight.evaluation.results import write_json
from steelsight.records import Sample
from steelsight.runtime.classifier import Classifier, doubt, load
from steelsight.training import recipe as recipes
from steelsight.training.augment import augment

STUDIES = Path(__file__).parent
PROTOCOL = "neu-cls-choices"
NETWORKS = ("p5_16_24s2_24_24s2_24_24d2_24d2", "p5_16_16s2_16_32s2_32d2_32d2", "k10p5_16_16s2_16_32s2_32d2_32d2")
POWERS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
DRAWS = 5

Answers = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Logits (pictures, classes) and strangeness (pictures,)."""


def answers(classifier: Classifier, greys: npt.NDArray[np.uint8]) -> Answers:
    output = classifier.output(list(greys))
    assert output.strangeness is not None
    return output.logits.astype(np.float64), output.strangeness.astype(np.float64)


def disturbed(greys: npt.NDArray[np.uint8], draw: int) -> npt.NDArray[np.uint8]:
    """As in training by a rougher recipe than the network's own."""
    how = recipes.load(STUDIES / "recipes" / "millnet_robust.yaml").augmentation
    levels = torch.from_numpy(greys)[:, None].float() / 255
    return np.asarray((augment(levels, how, 0, draw, range(len(greys))) * 255).round().byte()[:, 0])


def measured(folds: dict[int, tuple[Answers, Answers, npt.NDArray[np.int64]]], power: float) -> dict[str, list[Any]]:
    """Calibration error and log-loss of each fold, by the temperature of the others."""
    found: dict[str, list[Any]] = {"clean": [], "disturbed": []}
    for fold, (clean, rough, truth) in folds.items():
        others = [folds[other] for other in folds if other != fold]
        logits = np.concatenate([held[0] / doubt(held[1], power)[:, None] for held, _, _ in others])
        warmth = temperature(logits, np.concatenate([truths for _, _, truths in others]))
        for name, (values, strange) in (("clean", clean), ("disturbed", rough)):
            shares = softmax(values / (warmth * doubt(strange, power))[:, None], axis=1)
            worth = certainty_of(shares, np.tile(truth, len(shares) // len(truth)))
            found[name].append([worth.calibration_error, worth.log_loss])
    return found


def tested(samples: list[Sample], folds: list[int], fold: int) -> list[Sample]:
    return [sample for sample, at in zip(samples, folds, strict=True) if at == fold]


def run(runs: Path, data: Path) -> None:
    samples = list(catalog.read(data).samples)
    entries, _ = foldfile.match_samples(samples, catalog.root_of(data), STUDIES / "folds" / f"{PROTOCOL}.csv")
    at = [entry.fold for entry in entries]
    found: dict[float, dict[str, list[Any]]] = {power: {"clean": [], "disturbed": []} for power in POWERS}
    for network in NETWORKS:
        folds = {}
        for fold in (0, 1):
            chosen = tested(samples, at, fold)
            classifier = load(runs / "millnet_search" / network / PROTOCOL / f"fold-{fold}-seed-0", threads=1)
            greys = np.stack([images.decode(sample.path) for sample in chosen])
            rough = [answers(classifier, disturbed(greys, draw)) for draw in range(DRAWS)]
            together = np.concatenate([each[0] for each in rough]), np.concatenate([each[1] for each in rough])
            truth = np.array([classifier.classes.index(sample.label) for sample in chosen])
            folds[fold] = (answers(classifier, greys), together, truth)
        for power in POWERS:
            for name, values in measured(folds, power).items():
                found[power][name] += values
    means = {
        str(power): {
            name: dict(zip(("calibration_error", "log_loss"), np.mean(values, axis=0).tolist(), strict=True))
            for name, values in each.items()
        }
        for power, each in found.items()
    }
    write_json(STUDIES / "results" / "doubt.json", {"powers": means, "networks": NETWORKS, "provenance": provenance()})
    for power, each in means.items():
        print(power, {name: {key: round(value, 4) for key, value in held.items()} for name, held in each.items()})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=STUDIES.parent / "runs")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("STEELSIGHT_DATA", ".")) / "neu-cls")
    asked = parser.parse_args()
    run(asked.runs, asked.data)
