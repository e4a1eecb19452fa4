"""Exports finished cells anew from their checkpoints: `python studies/again.py CELLS DATA [--boxes]`.

A file of an older version lacks what later ones add, as how strange a picture is. The weights stay, so the answers do.
Temperature and thresholds on the cards stay as well. With --boxes the files learn where defects are, from NEU-DET's
boxes of their own training pictures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from neu_det import with_boxes

from steelsight.data import catalog, foldfile
from steelsight.evaluation import cells as on_disk
from steelsight.runtime.classifier import RUN_FILE, load
from steelsight.training import recipe as recipes
from steelsight.training.boxes import learned_from_boxes
from steelsight.training.export import export
from steelsight.training.familiar import familiarity
from steelsight.training.fit import CHECKPOINT, create_network
from steelsight.training.pictures import Pictures


def again(cells: Path, data: Path, boxes: bool) -> None:
    samples, root = catalog.read(data).samples, catalog.root_of(data)
    if boxes:
        samples = with_boxes(samples, data)
    assigned, _ = foldfile.match_samples(samples, root, cells / on_disk.FOLDS)
    for cell in on_disk.done(cells):
        card = load(cell.folder).card
        recipe = recipes.load(cell.folder / "recipe.yaml")
        network = create_network(recipe, len(card.classes))
        held = torch.load(cell.folder / CHECKPOINT, map_location="cpu", weights_only=True)
        network.load_state_dict(held["best_weights"])
        apart = {cell.fold, foldfile.UNUSED}
        training = [sample for sample, entry in zip(samples, assigned, strict=True) if entry.fold not in apart]
        strangeness = familiarity(network, training, card.classes, recipe)
        where = learned_from_boxes(network, training, card.classes, card.size[0])
        export(network, card, cell.folder / RUN_FILE, Pictures(samples), strangeness, where)
        print(cell.folder, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--boxes", action="store_true")
    asked = parser.parse_args()
    again(asked.cells, asked.data, asked.boxes)
