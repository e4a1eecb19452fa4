"""Whether networks show the defect where it is: `python studies/where.py STUDY NETWORK [--runs RUNS] [--data DATA]`.

Leak-free test pictures of NEU-CLS against NEU-DET's boxes of the same pictures and the masks of SD-saliency-900, both
beside the folder of NEU-CLS. Writes results/where/NETWORK.json of files that know no boxes: their networks learned from
labels of whole pictures alone, and what of the regions was chosen by boxes of validation parts, the page on robustness
says. Of files that `python studies/again.py CELLS DATA --boxes` made, writes results/where/NETWORK-boxes.json.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import measured
import numpy as np
from PIL import Image

from steelsight import images
from steelsight.data import catalog, foldfile
from steelsight.evaluation import studies
from steelsight.evaluation.calibration import alarm_threshold
from steelsight.evaluation.localisation import Shown, average_precision, localisation, mask_overlap
from steelsight.evaluation.provenance import provenance
from steelsight.evaluation.results import write_json
from steelsight.records import Prediction, Region, Sample
from steelsight.runtime.classifier import FURTHER, RUN_FILE, load
from steelsight.runtime.regions import evidence, heat_of, threshold
from steelsight.training.familiar import FALSELY_FURTHER, held_out

STUDIES = Path(__file__).parent
PREFIXES = {
    "Cr": "crazing",
    "In": "inclusion",
    "Pa": "patches",
    "PS": "pitted_surface",
    "RS": "rolled-in_scale",
    "Sc": "scratches",
}
SIZE = (200, 200)


def boxes_of(folder: Path) -> dict[str, tuple[Region, ...]]:
    """NEU-DET's boxes by NEU-CLS's names."""
    of_class = {label: prefix for prefix, label in PREFIXES.items()}
    found = {}
    for sample in catalog.read(folder).samples:
        label, _, number = sample.path.stem.rpartition("_")
        found[f"{of_class[label]}_{number}"] = sample.boxes
    return found


def with_boxes(samples: Sequence[Sample], data: Path) -> tuple[Sample, ...]:
    """The pictures of NEU-CLS with the boxes that NEU-DET, beside its folder, has of them."""
    boxes = boxes_of(data.parent / "neu-det")
    return tuple(replace(sample, boxes=boxes[sample.path.stem]) for sample in samples)


def shown(sample: Sample, prediction: Prediction, boxes: tuple[Region, ...]) -> Shown:
    return Shown(sample.label, prediction.label or "", prediction.point, prediction.regions, boxes)


def by_class_map(sample: Sample, prediction: Prediction, boxes: tuple[Region, ...]) -> Shown:
    """What the class map alone shows."""
    label = prediction.label or ""
    if prediction.class_map is None or label not in prediction.scores:
        return Shown(sample.label, label, None, (), boxes)
    heat = heat_of(prediction.class_map, list(prediction.scores).index(label))
    seen = evidence(heat, label, prediction.confidence or 0.0, SIZE)
    return Shown(sample.label, label, seen.point, seen.regions, boxes)


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


def several(
    predictions: Sequence[tuple[Sample, Prediction]], boxes: Mapping[str, tuple[Region, ...]]
) -> dict[str, Any]:
    """On pictures with a box of another class: how often that class is among the regions, and on the others how often
    a class is that has no box."""
    named, false = [], []
    for sample, prediction in predictions:
        there = {box.label for box in boxes[sample.path.stem]}
        said = {region.label for region in prediction.regions} - {prediction.label}
        (named if there - {sample.label} else false).append(
            bool(said & there) if there - {sample.label} else bool(said)
        )
    return {"pictures": len(named), "found": fmean(named), "others": len(false), "falsely": fmean(false)}


def run(name: str, network: str, runs: Path, data: Path) -> None:
    study, root = studies.load(STUDIES, name), catalog.root_of(data)
    samples = with_boxes(catalog.read(data).samples, data)
    boxes = {sample.path.stem: sample.boxes for sample in samples}
    assigned, _ = foldfile.match_samples(samples, root, STUDIES / "folds" / f"{studies.GROUPS}.csv")
    places = {fold: runs / study.recipe / network / studies.GROUPS / f"fold-{fold}-seed-0" for fold in range(5)}
    tested = {
        fold: [s for s, entry in zip(samples, assigned, strict=True) if entry.fold == fold]
        for fold, place in places.items()
        if (place / RUN_FILE).exists()
    }
    models = {fold: load(places[fold], threads=1) for fold in tested}
    leads = {fold: held_out(models[fold], chosen).lead_of_another for fold, chosen in tested.items()}
    pairs: list[tuple[Sample, Prediction]] = []
    for fold, chosen in tested.items():
        others = np.concatenate([values for other, values in leads.items() if other != fold])
        further = {FURTHER: alarm_threshold(others, FALSELY_FURTHER)}
        judge = models[fold].with_card(replace(models[fold].card, thresholds=further))
        pairs += zip(chosen, judge.predict([s.path for s in chosen]), strict=True)
    answers = [shown(sample, prediction, boxes[sample.path.stem]) for sample, prediction in pairs]
    masks = defaultdict(list)
    for sample, prediction in pairs:
        path = data.parent / "neu-masks" / f"{sample.path.stem}.png"
        if path.exists() and prediction.heat is not None:
            mask = np.asarray(Image.open(path)) > 127
            masks[sample.label].append(mask_overlap(prediction.heat, mask, threshold(prediction.heat)))
    result = {
        "pictures": len(answers),
        "model": summed(answers),
        "class_map_alone": summed([by_class_map(*pair, boxes[pair[0].path.stem]) for pair in pairs]),
        "baselines": {kind: summed(others) for kind, others in baselines(answers).items()},
        "mask_overlap": {label: fmean(values) for label, values in sorted(masks.items())},
        "several": several(pairs, boxes),
        "provenance": provenance(),
    }
    from_boxes = {model.output([images.decode(samples[0].path)]).inside is not None for model in models.values()}
    if len(from_boxes) > 1:
        raise SystemExit(f"{runs}: some files have learned from boxes and some have not; make them alike by again.py.")
    out = STUDIES / "results" / "where" / f"{network}{'-boxes' if from_boxes.pop() else ''}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, result)
    print(result["model"]["macro"], result["mask_overlap"], result["several"])


if __name__ == "__main__":
    asked = measured.asked(__doc__)
    run(asked.study, asked.network, asked.runs, asked.data)
