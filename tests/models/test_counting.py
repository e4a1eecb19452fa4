"""The counting rule on layers small enough to count by hand."""

import pytest
from torch import nn

from steelsight.models.counting import macs, parameters


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Conv2d(2, 4, 3, padding=1, bias=False), 4 * 64 * (2 * 9)),
        (nn.Conv2d(2, 4, 3, padding=1), 4 * 64 * (2 * 9 + 1)),
        (nn.Conv2d(2, 4, 3, padding=1, groups=2, bias=False), 4 * 64 * 9),
        (nn.BatchNorm2d(2), 2 * 2 * 64),
        (nn.ReLU(), 2 * 64),
        (nn.MaxPool2d(2), 2 * 64),
        (nn.AdaptiveAvgPool2d(1), 2 * 64),
        (nn.Sequential(nn.Flatten(), nn.Linear(128, 3)), 3 * 129),
        (nn.Dropout(), 0),
    ],
)
def test_macs_of_a_layer(layer: nn.Module, expected: int) -> None:
    assert macs(layer, (2, 8, 8)) == expected


def test_counting_leaves_the_network_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    macs(network, (1, 8, 8))
    assert network.training
    assert all((network.state_dict()[name] == value).all() for name, value in before.items())
    assert not any(module._forward_hooks for module in network.modules())
    assert parameters(network) == 2 * 9 + 2 + 4
