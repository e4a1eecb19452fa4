"""Puts a finished run into the package: `python studies/ship.py RUN NAME RESULT.json...`

Writes weights/NAME.onnx, whose card gives the scores of the siblings named by the result files, and
weights/NAME.safetensors for `timm.create_model(..., pretrained=True)`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from statistics import mean

import onnx
import torch
from safetensors.torch import save_file

from steelsight.records import Card
from steelsight.runtime import card as cards
from steelsight.training.fit import CHECKPOINT

WEIGHTS = Path(__file__).parents[1] / "src" / "steelsight" / "weights"
LICENCE = (
    "Code: Apache-2.0. The weights were trained on NEU-CLS (Song and Yan 2013), whose owners state no licence; "
    "see NOTICE."
)


def ship(run: Path, name: str, results: list[Path]) -> None:
    model = onnx.load(run / "model.onnx")
    entry = next(entry for entry in model.metadata_props if entry.key == cards.KEY)
    entry.value = cards.dumps(_card(cards.loads(entry.value, str(run)), results))
    onnx.save(model, WEIGHTS / f"{name}.onnx")
    best = torch.load(run / CHECKPOINT, map_location="cpu", weights_only=True)["best_weights"]
    weights = {key.removeprefix("network."): value.contiguous() for key, value in best.items()}
    save_file(weights, WEIGHTS / f"{name}.safetensors")


def _card(card: Card, results: list[Path]) -> Card:
    accuracies: dict[str, list[float]] = {}
    for path in results:
        result = json.loads(path.read_text(encoding="utf-8"))
        protocol, _ = result["facts"]["Protocol"].rsplit(", ", 1)
        accuracies.setdefault(protocol, []).append(100 * result["scores"]["accuracy"])
    scores = {
        f"{protocol} accuracy, {len(found)} of 5 folds": round(mean(found), 2) for protocol, found in accuracies.items()
    }
    return replace(
        card,
        protocol="trained on all 1,800 images of NEU-CLS; the scores are those of siblings trained on part of them",
        scores=scores,
        licence=LICENCE,
    )


if __name__ == "__main__":
    ship(Path(sys.argv[1]), sys.argv[2], [Path(argument) for argument in sys.argv[3:]])
