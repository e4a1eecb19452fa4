"""Scores finished cells on harsh pictures: `python studies/harsh.py STUDY [--runs RUNS] [--data DATA]`.

Writes CELL.harsh.json beside the result of each cell whose run is at hand, and RUN/harsh.npz with the scores of every
picture. What is there already is kept. Random folds are left out: the suite is for test parts that do not leak.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from steelsight import images
from steelsight.data import catalog, foldfile
from steelsight.evaluation import robustness, studies
from steelsight.evaluation.archive import Key
from steelsight.evaluation.provenance import provenance
from steelsight.evaluation.results import write_json
from steelsight.runtime.classifier import RUN_FILE, Classifier, load
from steelsight.training.familiar import changed_roughly, held_out

STUDIES = Path(__file__).parent
SCORES = "harsh.npz"
RANDOM = "neu-cls-published"


def score(key: Key, run: Path, data: Path) -> None:
    """Answers all harsh pictures of the cell's test part."""
    root, classifier = catalog.root_of(data), as_trained(load(run, threads=1))
    everything = catalog.read(data).samples
    assigned, _ = foldfile.match_samples(everything, root, STUDIES / "folds" / f"{key.protocol}.csv")
    samples = [sample for sample, entry in zip(everything, assigned, strict=True) if entry.fold == key.fold]
    pictures = ((sample.path.name, images.decode(sample.path)) for sample in samples)
    told = robustness.answers(classifier, pictures)
    truths = [classifier.classes.index(sample.label) for sample in samples]
    names = [sample.path.name for sample in samples]
    rough = held_out(classifier, samples, changed_roughly)
    answers = {**asdict(told), "rough_logits": rough.logits, "rough_strangeness": rough.strangeness}
    held = {name: value.astype(np.float32) for name, value in answers.items()}
    np.savez_compressed(run / SCORES, names=names, truths=truths, **held)
    found = robustness.harsh_scores(truths, told.clean, told.harsh)
    sums = {"mean": found.mean, "mean_never_trained_on": found.mean_never_trained_on, **asdict(found)}
    write_json(result_of(key), {"harsh": sums, "provenance": provenance()})
    print(f"{key.path}: {100 * found.clean:.2f} % clean, {100 * found.mean:.2f} % harsh", flush=True)


def as_trained(classifier: Classifier) -> Classifier:
    """Without the temperature and the thresholds that a run with a validation part has; folds have those of others."""
    return classifier.with_card(replace(classifier.card, temperature=1.0, thresholds={}))


def result_of(key: Key) -> Path:
    return (STUDIES / "results" / key.path).with_suffix(".harsh.json")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("--runs", type=Path, default=STUDIES.parent / "runs")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("STEELSIGHT_DATA", ".")) / "neu-cls")
    asked = parser.parse_args()
    for _, key in studies.load(STUDIES, asked.study).cells():
        run = asked.runs / key.recipe / key.network / key.protocol / f"fold-{key.fold}-seed-{key.seed}"
        leaks = key.protocol.startswith(RANDOM)
        if not leaks and (run / RUN_FILE).exists() and not result_of(key).exists():
            score(key, run, asked.data)
