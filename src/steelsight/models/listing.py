"""The package's own networks with their size and cost."""

from __future__ import annotations

from dataclasses import dataclass

import timm

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
        network = timm.create_model(name)
        channels, height, width = timm.get_pretrained_cfg(name).input_size
        macs = counting.macs(network, (channels, height, width))
        found.append(Row(name, counting.parameters(network), macs, height))
    return sorted(found, key=lambda row: row.parameters)


def _is_ours(module: str) -> bool:
    names = timm.list_models(module=module)
    return bool(names) and timm.model_entrypoint(names[0]).__module__.startswith("steelsight.")
