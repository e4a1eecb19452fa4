"""Scores a study whose networks another has trained: `python studies/refit.py STUDY TRAINED [--out RUNS]`.

Where the recipes of two studies differ in what files alone know of pictures (`recipe.OF_THE_FILE`), their networks are
the same. Takes the weights of MillNets from the committed files of TRAINED (studies/models), lays out those cells of
STUDY as if they had been trained, and keeps their results. Norms are folded into such weights, and answers stay.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from steelsight.data import catalog, foldfile
from steelsight.evaluation import archive, results, studies
from steelsight.evaluation import cells as on_disk
from steelsight.evaluation.archive import Kept, Key
from steelsight.evaluation.evaluate import evaluate
from steelsight.evaluation.provenance import provenance
from steelsight.evaluation.studies import Study
from steelsight.models.grey import MEAN, STD, GreyNetwork
from steelsight.records import Sample, SteelsightError
from steelsight.runtime.classifier import RUN_FILE, load
from steelsight.training import recipe as recipes
from steelsight.training.crossval import prepare
from steelsight.training.export import export
from steelsight.training.familiar import familiarity
from steelsight.training.fit import CHECKPOINT, create_network
from steelsight.training.pictures import Pictures
from steelsight.training.recipe import Recipe
from steelsight.training.study import keep, recipe_of

STUDIES = Path(__file__).parent


def network_of(path: Path, recipe: Recipe, classes: int) -> GreyNetwork:
    """The MillNet that a float32 file holds, with norms that add its biases and change nothing else."""
    held = {each.name: numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer}
    network = create_network(recipe, classes).eval()
    with torch.no_grad():
        for number, layer in enumerate(network.network.layers):
            name = f"network.network.layers.{number}.0."
            weight, bias = held[f"{name}weight"], held.get(f"{name}bias", held.get(f"{name}weight_bias"))
            if number == 0:  # takes grey levels 0..255
                weight = weight * (255 * STD)
                bias = bias + weight.sum((1, 2, 3)) * (MEAN / STD)
            _take(layer[0], layer[1], weight, bias)
        network.network.classifier.weight.copy_(torch.from_numpy(np.copy(held["network.network.classifier.weight"])))
        network.network.classifier.bias.copy_(torch.from_numpy(np.copy(held["network.network.classifier.bias"])))
    return network


def _take(conv: nn.Conv2d, norm: nn.BatchNorm2d, weight: np.ndarray, bias: np.ndarray) -> None:
    conv.weight.copy_(torch.from_numpy(np.copy(weight)))
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)
    norm.weight.fill_(1)
    norm.bias.copy_(torch.from_numpy(np.copy(bias)))


def refit(study: Study, trained: Study, out: Path, data: Path) -> None:
    """Exports, scores and keeps every cell of a study that the other's committed files hold. Raises SteelsightError."""
    recipe, before = (recipe_of(STUDIES, each, each.networks[0]) for each in (study, trained))
    one, other = recipes.to_dict(recipe), recipes.to_dict(before)
    changed = {name for name in one if one[name] != other[name]} - recipes.OF_THE_FILE
    if changed:
        raise SteelsightError(f"{study.name}: was not trained by {trained.name}, whose {', '.join(changed)} differs.")
    kept = {cell.key: cell for cell in archive.load(STUDIES / "results")}
    samples = catalog.read(data).samples
    sources = {key: replace(key, recipe=trained.recipe, network=trained.networks[0].name) for _, key in study.cells()}
    held = {key: source for key, source in sources.items() if _file_of(source).exists()}
    if not held:
        raise SteelsightError(f"{trained.name}: studies/models holds no file of it; name a study that has some there.")
    for key, source in held.items():
        _refit_cell(study, key, kept[source], recipe, out, samples, catalog.root_of(data))
        print(key.path, flush=True)
    print(f"{len(sources) - len(held)} of {len(sources)} cells have no file there; `steelsight study run` trains them.")


def _file_of(key: Key) -> Path:
    return STUDIES / "models" / key.recipe / key.network / key.protocol / f"fold-{key.fold}-seed-{key.seed}" / RUN_FILE


def _refit_cell(
    study: Study, key: Key, source: Kept, recipe: Recipe, out: Path, samples: Sequence[Sample], root: Path
) -> None:
    place = out / key.recipe / key.network / key.protocol
    prepare(place, recipe, STUDIES / "folds" / f"{key.protocol}.csv")
    cell = on_disk.cell(place, key.fold, key.seed)
    cell.folder.mkdir(exist_ok=True)
    recipes.save(recipe, cell.folder / "recipe.yaml")
    old = _file_of(source.key)
    card = replace(load(old).card, second_look=recipe.second_look)
    network = network_of(old, recipe, len(card.classes))
    torch.save({"best_weights": network.state_dict()}, cell.folder / CHECKPOINT)  # for `again.py`
    assigned, _ = foldfile.match_samples(samples, root, place / on_disk.FOLDS)
    pairs = list(zip(samples, assigned, strict=True))
    training = [sample for sample, entry in pairs if entry.fold not in {key.fold, foldfile.UNUSED}]
    strangeness = familiarity(network, training, card.classes, recipe)
    difference = export(network, card, cell.folder / RUN_FILE, Pictures(samples), strangeness)
    test = [sample for sample, entry in pairs if entry.fold == key.fold]
    found = evaluate(load(cell.folder).predict, test, card.classes, root)
    facts = {
        **source.facts,
        "Weights": f"those of {source.key.network}, trained {source.provenance['date']}",
        "File against network": f"all decisions equal on {len(samples)} pictures, logits within {difference:.1e}",
    }
    results.write(cell.folder, found, facts, {**provenance(), "seed": str(key.seed)})
    lines = [json.dumps(dict(each)) for each in source.history]
    (cell.folder / results.HISTORY).write_text("".join(f"{line}\n" for line in lines))
    definition = studies.definition_of(STUDIES, study, study.networks[0], key.protocol)
    keep(STUDIES, key, cell, definition)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("trained")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("STEELSIGHT_DATA", "."), "neu-cls"))
    asked = parser.parse_args()
    refit(studies.load(STUDIES, asked.study), studies.load(STUDIES, asked.trained), asked.out, asked.data)
