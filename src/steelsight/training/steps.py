"""The first convolution of a file for OpenVINO, where its steps do not overlap: the columns of a step become channels.

In bf16 and int8 a convolution over one channel takes OpenVINO longer than all others of a small network together. The
rows of a picture, cut into steps, are the same numbers in the same order as places whose channels are the columns of a
step: nothing is moved, and a convolution over those channels is fast.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import helper, numpy_helper

BEFORE = {"Cast", "DequantizeLinear"}
"""What may stand between the picture and the first convolution."""


def columns_as_channels(model: Any) -> None:
    """Rewrites the first convolution of an ONNX model in place; the model computes the same for pictures of any size.

    Left as it is where that convolution does not read the picture, pads, or takes other steps than its kernel is wide.
    """
    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output}
    first = next((node for node in graph.node if node.op_type == "Conv"), None)
    if first is None or not _reads_the_picture(first.input[0], graph, makers):
        return
    weight = makers[first.input[1]].input[0] if first.input[1] in makers else first.input[1]  # 8-bit, or as it is
    held = next(each for each in graph.initializer if each.name == weight)
    kernel = numpy_helper.to_array(held)
    if not _takes_steps_apart(first, kernel):
        return
    side = kernel.shape[2]
    columns = np.ascontiguousarray(kernel[:, 0].transpose(0, 2, 1))[..., None]  # (outputs, columns, rows, 1)
    held.CopyFrom(numpy_helper.from_array(columns, weight))
    for attribute in first.attribute:
        if attribute.name in {"strides", "kernel_shape"}:
            attribute.ints[:] = [side, 1]
    nodes, constants = _cut(first.input[0], "step_columns", side)
    for number, node in enumerate(nodes, start=list(graph.node).index(first)):
        graph.node.insert(number, node)
    first.input[0] = "step_columns"
    graph.initializer.extend(constants)


def _reads_the_picture(name: str, graph: Any, makers: dict[str, Any]) -> bool:
    while name in makers and makers[name].op_type in BEFORE:
        name = makers[name].input[0]
    return bool(name == graph.input[0].name)


def _takes_steps_apart(node: Any, kernel: np.ndarray[Any, Any]) -> bool:
    said = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    _, channels, height, width = kernel.shape
    return (
        channels == said.get("group", 1) == 1
        and height == width > 1
        and list(said.get("strides", [])) == [height, width]
        and not any(said.get("pads", []))
        and set(said.get("dilations", [1])) == {1}
    )


def _cut(source: str, target: str, side: int) -> tuple[list[Any], list[Any]]:
    """What makes (pictures, 1, rows, columns) into (pictures, side, rows, steps), without what is left of a row."""
    values = {"step_side": [side], "step_none": [0], "step_axis": [3], "step_one": [1], "step_shape": [0, 0, -1, side]}
    nodes = [
        helper.make_node("Shape", [source], ["step_width"], start=3, end=4),
        helper.make_node("Div", ["step_width", "step_side"], ["step_count"]),
        helper.make_node("Mul", ["step_count", "step_side"], ["step_end"]),
        helper.make_node("Slice", [source, "step_none", "step_end", "step_axis"], ["step_whole"]),
        helper.make_node("Squeeze", ["step_whole", "step_one"], ["step_rows"]),
        helper.make_node("Reshape", ["step_rows", "step_shape"], ["step_places"]),
        helper.make_node("Transpose", ["step_places"], [target], perm=[0, 3, 1, 2]),
    ]
    return nodes, [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in values.items()]
