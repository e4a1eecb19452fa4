"""A model file in 8-bit numbers: weights by channel, activations by what training pictures show of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from steelsight.records import GreyImage
from steelsight.runtime.engines import FEATURES

INPUT = "grey"
BATCH = 16
QUANTISE, DEQUANTISE = "QuantizeLinear", "DequantizeLinear"
ONE_TO_ONE = {"Relu", "Clip", "MaxPool", QUANTISE, DEQUANTISE}
"""Operations that make a feature map of one."""
BYTES = {"rmin": np.float32(0), "rmax": np.float32(255)}


def quantise(source: Path, target: Path, pictures: Sequence[GreyImage]) -> None:
    """Writes the int8 graph of an fp32 file.

    pictures: at the size of the network; their range decides that of every activation. Convolutions alone are
    quantised, and of these not those that answer: the classifier costs next to nothing, and what tells places inside of
    boxes tells them worse in 8 bits. Both engines read the file: each 8-bit operation is written as a float one between
    a pair of conversions (QDQ). A convolution's own answer is not converted, only what the next one reads: so engines
    compute bias, activation and conversion within the convolution.
    """
    model = onnx.load(source)
    model.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")  # else it advises what is done
    levels = [node.output[0] for node in model.graph.node if node.op_type == "Cast" and node.input[0] == INPUT]
    quantize_static(
        model,
        target,
        _Pictures(pictures),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        op_types_to_quantize=["Conv"],
        nodes_to_exclude=_classifier(model),
        extra_options={
            "TensorQuantOverrides": {name: [BYTES] for name in levels},
            "OpTypesToExcludeOutputQuantization": ["Conv"],
        },
    )
    quantised = onnx.load(target)
    _take_bytes(quantised)
    _pool_bytes(quantised)
    quantised.producer_name = "steelsight"
    onnx.save(quantised, target)


def floats(model: Any) -> str:
    """What the steps of an int8 graph that are left in floats are best computed in, in OpenVINO: `fp32` or `bf16`.

    Where feature maps are added or joined between 8-bit convolutions, bf16 moves them in half the time. Where only what
    follows the last convolution is left, turning numbers to and fro takes longer than bf16 saves.
    """
    makers = {output: node for node in model.graph.node for output in node.output}
    return "bf16" if any(_is_joined(node, makers) for node in model.graph.node if node.op_type == QUANTISE) else "fp32"


def _is_joined(node: Any, makers: Mapping[str, Any]) -> bool:
    """Whether what a node reads comes of several feature maps since the last convolution."""
    before = makers.get(node.input[0])
    while before is not None and before.op_type in ONE_TO_ONE:
        before = makers.get(before.input[0])
    return before is not None and before.op_type != "Conv"


class _Pictures(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, pictures: Sequence[GreyImage]) -> None:
        batches = (pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH))
        self._feeds: Iterator[dict[str, Any]] = ({INPUT: np.stack(batch)[:, None]} for batch in batches)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)


def _classifier(model: Any) -> list[str]:
    """The nodes behind the features: the one that makes the class map, and what averages it."""
    makers = {output: node for node in model.graph.node for output in node.output}
    found, waiting = [], [output.name for output in model.graph.output if output.name != FEATURES]
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.name not in found:
            found.append(node.name)
            if node.op_type not in {"Conv", "Gemm", "MatMul"}:
                waiting.extend(node.input)
    return found


def _take_bytes(model: Any) -> None:
    """Grey levels that are turned into floats only to be quantised to the same bytes are taken as they are."""
    graph = model.graph
    values = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    casts = {node.output[0]: node for node in graph.node if node.op_type == "Cast" and node.input[0] == INPUT}
    for node in [node for node in graph.node if node.op_type == QUANTISE and node.input[0] in casts]:
        if values[node.input[1]] == 1 and values[node.input[2]] == 0:
            for other in graph.node:
                other.input[:] = [INPUT if name == node.output[0] else name for name in other.input]
            graph.node.remove(node)
    read = {name for node in graph.node for name in node.input}
    for output, node in casts.items():
        if output not in read:
            graph.node.remove(node)


def _pool_bytes(model: Any) -> None:
    """What is quantised after a maximum is quantised before it too: the same bytes come out, and fewer go in.

    Left as it is where anything reads the maximum itself.
    """
    graph = model.graph
    given = {output.name for output in graph.output}
    for pool in [node for node in graph.node if node.op_type == "MaxPool" and node.output[0] not in given]:
        readers = [node for node in graph.node if pool.output[0] in node.input]
        scales = {tuple(node.input[1:]) for node in readers}
        if len(scales) != 1 or any(node.op_type != QUANTISE for node in readers):
            continue
        name, scale = pool.output[0], scales.pop()
        steps = (QUANTISE, DEQUANTISE)
        names = (pool.input[0], f"{name}_bytes_before", f"{name}_levels_before")
        pair = [
            helper.make_node(step, [before, *scale], [after], name=after)
            for step, (before, after) in zip(steps, pairwise(names), strict=True)
        ]
        pool.input[0] = names[-1]
        for number, node in enumerate(pair, start=list(graph.node).index(pool)):
            graph.node.insert(number, node)
