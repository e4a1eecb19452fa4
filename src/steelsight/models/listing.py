"""The package's own networks with their size and cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import timm
import torch

from steelsight.models import counting


@dataclass(frozen=True, slots=True)
class Row:
    """A network at its default input, three channels as the papers count them."""

    name: str
    parameters: int
    macs: int
    size: int


def names() -> list[str]:
    """Networks that this package registers with timm."""
    ours = {module for module in timm.list_modules() if _is_ours(module)}
    return sorted(name for module in ours for name in timm.list_models(module=module))


def rows() -> list[Row]:
    """One row a network, fewest parameters first."""
    found = []
    for name in names():
        with torch.device("meta"):  # shapes are enough, and cost neither time nor memory
            network: Any = timm.create_model(name)
        size = network.pretrained_cfg["input_size"]
        found.append(Row(name, counting.parameters(network), counting.macs(network, size), size[1]))
    return sorted(found, key=lambda row: row.parameters)


def _is_ours(module: str) -> bool:
    names = timm.list_models(module=module)
    return bool(names) and timm.model_entrypoint(names[0]).__module__.startswith("steelsight.")
