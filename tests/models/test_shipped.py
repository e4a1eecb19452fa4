"""The weights in the package are those of the file beside them."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import timm
import torch
from onnx import numpy_helper

import steelsight
from steelsight import images
from steelsight.data import catalog
from steelsight.data.synthetic import CLASSES, draw
from steelsight.models.counting import PAPER_1, macs
from steelsight.models.grey import GreyNetwork, looks
from steelsight.records import UNKNOWN, GreyImage
from steelsight.runtime.classifier import DEFAULT_MODEL, shipped

MEGABYTE = 1_000_000
TAGS = {"millnet-neu": "millnet.neu", "millnet-line-neu": "millnet_large.neu_line", "pdmsnet-neu": "pdmsnet.neu"}
"""What timm calls the weights of a shipped model."""
LIKENESS = {DEFAULT_MODEL, "millnet-line-neu"}
"""Files in which what a picture is like has a say in the logits, and none in the class map."""


@pytest.mark.parametrize("name", shipped())
@pytest.mark.parametrize("in_chans", [1, 3, 4])
def test_timm_loads_what_the_file_computes(name: str, in_chans: int) -> None:
    classifier = steelsight.load(name)
    assert TAGS[name].partition(".")[0] == classifier.card.model
    network = GreyNetwork(timm.create_model(TAGS[name], pretrained=True, in_chans=in_chans), in_chans).eval()
    greys = [draw(label, seed, classifier.card.size[0]).pixels for label in CLASSES for seed in range(3)]
    own, judged = _answers(network, name, greys)
    logits, maps = classifier.logits(greys)
    np.testing.assert_allclose(maps.mean((2, 3)), own, atol=2e-3)
    np.testing.assert_allclose(logits, judged, atol=2e-3)
    assert (np.abs(judged - own).max() > 1) == (name in LIKENESS)


@torch.no_grad()
def _answers(network: GreyNetwork, name: str, greys: Sequence[GreyImage]) -> tuple[np.ndarray, np.ndarray]:
    """The network's own logits, and with the say of what the file holds of pictures that it has learned."""
    own, _, levels = network.with_levels(torch.from_numpy(np.stack(greys))[:, None].float() / 255)
    graph = onnx.load(shipped()[name]).graph
    held = {each.name: torch.tensor(numpy_helper.to_array(each)) for each in graph.initializer}
    products = {output: node.input for node in graph.node if node.op_type == "Gemm" for output in node.output}
    centres = next(-held[read[2]] for read in products.values() if read[1] == "strangeness.whitening")
    likeness = -float(held[products["logits"][1]][0, 0]) if "logits" in products else 0.0
    directions, whitening = held["strangeness.directions"], held["strangeness.whitening"]
    away = (looks(levels) @ directions @ whitening - centres).unflatten(1, (own.shape[1], -1))
    distances = away.square().sum(2).sqrt()
    nearest = distances.amin(1, keepdim=True)
    judged = own - likeness * distances.log() / nearest.square().clamp(min=1)
    return own.numpy(), judged.numpy()


def test_all_that_the_default_holds_is_within_its_bounds() -> None:
    """30,000 numbers and 10 million multiply-accumulates, with what it knows of strange pictures and of places."""
    graph = onnx.load(shipped()[DEFAULT_MODEL]).graph
    held = [each for each in graph.initializer if each.data_type == onnx.TensorProto.FLOAT]
    assert sum(math.prod(each.dims) for each in held) <= 30_000
    network = timm.create_model(TAGS[DEFAULT_MODEL], pretrained=True, in_chans=1)
    assert macs(network, (1, 200, 200), PAPER_1) <= 10_000_000


def test_another_number_of_classes_keeps_the_features() -> None:
    whole = timm.create_model("pdmsnet", pretrained=True, in_chans=1).eval()
    other = timm.create_model("pdmsnet", pretrained=True, in_chans=1, num_classes=4).eval()
    x = torch.randn(2, 1, 96, 96)
    torch.testing.assert_close(whole.forward_features(x), other.forward_features(x))
    assert other(x).shape == (2, 4)


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_file_is_small_and_says_what_it_is(name: str) -> None:
    path = shipped()[name]
    card = steelsight.load(name).card
    assert path.stat().st_size < MEGABYTE
    assert path.with_suffix(".safetensors").stat().st_size < MEGABYTE
    assert card.classes == catalog.NEU_CLASSES
    assert card.scores
    assert "no licence" in card.licence
    assert not any("/" in fact for fact in card.provenance.values())


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_model_does_not_know_what_is_no_steel(name: str) -> None:
    rows, columns = np.mgrid[:200, :200]
    chequered, striped = 255 * ((rows // 10 + columns // 10) % 2), 127 + 120 * np.sin(columns / 3)
    said = steelsight.load(name).predict([chequered.astype(np.uint8), striped.astype(np.uint8)])
    assert [prediction.label for prediction in said] == [UNKNOWN, UNKNOWN]


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_model_was_trained_on_all_of_neu(neu: Path, name: str) -> None:
    """File and network agree on all 1,800 images, and its card names the pixels of every one."""
    classifier = steelsight.load(name)
    samples = catalog.read(neu / "neu-cls").samples
    greys = [images.decode(sample.path) for sample in samples]
    assert {images.fingerprint(grey) for grey in greys} == set(classifier.card.training_images)
    network = GreyNetwork(timm.create_model(TAGS[name], pretrained=True, in_chans=1), 1).eval()
    changed = 0
    for start in range(0, len(greys), 50):
        batch = greys[start : start + 50]
        logits, maps = classifier.logits(batch)
        own, judged = _answers(network, name, [images.prepare(grey, classifier.card.size) for grey in batch])
        changed += int((logits.argmax(1) != judged.argmax(1)).sum())
        if name in LIKENESS:
            np.testing.assert_allclose(maps.mean((2, 3)), own, atol=2e-3)
        else:
            np.testing.assert_allclose(maps.mean((2, 3)), logits, atol=1e-4)
    assert changed == 0


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_file_scans(name: str) -> None:
    strip = np.concatenate([draw(label, 0, 256).pixels for label in CLASSES], axis=1)
    found = steelsight.load(name).scan(strip)
    assert found.class_map.shape[0] == len(catalog.NEU_CLASSES)
    assert all(0 <= region.x < region.x + region.width <= strip.shape[1] for region in found.regions)
