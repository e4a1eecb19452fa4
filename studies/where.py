"""Whether networks show the defect where it is: `python studies/where.py STUDY NETWORK [--runs RUNS] [--data DATA]`.

Leak-free test pictures of NEU-CLS against NEU-DET's boxes of the same pictures and the masks of SD-saliency-900, both
beside the folder of NEU-CLS. Writes results/where/NETWORK.json of files that know no boxes: their networks learned from
labels of whole pictures alone, and what of the regions was chosen by boxes of validation parts, the page on robustness
says. Of files that `python studies/again.py CELLS DATA --boxes` made, writes results/where/NETWORK-boxes.json.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import measured
import numpy as np
from neu_det import with_boxes
from PIL import Image

from steelsight.data import catalog, foldfile
from steelsight.evaluation import studies
from steelsight.evaluation.calibration import alarm_threshold
from steelsight.evaluation.localisation import Shown, average_precision, localisation, mask_overlap
from steelsight.evaluation.provenance import provenance
from steelsight.evaluation.results import write_json
from steelsight.records import Prediction, Region, Sample
from steelsight.runtime.classifier import FURTHER, RUN_FILE, Classifier, load
from steelsight.runtime.regions import evidence, heat_of, threshold
from steelsight.training.familiar import FALSELY_FURTHER, held_out

STUDIES = Path(__file__).parent
SIZE = (200, 200)


Answered = tuple[Sample, Prediction]


def shown(sample: Sample, prediction: Prediction) -> Shown:
    return Shown(sample.label, prediction.label or "", prediction.point, prediction.regions, sample.boxes)


def by_class_map(sample: Sample, prediction: Prediction) -> Shown:
    """What the class map alone shows."""
    label = prediction.label or ""
    if prediction.class_map is None or label not in prediction.scores:
        return Shown(sample.label, label, None, (), sample.boxes)
    heat = heat_of(prediction.class_map, list(prediction.scores).index(label))
    seen = evidence(heat, label, prediction.confidence or 0.0, SIZE)
    return Shown(sample.label, label, seen.point, seen.regions, sample.boxes)


def baselines(answers: Sequence[Shown]) -> dict[str, list[Shown]]:
    """The middle of the picture, and the whole picture, for the predicted class."""
    whole = Region("", 0, 0, SIZE[1], SIZE[0])
    return {
        "the centre, the whole frame": [
            replace(each, point=(SIZE[1] / 2, SIZE[0] / 2), regions=(replace(whole, label=each.label),))
            for each in answers
        ]
    }


def summed(answers: Sequence[Shown]) -> dict[str, Any]:
    """Shares by class and over the classes, and the average precision over all boxes."""
    found = localisation(answers)
    labels = sorted({each.truth for each in answers})
    precisions = {least: {label: average_precision(answers, label, least) for label in labels} for least in (0.3, 0.5)}
    return {
        **asdict(found),
        "macro": dict(zip(("pointing", "overlap_30", "overlap_50"), found.macro, strict=True)),
        "average_precision": {
            str(least): {"macro": fmean(values.values()), **values} for least, values in precisions.items()
        },
    }


def several(answered: Sequence[Answered]) -> dict[str, Any]:
    """On pictures with a box of another class: how often that class is among the regions, and on the others how often
    a class is that has no box."""
    named, false = [], []
    for sample, prediction in answered:
        there = {box.label for box in sample.boxes}
        said = {region.label for region in prediction.regions} - {prediction.label}
        (named if there - {sample.label} else false).append(
            bool(said & there) if there - {sample.label} else bool(said)
        )
    return {"pictures": len(named), "found": fmean(named), "others": len(false), "falsely": fmean(false)}


def predictions(models: Mapping[int, Classifier], tested: Mapping[int, Sequence[Sample]]) -> list[Answered]:
    """Of each fold's test part by its model; how clearly a further class must lead comes from the other folds."""
    leads = {fold: held_out(models[fold], chosen).lead_of_another for fold, chosen in tested.items()}
    answered: list[Answered] = []
    for fold, chosen in tested.items():
        others = np.concatenate([values for other, values in leads.items() if other != fold])
        further = {FURTHER: alarm_threshold(others, FALSELY_FURTHER)}
        judge = models[fold].with_card(replace(models[fold].card, thresholds=further))
        answered += zip(chosen, judge.predict([s.path for s in chosen]), strict=True)
    return answered


def against_masks(answered: Sequence[Answered], folder: Path) -> dict[str, float]:
    """The overlap of what is hot with the masks, mean by class."""
    found = defaultdict(list)
    for sample, prediction in answered:
        path = folder / f"{sample.path.stem}.png"
        if path.exists() and prediction.heat is not None:
            mask = np.asarray(Image.open(path)) > 127
            found[sample.label].append(mask_overlap(prediction.heat, mask, threshold(prediction.heat)))
    return {label: fmean(values) for label, values in sorted(found.items())}


def have_learned_from_boxes(models: Iterable[Classifier]) -> bool:
    """Raises SystemExit where some have and some have not."""
    found = {model.output([np.zeros(SIZE, np.uint8)]).inside is not None for model in models}
    if len(found) > 1:
        raise SystemExit("Some files have learned from boxes and some have not; make them alike by again.py.")
    return found.pop()


def run(name: str, network: str, runs: Path, data: Path) -> None:
    study, root = studies.load(STUDIES, name), catalog.root_of(data)
    samples = with_boxes(catalog.read(data).samples, data)
    assigned, _ = foldfile.match_samples(samples, root, STUDIES / "folds" / f"{studies.GROUPS}.csv")
    places = {fold: runs / study.recipe / network / studies.GROUPS / f"fold-{fold}-seed-0" for fold in range(5)}
    models = {fold: load(place, threads=1) for fold, place in places.items() if (place / RUN_FILE).exists()}
    way = "-boxes" if have_learned_from_boxes(models.values()) else ""
    folds = [entry.fold for entry in assigned]
    tested = {at: [s for s, fold in zip(samples, folds, strict=True) if fold == at] for at in models}
    answered = predictions(models, tested)
    answers = [shown(*pair) for pair in answered]
    result = {
        "pictures": len(answers),
        "model": summed(answers),
        "class_map_alone": summed([by_class_map(*pair) for pair in answered]),
        "baselines": {kind: summed(others) for kind, others in baselines(answers).items()},
        "mask_overlap": against_masks(answered, data.parent / "neu-masks"),
        "several": several(answered),
        "provenance": provenance(),
    }
    out = STUDIES / "results" / "where" / f"{network}{way}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, result)
    print(result["model"]["macro"], result["mask_overlap"], result["several"])


if __name__ == "__main__":
    asked = measured.asked(__doc__)
    run(asked.study, asked.network, asked.runs, asked.data)
