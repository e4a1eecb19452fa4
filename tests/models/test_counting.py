"""The counting rules on layers small enough to count by hand, and on the networks that the papers compare."""

import pytest
import timm
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from steelsight.models.counting import PAPER_1, PAPER_2, macs, parameters
from tests.published import PUBLISHED


@pytest.mark.parametrize(
    ("layer", "paper_1", "paper_2"),
    [
        (nn.Conv2d(2, 4, 3, padding=1, bias=False), 4 * 64 * (2 * 9), 4 * 64 * (2 * 9)),
        (nn.Conv2d(2, 4, 3, padding=1), 4 * 64 * (2 * 9 + 1), 4 * 64 * (2 * 9 + 1)),
        (nn.Conv2d(2, 4, 3, padding=1, groups=2, bias=False), 4 * 64 * 9, 4 * 64 * 9),
        (nn.Sequential(nn.Flatten(), nn.Linear(128, 3)), 3 * 129, 3 * 128),
        (nn.BatchNorm2d(2), 2 * 2 * 64, 2 * 2 * 64),
        (nn.ReLU(), 2 * 64, 0),
        (nn.ReLU6(), 0, 0),
        (nn.MaxPool2d(2), 2 * 64, 0),
        (nn.AvgPool2d(2), 2 * 64, 2 * 16 * (4 + 1)),
        (nn.AdaptiveAvgPool2d(1), 2 * 64, 2 * (64 + 1)),
        (nn.Dropout(), 0, 0),
    ],
)
def test_macs_of_a_layer(layer: nn.Module, paper_1: int, paper_2: int) -> None:
    assert macs(layer, (2, 8, 8), PAPER_1) == paper_1
    assert macs(layer, (2, 8, 8), PAPER_2) == paper_2


@pytest.mark.parametrize(("act_layer", "paper_1"), [(nn.ReLU, (2 + 1) * 128), (nn.ReLU6, 2 * 128), (None, 2 * 128)])
def test_a_batch_norm_that_holds_its_activation_counts_as_both(act_layer: type[nn.Module], paper_1: int) -> None:
    layer = BatchNormAct2d(2, apply_act=act_layer is not None, act_layer=act_layer or nn.ReLU)
    assert macs(layer, (2, 8, 8), PAPER_1) == paper_1
    assert macs(layer, (2, 8, 8), PAPER_2) == 2 * 128


def test_a_layer_counts_as_often_as_it_is_used() -> None:
    conv = nn.Conv2d(2, 2, 1, bias=False)
    assert macs(nn.Sequential(conv, conv), (2, 8, 8)) == 2 * macs(conv, (2, 8, 8))


@pytest.mark.parametrize(
    ("row", "name", "classes"),
    [("mobilenetv3_large", "mobilenetv3_large_100", 6), ("resnet18", "resnet18", 6), ("mixnet_s", "mixnet_s", 1000)],
)
def test_timms_networks_are_those_of_the_first_papers_table_5(row: str, name: str, classes: int) -> None:
    """To the last digit in parameters (MixNet with ImageNet's classes); in MACs as near as another code of them is."""
    printed = PUBLISHED["pdmsnet"]["comparison"][row]
    with torch.device("meta"):
        network = timm.create_model(name, num_classes=classes)
    assert parameters(network) / 1e6 == pytest.approx(printed["params_m"], abs=0.0051)
    assert macs(network, (3, 224, 224)) / 1e6 == pytest.approx(printed["macs_m"], rel=0.01)


def test_a_pass_costs_neither_time_nor_memory() -> None:
    """On values it would take a terabyte."""
    assert macs(nn.Conv2d(1, 4, 3, padding=1, bias=False), (1, 250_000, 250_000)) == 36 * 250_000**2


def test_counting_leaves_the_network_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    macs(network, (1, 8, 8))
    assert network.training
    assert all((network.state_dict()[name] == value).all() for name, value in before.items())
    assert not any(module._forward_hooks for module in network.modules())
    assert parameters(network) == 2 * 9 + 2 + 4
