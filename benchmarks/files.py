"""Networks with random weights as model files: speed does not depend on the weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from benchmarks.networks import CLASSES, make, wrapped
from benchmarks.records import ROOT, Counted, Variant
from torch import nn

from steelsight.evaluation.studies import Network
from steelsight.models.counting import PAPER_1, PAPER_2, Rule, macs, parameters
from steelsight.models.grey import GreyNetwork, looks, told_by_boxes
from steelsight.models.millnet import CAP
from steelsight.models.strangeness import Strangeness
from steelsight.records import Card, Sample
from steelsight.training import recipe as recipes
from steelsight.training.export import export
from steelsight.training.pictures import Pictures
from steelsight.training.recipe import Recipe
from steelsight.training.reduce import reduce

PRODUCTS: Rule = {kind: rule[kind] for kind, rule in ((nn.Conv2d, PAPER_1), (nn.Linear, PAPER_2))}
"""What a matrix product could do at the processor's peak; activations and averages are left out."""
MADE_FOR_A_SIZE = ("effnet", "ilcs")
OURS = "millnet*"
AS_SHIPPED = [OURS, "pdmsnet"]
"""Networks whose files compute all that a shipped one does; the others only compute what they must."""
CAPPED = ("millnet", "millnet_line", "millnet_large")
"""Those whose recipes (SHIPPED_BY) put a cap into their layers."""
SHIPPED_BY = {
    "millnet": "millnet_second_look",
    "millnet_line": "millnet_line_second_look",
    "millnet_large": "millnet_line_second_look",
}
"""Recipes whose files count what pictures are like, and look again at those in doubt: of shipped files, and of
`millnet_line`, which is not shipped yet."""


def path_of(folder: Path, variant: Variant) -> Path:
    return folder / f"{variant.network}-{variant.size}-{variant.engine}-{variant.precision}.onnx"


def write(variants: Sequence[Variant], folder: Path, samples: Sequence[Sample]) -> list[str]:
    """Writes the files, fp32 before what is made from it; returns a sentence for each that cannot be made.

    samples: a few pictures, which decide the ranges of 8-bit numbers.
    """
    torch.set_num_threads(1)
    problems = []
    for variant in variants:
        try:
            _WRITERS.get((variant.engine, variant.precision), _write_reduced)(variant, folder, samples)
        except Exception as error:  # exporters raise nearly anything, and one network must not stop the others
            reason = (str(error) or repr(error)).splitlines()[0]
            problems.append(f"{variant}: the file cannot be made ({reason}).")
    return problems


def count(network: str, size: int) -> Counted:
    with torch.device("meta"):  # shapes are enough, and cost neither time nor memory
        made = _make(network, size, in_chans=1)
        return Counted(network, size, parameters(made), macs(made, (1, size, size), PRODUCTS))


def _make(network: str, size: int, in_chans: int) -> nn.Module:
    torch.manual_seed(0)
    options: dict[str, Any] = {"img_size": size} if network in MADE_FOR_A_SIZE else {}
    options |= {"cap": CAP} if network in CAPPED else {}
    return make(Network(network, network, options, {}, {}), size, len(CLASSES), in_chans)


def _write_grey(variant: Variant, folder: Path, samples: Sequence[Sample]) -> None:
    network = wrapped(_make(variant.network, variant.size, in_chans=1))
    recipe = _recipe_of(variant.network)
    card = Card(variant.network, CLASSES, (variant.size, variant.size), second_look=recipe.second_look)
    besides = _besides(network, recipe, variant.size) if variant.network in timm.list_models(AS_SHIPPED) else ()
    export(network, card, path_of(folder, variant), Pictures(samples[:1]), *besides)


def _recipe_of(network: str) -> Recipe:
    if network not in SHIPPED_BY:
        return Recipe()
    return recipes.load(ROOT / "studies" / "recipes" / f"{SHIPPED_BY[network]}.yaml")


@torch.no_grad()
def _besides(network: GreyNetwork, recipe: Recipe, size: int) -> tuple[Strangeness, nn.Conv2d | None]:
    """What a shipped file computes besides, with random numbers: how strange a picture is, and the inside of boxes."""
    levels = network.eval().with_levels(torch.zeros(1, 1, size, size))[2]
    spreads = torch.eye(recipe.directions).expand(len(CLASSES), -1, -1)
    directions = torch.randn(looks(levels).shape[1], recipe.directions)
    places = told_by_boxes(levels, size)
    return (
        Strangeness(directions, torch.randn(len(CLASSES), recipe.directions), spreads, recipe.likeness),
        None if places is None else nn.Conv2d(places.shape[1], len(CLASSES), 1),
    )


def _write_reduced(variant: Variant, folder: Path, samples: Sequence[Sample]) -> None:
    source = path_of(folder, Variant(variant.network, variant.size))
    reduce(source, path_of(folder, variant), samples, variant.engine, variant.precision)


def _write_plain(variant: Variant, folder: Path, _: Sequence[Sample]) -> None:
    network = _make(variant.network, variant.size, in_chans=3).eval()
    example = torch.zeros(1, 3, variant.size, variant.size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (example,), path_of(folder, variant), dynamo=True, external_data=False, verbose=False
        )


_WRITERS: Mapping[tuple[str, str], Callable[[Variant, Path, Sequence[Sample]], None]] = {
    ("onnxruntime", "fp32"): _write_grey,
    ("plain", "fp32"): _write_plain,
}
