"""8-bit numbers go from one convolution to the next, through a maximum too, without turning into others between."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import timm
import torch

from steelsight.data import synthetic
from steelsight.models.grey import GreyNetwork
from steelsight.records import Card, GreyImage
from steelsight.runtime.engines import OnnxRuntime
from steelsight.training import quantise
from steelsight.training.export import export
from steelsight.training.pictures import Pictures

SIDE = 64


@pytest.fixture(scope="module")
def pictures() -> list[GreyImage]:
    return [np.random.default_rng(n).integers(0, 256, (SIDE, SIDE), dtype=np.uint8) for n in range(6)]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with maxima between its convolutions."""
    return _exported("pdmsnet", tmp_path_factory.mktemp("pdmsnet"))


def _exported(name: str, folder: Path) -> Path:
    torch.manual_seed(0)
    drawn = synthetic.write(folder / "steel", per_class=1, classes=("patches", "scratches"))
    network = GreyNetwork(timm.create_model(name, num_classes=2, in_chans=1), 1)
    export(network, Card(name, ("patches", "scratches"), (SIDE, SIDE)), folder / "model.onnx", Pictures(drawn))
    return folder / "model.onnx"


@pytest.fixture
def graph(source: Path, pictures: Sequence[GreyImage], tmp_path: Path) -> Any:
    """In 8 bits."""
    quantise.quantise(source, tmp_path / "model.onnx", pictures)
    return onnx.load(tmp_path / "model.onnx").graph


def test_a_maximum_of_bytes_is_the_maximum_that_is_quantised(
    source: Path, pictures: Sequence[GreyImage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantise.quantise(source, tmp_path / "bytes.onnx", pictures)
    monkeypatch.setattr(quantise, "_pool_bytes", lambda _: None)
    quantise.quantise(source, tmp_path / "levels.onnx", pictures)
    batch = np.stack(pictures)[:, None]
    files = [tmp_path / name for name in ("bytes.onnx", "levels.onnx")]
    found, expected = (OnnxRuntime(file.read_bytes(), 1).run(batch) for file in files)
    np.testing.assert_array_equal(found.logits, expected.logits)


def test_what_a_maximum_reads_is_quantised_where_its_answer_is(graph: Any) -> None:
    makers = {output: node for node in graph.node for output in node.output}
    quantised = {node.input[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    pools = [node for node in graph.node if node.op_type == "MaxPool" and node.output[0] in quantised]
    assert len(pools) >= 2
    assert {makers[pool.input[0]].op_type for pool in pools} == {"DequantizeLinear"}


def test_a_convolution_gives_its_answer_to_the_activation_as_it_is(graph: Any) -> None:
    makers = {output: node for node in graph.node for output in node.output}
    activations = [node for node in graph.node if node.op_type == "Relu"]
    assert "Conv" in {makers[node.input[0]].op_type for node in activations}
    assert "DequantizeLinear" not in {makers[node.input[0]].op_type for node in activations}


def test_a_stack_of_convolutions_leaves_floats_as_they_are_and_joined_maps_halve_them(
    source: Path, pictures: Sequence[GreyImage], tmp_path: Path
) -> None:
    for file, expected in ((source, "bf16"), (_exported("millnet", tmp_path), "fp32")):
        quantise.quantise(file, tmp_path / "bytes.onnx", pictures)
        assert quantise.floats(onnx.load(tmp_path / "bytes.onnx")) == expected
