"""Size, cost and speed of the studies' networks: `python benchmarks/networks.py STUDIES OUT.json [ROUNDS]`.

Each network that the page on the papers shows, of the studies in folder STUDIES, is counted as the papers count, with
three channels, and timed as this project ships it: one file that takes one grey picture, in ONNX Runtime on one thread.
All are timed in turn, round after round, so that what else the machine does falls on all of them alike.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from torch import Tensor, nn

import steelsight.models  # noqa: F401  (registers the networks)
from steelsight import images
from steelsight.data import synthetic
from steelsight.evaluation import reproduction, studies
from steelsight.evaluation.provenance import provenance
from steelsight.evaluation.studies import Network
from steelsight.models.counting import PAPER_1, PAPER_2, Rule, macs, parameters
from steelsight.models.grey import GreyNetwork
from steelsight.records import Card, GreyImage
from steelsight.runtime.classifier import Classifier, load
from steelsight.training.export import export
from steelsight.training.pictures import Pictures

CLASSES = ("crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale", "scratches")
SIZE = 224
"""Side of the picture that paper 1 counts for, pixels; paper 2 prints its own for each network."""
BASE = "squeezenet"
ROUNDS = 30
BURST = 3
"""Inferences of one network in a round, after one that is not timed."""
ABOUT = {
    "size": f"side of the picture, pixels, that the paper counts for; {SIZE} where it says nothing",
    "parameters": "with 6 classes and three channels",
    "at_printed_classes": "the same counts with as many classes as the paper counts",
    "macs_paper_1": f"multiply-accumulates of one picture of {SIZE} pixels by the rule of paper 1",
    "macs_paper_2": "multiply-accumulates of one picture of `size` pixels by the rule of paper 2",
    "milliseconds": "one inference, one thread, one grey picture of `size` pixels, 6 classes, without a class map "
    "where that is not free; median over the rounds",
    "ratio": f"to {BASE} in the same round; median over the rounds",
    "ratio_quartiles": "the first and the third, over the rounds",
    "weights": "random: the speed does not depend on them",
}


@dataclass(frozen=True, slots=True)
class Counted:
    parameters: int
    macs_paper_1: int
    macs_paper_2: int


@dataclass(frozen=True, slots=True)
class Timed:
    milliseconds: float
    ratio: float
    ratio_quartiles: tuple[float, float]


def networks(folder: Path) -> dict[str, Network]:
    """The networks of the page on the papers by name, which means the same one in all studies."""
    shown = [study for study in studies.load_all(folder) if study.page == reproduction.PAGE]
    return {network.name: network for study in shown for network in study.networks}


def size_of(network: Network) -> int:
    return int(network.printed.get("size", SIZE))


def options_at(network: Network, size: int) -> dict[str, Any]:
    """The network's options; a head that depends on the picture is made for this size, not for the study's own."""
    return {name: size if name == "img_size" else value for name, value in network.options.items()}


def make(network: Network, size: int, classes: int, in_chans: int) -> nn.Module:
    options = options_at(network, size)
    made: nn.Module = timm.create_model(network.model, num_classes=classes, in_chans=in_chans, **options)
    return made


def count(network: Network, classes: int) -> Counted:
    def cost(size: int, rule: Rule) -> int:
        return macs(make(network, size, classes, in_chans=3), (3, size, size), rule)

    with torch.device("meta"):  # shapes are enough, and cost neither time nor memory
        size = size_of(network)
        made = make(network, size, classes, in_chans=3)
        return Counted(parameters(made), cost(SIZE, PAPER_1), cost(size, PAPER_2))


class Alone(GreyNetwork):
    """A network without the class map that this project would work out beside its logits."""

    def answer(self, features: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network.forward_head(features)
        return logits, logits[:, :, None, None]


def wrapped(network: nn.Module) -> GreyNetwork:
    """For one grey channel; with a class map where that comes for free."""
    return (GreyNetwork if hasattr(network, "forward_map") else Alone)(network, in_chans=1)


def exported(network: Network, folder: Path, pictures: Pictures) -> Classifier:
    """The network with random weights as a file of this project, loaded for one thread."""
    torch.manual_seed(0)
    size, path = size_of(network), folder / f"{network.name}.onnx"
    grey = wrapped(make(network, size, len(CLASSES), in_chans=1))
    export(grey, Card(network.model, CLASSES, (size, size)), path, pictures)
    return load(path, threads=1)


def time_rounds(classifiers: Mapping[str, Classifier], picture: GreyImage, rounds: int) -> list[dict[str, float]]:
    """Milliseconds of one inference of every network, once a round."""
    resized = {name: images.prepare(picture, classifier.card.size) for name, classifier in classifiers.items()}
    return [
        {name: _burst(classifier, resized[name]) for name, classifier in classifiers.items()} for _ in range(rounds)
    ]


def _burst(classifier: Classifier, picture: GreyImage) -> float:
    logits, _ = classifier.logits([picture])  # brings the weights back into the processor's caches
    assert np.isfinite(logits).all(), f"{classifier.name} answers {logits}"
    started = time.perf_counter()
    for _ in range(BURST):
        classifier.logits([picture])
    return 1000 * (time.perf_counter() - started) / BURST


def sum_up(name: str, rounds: Sequence[Mapping[str, float]]) -> Timed:
    ratios = [each[name] / each[BASE] for each in rounds]
    first, median, third = statistics.quantiles(ratios, n=4, method="inclusive")
    milliseconds = statistics.median(each[name] for each in rounds)
    return Timed(round(milliseconds, 3), round(median, 3), (round(first, 3), round(third, 3)))


def describe(network: Network, timed: Timed) -> dict[str, Any]:
    size, printed_classes = size_of(network), int(network.printed.get("head_classes", len(CLASSES)))
    return {
        "model": network.model,
        "options": options_at(network, size),
        "size": size,
        **asdict(count(network, len(CLASSES))),
        "printed_classes": printed_classes,
        "at_printed_classes": asdict(count(network, printed_classes)),
        **asdict(timed),
    }


def main(folder: Path, out: Path, rounds: int) -> None:
    found = networks(folder)
    with tempfile.TemporaryDirectory() as place:
        drawn = synthetic.write(Path(place), per_class=1, classes=("scratches",))
        classifiers = {}
        for name, network in found.items():
            print(f"exports {name}", flush=True)
            classifiers[name] = exported(network, Path(place), Pictures(drawn))
        timed = time_rounds(classifiers, images.decode(drawn[0].path), rounds)
    measured = {name: describe(network, sum_up(name, timed)) for name, network in found.items()}
    result = {
        "about": ABOUT,
        "rounds": rounds,
        "inferences_per_round": BURST,
        "networks": measured,
        "provenance": provenance(),
    }
    for name, each in measured.items():
        print(name, each["milliseconds"], each["ratio"])
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else ROUNDS)
