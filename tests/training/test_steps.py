"""A file for OpenVINO computes what it did before, whatever the size of the picture."""

import numpy as np
import onnx
import onnxruntime
import pytest

from steelsight.runtime.classifier import model_file
from steelsight.training.steps import columns_as_channels


def kernels(model: onnx.ModelProto) -> list[list[int]]:
    return [
        list(attribute.ints)
        for node in model.graph.node
        for attribute in node.attribute
        if attribute.name == "kernel_shape" and node.op_type == "Conv"
    ]


@pytest.mark.parametrize("size", [(200, 200), (203, 213)])
def test_the_first_convolution_takes_the_columns_of_its_steps_as_channels(size: tuple[int, int]) -> None:
    model = onnx.load(model_file("millnet-neu"))
    before = onnxruntime.InferenceSession(model.SerializeToString())
    assert kernels(model)[0] == [4, 4]
    columns_as_channels(model)
    assert kernels(model)[0] == [4, 1]
    onnx.checker.check_model(model, full_check=True)
    after = onnxruntime.InferenceSession(model.SerializeToString())
    grey = np.random.default_rng(0).integers(0, 256, (2, 1, *size), dtype=np.uint8)
    for expected, found in zip(before.run(None, {"grey": grey}), after.run(None, {"grey": grey}), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_steps_that_overlap_are_left_as_they_are() -> None:
    model = onnx.load(model_file("pdmsnet-neu"))
    before = model.SerializeToString(deterministic=True)
    columns_as_channels(model)
    assert model.SerializeToString(deterministic=True) == before
