"""A trained network becomes one .onnx file, checked against the network on real pictures before it is kept."""

from __future__ import annotations

import copy
import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import torch
from timm.utils.model import reparameterize_model
from torch import Tensor, nn

from steelsight import images
from steelsight.models.field import field_of
from steelsight.models.grey import GreyNetwork, fine, fold_to_grey, looks, take_bytes, told_by_boxes
from steelsight.models.strangeness import Strangeness
from steelsight.records import Card, FloatArray, SteelsightError
from steelsight.runtime import card as cards
from steelsight.runtime.classifier import load
from steelsight.runtime.engines import FEATURES, INSIDE, MAPS
from steelsight.training.pictures import Pictures

TOLERANCE = 1e-4
"""Between the mean of the class map and the logits, relative to the largest logit."""
ALIKE = 1e-3
"""Between the logits of file and network, relative to the largest."""


class _Expected(NamedTuple):
    """What a file has to answer to pictures, both of shape (pictures, classes)."""

    logits: FloatArray
    said: FloatArray
    """What likeness adds to the network's own logits, which the class map averages to."""


class _Graph(nn.Module):
    """uint8 grey levels -> logits, class map and, where the model can tell, strangeness and what tells where: what the
    file computes."""

    def __init__(self, network: GreyNetwork, strangeness: Strangeness | None, boxes: nn.Module | None) -> None:
        super().__init__()
        self.network, self.strangeness, self.boxes = network, strangeness, boxes

    def forward(self, grey: Tensor) -> dict[str, Tensor]:
        logits, class_map, levels = self.network.with_levels(grey.float())
        side, strangeness = grey.shape[2], None
        if self.strangeness is not None:
            logits, strangeness = self.strangeness.judged(logits, looks(levels))
        given = {
            "logits": logits,
            "class_map": class_map,
            "strangeness": strangeness,
            FEATURES: fine(levels, side) if self.boxes is None else None,
            INSIDE: None if self.boxes is None else self.boxes(told_by_boxes(levels, side)),
        }
        return {name: value for name, value in given.items() if value is not None}


def export(
    network: GreyNetwork,
    card: Card,
    path: Path,
    pictures: Pictures,
    strangeness: Strangeness | None = None,
    boxes: nn.Module | None = None,
) -> float:
    """Writes the file and returns the largest difference of a logit between file and network over the pictures.

    boxes: what `training.boxes.learned_from_boxes` gave for this network. The file then tells by it where a defect is,
    else by the features themselves.

    Raises SteelsightError, and leaves no file, if one decision differs, logits do by more than rounding can, or a class
    map's mean is not the network's logits.
    """
    network = network.eval()
    expected = _reference(network, strangeness, pictures, card.size[0])
    field = field_of(network)
    if field:
        card = replace(card, stride=field.stride, reach=field.reach)
    draft = path.with_suffix(".onnx.new")
    _write(_Graph(folded(network), strangeness, boxes).eval(), card, draft)
    try:
        difference = _verify(draft, pictures, expected)
        if field:
            _verify_other_size(draft, network)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    draft.replace(path)
    return difference


def write_card(path: Path, card: Card) -> None:
    """Puts another card into a model file."""
    model = onnx.load(path)
    del model.metadata_props[:]
    model.metadata_props.add(key=cards.KEY, value=cards.dumps(card))
    onnx.save(model, path)


def folded(network: GreyNetwork) -> GreyNetwork:
    """A copy that computes the same with less: branches and three channels made one, bytes taken as they are."""
    network = copy.deepcopy(network).eval()
    reparameterize_model(network.network, inplace=True)
    if network.in_chans > 1:
        fold_to_grey(network.network)
        network.in_chans = 1
    take_bytes(network)
    return network


def _write(graph: _Graph, card: Card, path: Path) -> None:
    example = torch.zeros(2, 1, *card.size, dtype=torch.uint8)
    with torch.no_grad():
        names = list(graph(example))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph,
            (example,),
            input_names=["grey"],
            output_names=names,
            dynamic_shapes={"grey": {0: torch.export.Dim("batch")}},
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _pool_averages(model.graph)
    for node in [*model.graph.node, *(node for function in model.functions for node in function.node)]:
        del node.metadata_props[:]  # the exporter leaves stack traces with paths of this machine there
        node.doc_string = ""
    if card.stride:
        for number, side in ((2, "height"), (3, "width")):
            model.graph.input[0].type.tensor_type.shape.dim[number].dim_param = side
            for output in model.graph.output:
                if output.name in MAPS:
                    output.type.tensor_type.shape.dim[number].dim_param = f"{output.name}_{side}"
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    model.metadata_props.add(key=cards.KEY, value=cards.dumps(card))
    model.producer_name, model.doc_string = "steelsight", ""
    onnx.save(model, path)


