"""How well networks tell what they do not know: `python studies/unknown.py STUDY [--runs RUNS] [--data DATA]`.

Two kinds of strange pictures: those of the class that a network was not trained on (cells of `neu-cls-without-CLASS`),
and pictures that are no steel (`studies/foreign.py`). Known are the leak-free test pictures. Compares three scores; the
threshold of each fold comes from the pictures that networks of all classes held out in the other folds. Writes
results/unknown/NETWORK.json: means over the seeds that there are runs of.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import foreign
import measured
import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

from steelsight import images
from steelsight.data import catalog, foldfile
from steelsight.evaluation import studies
from steelsight.evaluation.calibration import alarm_threshold
from steelsight.evaluation.provenance import provenance
from steelsight.evaluation.results import write_json
from steelsight.records import GreyImage, Sample
from steelsight.runtime.classifier import RUN_FILE, Classifier, load
from steelsight.training.familiar import FALSE_ALARMS

STUDIES = Path(__file__).parent
WITHOUT = "neu-cls-without-"
FOREIGN = {"photographs": foreign.tiles, "drawn": foreign.drawn}
NO_STEEL = "no steel"
"""Both together."""
CLEAN = "clean"
"""Steel beside the defects, outside the masks of SD-saliency-900: NEU has no pictures of clean steel."""
WINDOW = 96
"""Pixels a side."""

Floats = npt.NDArray[np.floating]
Scores = Mapping[str, Floats]
"""By the name of the score: the higher, the stranger."""


def scores(classifier: Classifier, greys: Sequence[GreyImage]) -> Scores:
    """Maximum softmax (Hendrycks and Gimpel 2017), energy (Liu and others 2020), distance of features (Lee 2018)."""
    output = classifier.judged(greys)
    logits = output.logits.astype(np.float64)
    strangeness = output.strangeness
    assert strangeness is not None
    return {
        "maximum softmax": -np.exp(logits.max(1) - logsumexp(logits, axis=1)),
        "energy": -logsumexp(logits, axis=1),
        "distance of features": strangeness.astype(np.float64),
    }


@dataclass(frozen=True, slots=True)
class Measured:
    """Scores by name and fold, of the known pictures of each fold's test part; and of strange ones, by kind."""

    known: Mapping[str, Mapping[int, Floats]]
    strange: Mapping[str, Mapping[str, Mapping[int, Floats]]]


def measure(cells: Mapping[int, Path], samples: Sequence[Sample], folds: Sequence[int], label: str | None) -> Measured:
    """Of cells by fold. label: the class left out, else pictures that are no steel are the strange ones."""
    known: dict[str, dict[int, Floats]] = defaultdict(dict)
    strange: dict[str, dict[str, dict[int, Floats]]] = defaultdict(lambda: defaultdict(dict))
    for fold, run in cells.items():
        classifier = load(run, threads=1)
        tested = [s for s, at in zip(samples, folds, strict=True) if at == fold]
        for name, values in scores(classifier, [images.decode(sample.path) for sample in tested]).items():
            known[name][fold] = values
        for kind, greys in _strange(samples, tested, label).items():
            for name, values in scores(classifier, greys).items():
                strange[kind][name][fold] = values
        if label is None:
            for name in known:
                strange[NO_STEEL][name][fold] = np.concatenate([strange[kind][name][fold] for kind in FOREIGN])
    return Measured(known, strange)


def summed(found: Measured, siblings: Measured) -> dict[str, Any]:
    """By kind of strange pictures and score; the thresholds come from what the siblings of other folds knew."""
    return {
        kind: {name: _summed(found.known[name], by_fold, siblings.known[name]) for name, by_fold in by_score.items()}
        for kind, by_score in found.strange.items()
    }


def _strange(samples: Sequence[Sample], tested: Sequence[Sample], label: str | None) -> Mapping[str, list[GreyImage]]:
    if label is None:
        drawn = {kind: [grey for _, grey in make()] for kind, make in FOREIGN.items()}
        return {**drawn, CLEAN: [grey for sample in tested if (grey := clean_window(sample.path)) is not None]}
    return {label: [images.decode(sample.path) for sample in samples if sample.label == label]}


