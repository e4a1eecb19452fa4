"""Which files are worth timing at length, by a few calls of each."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.records import REDUCED, Networks, Times, Variant


def is_usual(variant: Variant) -> bool:
    """As this project makes files unless asked for others, or as `torch.onnx` does."""
    return variant.engine != "openvino" and variant.precision == "fp32"


def fastest(tried: Sequence[Times]) -> list[Variant]:
    """Of every network at every size: the fastest file in fp32 and the fastest in reduced precision."""
    found: dict[tuple[str, int, bool], Variant] = {}
    for each in sorted(tried, key=lambda each: each.median):
        variant = each.variant
        if variant.engine != "plain":
            found.setdefault((variant.network, variant.size, variant.precision in REDUCED), variant)
    return list(found.values())


def best(tried: Sequence[Times], networks: Networks) -> list[Variant]:
    """The fastest files of every network at its own size."""
    return [each for each in fastest(tried) if each.size == networks.sizes[each.network]]