def _pool_averages(graph: onnx.GraphProto) -> None:
    """Means over all places become global average pools, the same for engines that know them better.

    ONNX Runtime lays out channels in blocks for its convolutions; it pools in that layout, and leaves it for a mean.
    """
    values = {each.name: onnx.numpy_helper.to_array(each).tolist() for each in graph.initializer}
    for node in graph.node:
        keeps = any(each.name == "keepdims" and each.i == 1 for each in node.attribute)
        if node.op_type == "ReduceMean" and keeps and values.get(node.input[-1]) in ([2, 3], [-2, -1]):
            node.op_type = "GlobalAveragePool"
            del node.input[1:], node.attribute[:]
    used = {name for node in graph.node for name in node.input}
    for unused in [each for each in graph.initializer if each.name not in used]:
        graph.initializer.remove(unused)


@torch.no_grad()
def _reference(network: GreyNetwork, strangeness: Strangeness | None, pictures: Pictures, size: int) -> _Expected:
    answers = [_expected(network, strangeness, batch.float() / 255) for batch in _batches(pictures, size)]
    return _Expected(*(torch.cat(part).numpy() for part in zip(*answers, strict=True)))


def _expected(network: GreyNetwork, strangeness: Strangeness | None, grey: Tensor) -> tuple[Tensor, Tensor]:
    own = network(grey)
    if strangeness is None or not strangeness.likeness:
        return own, torch.zeros_like(own)
    logits, _ = strangeness.judged(own, looks(network.with_levels(grey)[2]))
    return logits, logits - own


def _verify(path: Path, pictures: Pictures, expected: _Expected) -> float:
    classifier = load(path)
    greys = [batch[:, 0].numpy() for batch in _batches(pictures, classifier.card.size[0])]
    answers = [classifier.logits(list(batch)) for batch in greys]
    logits = np.concatenate([logits for logits, _ in answers])
    averages = np.concatenate([maps.mean((2, 3)) for _, maps in answers])
    scale = max(1.0, float(np.abs(logits).max()))
    bound = ALIKE if expected.said.any() else TOLERANCE  # what is said was worked out by the network, not by the file
    if np.abs(averages + expected.said - logits).max() > bound * scale:
        raise SteelsightError("The exported class map does not average to the logits; the file was not kept.")
    changed = int((logits.argmax(1) != expected.logits.argmax(1)).sum())
    if changed:
        raise SteelsightError(f"The exported file decides {changed} pictures differently; it was not kept.")
    difference = float(np.abs(logits - expected.logits).max())
    if difference > ALIKE * scale:
        raise SteelsightError(f"The exported file's logits differ by up to {difference:.2g}; it was not kept.")
    return difference


@torch.no_grad()
def _verify_other_size(path: Path, network: GreyNetwork) -> None:
    """The sides of the graph are free: it was traced at one size, so another one is tried."""
    classifier = load(path)
    height, width = classifier.card.size
    pixels = torch.randint(256, (1, 1, height + 37, 2 * width + 5), generator=torch.Generator().manual_seed(0))
    expected = network.with_map(pixels.float() / 255)[1].numpy()
    found = classifier.class_map(pixels[0, 0].numpy().astype(np.uint8))
    if found.shape != expected.shape[1:] or np.abs(found - expected).max() > TOLERANCE * max(
        1.0, np.abs(expected).max()
    ):
        raise SteelsightError("The exported file answers differently on pictures of another size; it was not kept.")


def _batches(pictures: Pictures, size: int, batch: int = 32) -> list[Tensor]:
    """Pictures of the network's size, mended once more, as the file mends all that it is given: where a picture was
    made small, a bright column may look dead."""
    numbers = range(len(pictures))
    found = [pictures.batch(numbers[start : start + batch], size) for start in range(0, len(pictures), batch)]
    return [torch.from_numpy(np.stack([images.mend(grey) for grey in each[:, 0].numpy()]))[:, None] for each in found]
