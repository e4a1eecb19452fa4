"""What a place of the class map depends on, against fields worked out by hand."""

import pytest
import timm
import torch
from torch import nn

from steelsight.models.classmap import ClassMapNetwork
from steelsight.models.field import Field, field_of
from steelsight.models.grey import GreyNetwork


class Plain(ClassMapNetwork):
    def __init__(self, *layers: nn.Module, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.make_head(features, 2, 0.0, "avg")

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


@pytest.mark.parametrize(
    ("layers", "field"),
    [
        # Place n sees rows n - 1 to n + 1.
        ([nn.Conv2d(1, 4, 3, padding=1)], Field(1, 1)),
        # Place n sees rows 4 n to 4 n + 3.
        ([nn.Conv2d(1, 4, 4, stride=4)], Field(4, 3)),
        # Rows 2 n - 1 to 2 n + 1 of the first; of the picture 4 n - 3 to 4 n + 3.
        ([nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2, padding=1)], Field(4, 3)),
        # Rows 2 n to 2 n + 2 of the first; of the picture 2 n - 1 to 2 n + 3.
        ([nn.Conv2d(1, 4, 3, padding=1), nn.MaxPool2d(3, 2, ceil_mode=True)], Field(2, 3)),
        # Five columns wide, three rows high: the farther one counts.
        ([nn.Conv2d(1, 4, (3, 5), padding=(1, 2))], Field(1, 2)),
        # Every fourth row is seen by nobody.
        ([nn.Conv2d(1, 4, 3, stride=4, padding=1)], Field(4, 1)),
        # Many places are lost at the ends.
        ([nn.Conv2d(1 if n == 0 else 2, 2, 3, stride=2) for n in range(4)] + [nn.Conv2d(2, 4, 1)], Field(16, 30)),
    ],
)
def test_the_field_of_plain_layers(layers: list[nn.Module], field: Field) -> None:
    assert field_of(GreyNetwork(Plain(*layers, features=4), 1)) == field


def test_a_network_that_looks_at_the_whole_picture_has_no_field() -> None:
    squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Upsample((20, 20)))
    assert field_of(GreyNetwork(Plain(nn.Conv2d(1, 4, 3, stride=2, padding=1), squeeze, features=4), 1)) is None


@pytest.mark.parametrize("name", ["ilcs", "effnet", "resnet18", "mobilenetv3_small_050"])
def test_networks_whose_places_differ_or_that_have_no_class_map_have_no_field(name: str) -> None:
    assert field_of(GreyNetwork(timm.create_model(name, num_classes=4, in_chans=1), 1)) is None


@pytest.mark.parametrize("name", ["pdmsnet", "squeezenet", "millnet"])
def test_the_projects_networks_have_one(name: str) -> None:
    field = field_of(GreyNetwork(timm.create_model(name, num_classes=4, in_chans=1), 1))
    assert field is not None
    assert field.stride == 16
