"""The processor's peak in each precision, by a large matrix product: `python -m benchmarks.peak CORES SIDE`.

Prints multiply-accumulates a second as JSON, null where there is no product in that precision on this processor. No
library is the fastest on every processor (torch's own fp32 product reaches half the peak on AMD's), so the best counts.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper

REPEATS = 10
"""The fastest one counts: a peak is what nothing else disturbed."""

Product = Callable[[], object]
Maker = Callable[[int, int], Product]
"""(side, cores) -> a product of two matrices (side, side)."""


def _torch_floats(kind: torch.dtype) -> Maker:
    def make(side: int, cores: int) -> Product:
        torch.set_num_threads(cores)
        one, other = (torch.rand(side, side).to(kind) for _ in range(2))
        return lambda: one @ other

    return make


def _torch_bytes(side: int, cores: int) -> Product:
    torch.set_num_threads(cores)
    one, other = (torch.randint(-128, 128, (side, side), dtype=torch.int8) for _ in range(2))
    return lambda: torch._int_mm(one, other)


def _onnx_runtime(side: int, cores: int) -> Product:
    one, other, product = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [side, side]) for name in "abc")
    graph = helper.make_graph([helper.make_node("MatMul", ["a", "b"], ["c"])], "product", [one, other], [product])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    matrices = {name: np.random.default_rng(0).random((side, side), dtype=np.float32) for name in "ab"}
    return lambda: session.run(None, matrices)


MAKERS: Mapping[str, Sequence[Maker]] = {
    "fp32": (_torch_floats(torch.float32), _onnx_runtime),
    "bf16": (_torch_floats(torch.bfloat16),),
    "int8": (_torch_bytes,),
}


def measure(makers: Sequence[Maker], side: int, cores: int) -> float | None:
    """Multiply-accumulates a second of the fastest product that there is."""
    rates = []
    for make in makers:
        try:
            rates.append(side**3 / _seconds(make(side, cores)))
        except (RuntimeError, AttributeError):  # torch has no such product here
            continue
    return float(f"{max(rates):.4g}") if rates else None


def _seconds(product: Product) -> float:
    product()
    found = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        product()
        found.append(time.perf_counter() - started)
    return min(found)


def main(cores: int, side: int) -> None:
    print(json.dumps({precision: measure(makers, side, cores) for precision, makers in MAKERS.items()}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
