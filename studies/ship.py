"""Puts a model into the package: `python studies/ship.py NAME STUDY [--run RUN | --again DATA] [--cells CELLS DATA]`.

Writes weights/NAME.onnx, whose card gives the scores of the siblings that STUDY has trained. With the folder of a
finished run the weights are its own, and weights/NAME.safetensors is written too, for `timm.create_model(...,
pretrained=True)`. With a folder of pictures the file is exported anew from those weights, and checked on the pictures;
where defects are it learns from NEU-DET's boxes of them.
With neither only the scores on the card are brought up to date. With the runs of the siblings and the pictures, what
they said of their test parts gives the temperature and the thresholds.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import timm
import torch
from neu_det import with_boxes
from safetensors.torch import load_file, save_file

import steelsight.models  # noqa: F401  (registers the networks)
from steelsight.data import catalog, foldfile
from steelsight.evaluation import archive, studies
from steelsight.models.grey import GreyNetwork
from steelsight.records import Card
from steelsight.runtime.classifier import load
from steelsight.training.boxes import learned_from_boxes
from steelsight.training.export import export, write_card
from steelsight.training.familiar import as_it_is, calibrated, changed_roughly, familiarity, held_out_by_cells
from steelsight.training.fit import CHECKPOINT
from steelsight.training.pictures import Pictures
from steelsight.training.study import recipe_of

STUDIES = Path(__file__).parent
WEIGHTS = STUDIES.parent / "src" / "steelsight" / "weights"
LICENCE = (
    "Code: Apache-2.0. The weights were trained on NEU-CLS, what they know of places on the boxes of NEU-DET (Song "
    "and Yan 2013), whose owners state no licence; see NOTICE."
)


def take_run(name: str, run: Path) -> None:
    """The file and the weights of a finished run."""
    (WEIGHTS / f"{name}.onnx").write_bytes((run / "model.onnx").read_bytes())
    best = torch.load(run / CHECKPOINT, map_location="cpu", weights_only=True)["best_weights"]
    weights = {key.removeprefix("network."): value.contiguous() for key, value in best.items()}
    save_file(weights, WEIGHTS / f"{name}.safetensors")


def export_again(name: str, study: str, data: Path) -> None:
    """The file anew, from the weights in the package and by the recipe of its siblings."""
    asked = studies.load(STUDIES, study)
    recipe = recipe_of(STUDIES, asked, asked.networks[0])
    card = replace(load(WEIGHTS / f"{name}.onnx").card, second_look=recipe.second_look)
    network = timm.create_model(card.model, pretrained=True, num_classes=len(card.classes), in_chans=1)
    network.load_state_dict(load_file(WEIGHTS / f"{name}.safetensors"))
    grey, samples = GreyNetwork(network, 1), with_boxes(catalog.read(data).samples, data)
    strangeness = familiarity(grey, samples, card.classes, recipe)
    boxes = learned_from_boxes(grey, samples, card.classes, card.size[0])
    export(grey, card, WEIGHTS / f"{name}.onnx", Pictures(samples), strangeness, boxes)


def calibrate(name: str, cells: Path, data: Path) -> None:
    """Temperature and thresholds from the pictures that the siblings held out."""
    target = WEIGHTS / f"{name}.onnx"
    samples, root = catalog.read(data).samples, catalog.root_of(data)
    found, rough = (held_out_by_cells(cells, samples, root, change) for change in (as_it_is, changed_roughly))
    write_card(target, calibrated(load(target).card, found, rough))


def write_scores(name: str, study: str) -> None:
    """The scores of the siblings on the card."""
    target = WEIGHTS / f"{name}.onnx"
    write_card(target, _with_scores(load(target).card, study))


def _with_scores(card: Card, name: str) -> Card:
    cells = archive.load(STUDIES / "results")
    study = studies.load(STUDIES, name)
    scores = {}
    for protocol in study.protocols:
        found = studies.results_of(STUDIES, study, study.networks[0], protocol, cells)
        chosen = [cell for cell in found if cell.scores]
        if not chosen:
            continue
        folds = foldfile.read(STUDIES / "folds" / f"{protocol}.csv")
        pooled = archive.pool(chosen, folds, studies.group_of(STUDIES))
        what = f"{protocol}, {len({cell.key.fold for cell in chosen})} of 5 folds"
        seeds = len({cell.key.seed for cell in chosen})
        what += f", {seeds} seeds" if seeds > 1 else ", 1 seed"
        scores[f"accuracy, {what}"] = round(100 * pooled.accuracy[0], 2)
        scores[f"95 % interval from, {what}"] = round(100 * pooled.interval.low, 2)
        scores[f"95 % interval to, {what}"] = round(100 * pooled.interval.high, 2)
    return replace(
        card,
        protocol="trained on all 1,800 images of NEU-CLS; the scores are those of siblings trained on part of them",
        scores=scores,
        licence=LICENCE,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("study")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--run", type=Path)
    source.add_argument("--again", type=Path)
    parser.add_argument("--cells", type=Path, nargs=2, metavar=("CELLS", "DATA"))
    asked = parser.parse_args()
    if asked.run:
        take_run(asked.name, asked.run)
    if asked.again:
        export_again(asked.name, asked.study, asked.again)
    if asked.cells:
        calibrate(asked.name, *asked.cells)
    write_scores(asked.name, asked.study)
