"""Puts a model into the package: `python studies/ship.py NAME STUDY [RUN]`.

Writes weights/NAME.onnx, whose card gives the scores of the siblings that STUDY has trained. With the
folder of a finished RUN the weights are its own, and weights/NAME.safetensors is written too, for
`timm.create_model(..., pretrained=True)`; without it only the scores on the card are brought up to date.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import onnx
import torch
from safetensors.torch import save_file

from steelsight.data import foldfile
from steelsight.evaluation import archive, studies
from steelsight.records import Card
from steelsight.runtime import card as cards
from steelsight.training.fit import CHECKPOINT

STUDIES = Path(__file__).parent
WEIGHTS = STUDIES.parent / "src" / "steelsight" / "weights"
LICENCE = (
    "Code: Apache-2.0. The weights were trained on NEU-CLS (Song and Yan 2013), whose owners state no licence; "
    "see NOTICE."
)


def ship(name: str, study: str, run: Path | None) -> None:
    target = WEIGHTS / f"{name}.onnx"
    source = run / "model.onnx" if run else target
    model = onnx.load(source)
    entry = next(entry for entry in model.metadata_props if entry.key == cards.KEY)
    entry.value = cards.dumps(_card(cards.loads(entry.value, str(source)), study))
    onnx.save(model, target)
    if run:
        best = torch.load(run / CHECKPOINT, map_location="cpu", weights_only=True)["best_weights"]
        weights = {key.removeprefix("network."): value.contiguous() for key, value in best.items()}
        save_file(weights, WEIGHTS / f"{name}.safetensors")


def _card(card: Card, name: str) -> Card:
    cells = archive.load(STUDIES / "results")
    study = studies.load(STUDIES, name)
    scores = {}
    for protocol in study.protocols:
        found = studies.results_of(STUDIES, study, study.networks[0], protocol, cells)
        chosen = [cell for cell in found if cell.scores]
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
    ship(sys.argv[1], sys.argv[2], Path(sys.argv[3]) if len(sys.argv) > 3 else None)
