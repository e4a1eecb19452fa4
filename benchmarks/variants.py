"""Which networks are measured, in which files: sizes, engines and precisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
from benchmarks.choice import best
from benchmarks.files import OURS
from benchmarks.records import Accuracy, Networks, Times, Variant

import steelsight.models  # noqa: F401  (registers the networks)

FAMILY = ("pdmsnet", "squeezenet_dms", "squeezenet_separable", "squeezenet_bn_sc", "squeezenet")
OTHERS = (
    "mobilenetv3_large_100",
    "mobilenetv3_small_100",
    "mobilenetv2_100",
    "mobilenetv4_conv_small",
    "lcnet_050",
    "mixnet_s",
    "resnet18",
    "effnet",
    "ilcs",
)
SIZE = 224
"""What all but MillNet are made for, pixels."""
FP32 = (("onnxruntime", "fp32"), ("openvino", "fp32"))
WAYS = (*FP32, ("onnxruntime", "int8"), ("openvino", "bf16"), ("openvino", "int8"))


def networks() -> Networks:
    """MillNet's presets, whose number may grow, and all others."""
    presets = {name: _own_size(name) for name in timm.list_models(OURS)}
    return Networks(presets, dict.fromkeys((*FAMILY, *OTHERS), SIZE), baseline=FAMILY[0])


def _own_size(name: str) -> int:
    size: Any = timm.get_pretrained_cfg_value(name, "input_size")
    return int(size[1])


def variants_of(networks: Networks, known: Sequence[Accuracy]) -> list[Variant]:
    """All ways at a network's own size, fp32 of the peers at MillNet's, and the sizes that accuracies are known at."""
    sizes = networks.presets.values()
    found = [Variant(name, size, *way) for name, size in networks.sizes.items() for way in WAYS]
    found += [Variant(name, size, *way) for name in networks.peers for size in sizes for way in FP32]
    found += [Variant(each.network, each.size) for each in known]
    found.append(plain(networks))
    return sorted(dict.fromkeys(found), key=lambda variant: (variant.network, variant.size))


def plain(networks: Networks) -> Variant:
    """What `torch.onnx` makes of the baseline."""
    return Variant(networks.baseline, networks.sizes[networks.baseline], "plain")


def scanning(networks: Networks) -> set[str]:
    """The networks whose throughput is measured: MillNet, which it is the purpose of, and the baseline."""
    return {*networks.presets, networks.baseline}


def for_two_cores(tried: Sequence[Times], networks: Networks) -> list[Variant]:
    """The fastest files, and the usual ones of what is scanned."""
    usual = [Variant(name, networks.sizes[name]) for name in sorted(scanning(networks))]
    return list(dict.fromkeys([*best(tried, networks), *usual, plain(networks)]))
