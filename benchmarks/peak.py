"""The processor's peak in each precision, by a large matrix product: `python -m benchmarks.peak CORES SIDE`.

Prints multiply-accumulates a second as JSON, null where torch cannot multiply in that precision on this processor.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

REPEATS = 10
"""The fastest one counts: a peak is what nothing else disturbed."""


def _floats(side: int, kind: torch.dtype) -> Callable[[], Tensor]:
    one, other = (torch.rand(side, side).to(kind) for _ in range(2))
    return lambda: one @ other


def _bytes(side: int) -> Callable[[], Tensor]:
    one, other = (torch.randint(-128, 128, (side, side), dtype=torch.int8) for _ in range(2))
    return lambda: torch._int_mm(one, other)


PRODUCTS: Mapping[str, Callable[[int], Callable[[], Tensor]]] = {
    "fp32": lambda side: _floats(side, torch.float32),
    "bf16": lambda side: _floats(side, torch.bfloat16),
    "int8": _bytes,
}


def measure(product: Callable[[], Tensor], side: int) -> float | None:
    """Multiply-accumulates a second of a product of matrices (side, side)."""
    try:
        product()
    except (RuntimeError, AttributeError):  # torch has no such product here
        return None
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        product()
        seconds.append(time.perf_counter() - started)
    return float(f"{side**3 / min(seconds):.4g}")


def main(cores: int, side: int) -> None:
    torch.set_num_threads(cores)
    print(json.dumps({precision: measure(make(side), side) for precision, make in PRODUCTS.items()}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