def clean_window(path: Path) -> GreyImage | None:
    """A window of the picture outside its mask, mirrored to the picture's size; None where there is none."""
    mask_file = path.parent.parent / "neu-masks" / f"{path.stem}.png"
    if not mask_file.exists():
        return None
    defect = images.decode(mask_file) > 127
    sums = np.pad(defect.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = sums[WINDOW:, WINDOW:] - sums[:-WINDOW, WINDOW:] - sums[WINDOW:, :-WINDOW] + sums[:-WINDOW, :-WINDOW]
    if inside.min() > 0:
        return None
    top, left = np.unravel_index(int(inside.argmin()), inside.shape)
    window = images.decode(path)[top : top + WINDOW, left : left + WINDOW]
    return np.pad(window, [(0, side - WINDOW) for side in defect.shape], mode="symmetric")


def _summed(
    known: Mapping[int, Floats], strange: Mapping[int, Floats], siblings: Mapping[int, Floats]
) -> dict[str, Any]:
    """AUROC, mean over the folds, and what a threshold from the siblings of the other folds catches."""
    caught, alarms = [], []
    for fold in known:
        others = np.concatenate([values for at, values in siblings.items() if at != fold])
        threshold = alarm_threshold(others, FALSE_ALARMS)
        caught.append(float((strange[fold] > threshold).mean()))
        alarms.append(float((known[fold] > threshold).mean()))
    areas = [
        roc_auc_score(np.r_[np.zeros(len(known[fold])), np.ones(len(strange[fold]))], np.r_[known[fold], strange[fold]])
        for fold in known
    ]
    return {
        "auroc": float(np.mean(areas)),
        "auroc_by_fold": dict(zip(map(str, known), areas, strict=True)),
        "caught": float(np.mean(caught)),
        "false_alarms": float(np.mean(alarms)),
        "strange": sum(map(len, strange.values())),
    }


def over_seeds(found: Mapping[int, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Means over the seeds that a kind of strange pictures was measured with; what each caught, by itself."""
    gathered: dict[str, dict[str, dict[int, Any]]] = defaultdict(lambda: defaultdict(dict))
    for seed, by_kind in found.items():
        for kind, by_score in by_kind.items():
            for name, values in by_score.items():
                gathered[kind][name][seed] = values
    return {kind: {name: _mean(by_seed) for name, by_seed in by_score.items()} for kind, by_score in gathered.items()}


def _mean(by_seed: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    every = list(by_seed.values())
    return {
        **{key: fmean(each[key] for each in every) for key in ("auroc", "caught", "false_alarms")},
        "auroc_by_seed_and_fold": {str(seed): each["auroc_by_fold"] for seed, each in by_seed.items()},
        "caught_by_seed": {str(seed): each["caught"] for seed, each in by_seed.items()},
        "strange": every[0]["strange"],
    }


def _cells(study: studies.Study, runs: Path, network: str, protocol: str, seed: int) -> dict[int, Path]:
    place = runs / study.recipe / network / protocol
    found = {fold: place / f"fold-{fold}-seed-{seed}" for fold in study.folds}
    return {fold: path for fold, path in found.items() if (path / RUN_FILE).exists()}


def of_seed(
    study: studies.Study, network: str, seed: int, runs: Path, samples: Sequence[Sample], root: Path
) -> dict[str, Any]:
    """What the runs of one seed say, by kind of strange pictures and score; nothing where there are none."""
    found: dict[str, Any] = {}
    siblings: Measured | None = None
    for protocol in (studies.GROUPS, *(f"{WITHOUT}{label}" for label in sorted({s.label for s in samples}))):
        cells = _cells(study, runs, network, protocol, seed)
        if cells:
            assigned, _ = foldfile.match_samples(samples, root, STUDIES / "folds" / f"{protocol}.csv")
            left_out = protocol.removeprefix(WITHOUT) if protocol.startswith(WITHOUT) else None
            answered = measure(cells, samples, [entry.fold for entry in assigned], left_out)
            siblings = siblings or answered
            found |= summed(answered, siblings)
    return found


def run(name: str, network: str, runs: Path, data: Path) -> None:
    study, samples, root = studies.load(STUDIES, name), catalog.read(data).samples, catalog.root_of(data)
    found = over_seeds({seed: of_seed(study, network, seed, runs, samples, root) for seed in study.seeds})
    if not found:
        sys.exit(f"{runs}: no runs of {network} by recipe {study.recipe}; `steelsight study run {name}` trains them")
    out = STUDIES / "results" / "unknown" / f"{network}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, {"false_alarms_asked": FALSE_ALARMS, "strange": found, "provenance": provenance()})
    for kind, by_score in found.items():
        print(
            kind, {score: (round(values["auroc"], 4), round(values["caught"], 3)) for score, values in by_score.items()}
        )


if __name__ == "__main__":
    asked = measured.asked(__doc__)
    run(asked.study, asked.network, asked.runs, asked.data)
