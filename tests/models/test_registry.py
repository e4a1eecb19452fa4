"""Every network of the package, whichever they are, does what timm's users expect."""

import pytest
import timm
import torch

from steelsight.models.counting import macs, parameters
from steelsight.models.grey import GreyNetwork, fold_to_grey
from steelsight.models.listing import Row, names, rows

NAMES = names()


def test_the_family_is_registered() -> None:
    assert {"squeezenet", "squeezenet_bn_sc", "squeezenet_separable", "squeezenet_dms", "pdmsnet", "millnet"} <= set(
        NAMES
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("in_chans", [1, 3])
def test_classes_and_channels_are_free(name: str, in_chans: int) -> None:
    network = timm.create_model(name, num_classes=9, in_chans=in_chans).eval()
    assert network(torch.zeros(2, in_chans, 96, 96)).shape == (2, 9)


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_learns(name: str) -> None:
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=3, in_chans=1, drop_rate=0.0)
    network(torch.randn(4, 1, 96, 96)).square().sum().backward()
    dead = [key for key, value in network.named_parameters() if value.grad is None]
    assert dead == []


@pytest.mark.parametrize("name", NAMES)
def test_the_classifier_can_be_replaced(name: str) -> None:
    network = timm.create_model(name, in_chans=1).eval()
    network.reset_classifier(5)
    assert network(torch.zeros(1, 1, 96, 96)).shape == (1, 5)
    features = timm.create_model(name, in_chans=1, num_classes=2).eval()
    x = features.forward_features(torch.zeros(1, 1, 96, 96))
    assert features.forward_head(x, pre_logits=True).shape == (1, features.num_features)


@pytest.fixture(scope="module")
def listed() -> dict[str, Row]:
    return {row.name: row for row in rows()}


@pytest.mark.parametrize("name", NAMES)
def test_the_listing_says_what_the_network_is(name: str, listed: dict[str, Row]) -> None:
    row = listed[name]
    network = timm.create_model(name)
    assert row.parameters == parameters(network)
    assert row.macs == macs(network, timm.get_pretrained_cfg(name).input_size)


@pytest.mark.parametrize("name", ["pdmsnet", "resnet18", "mobilenetv3_small_050", "vit_tiny_patch16_224"])
def test_any_network_has_a_map_whose_mean_is_the_logits(name: str) -> None:
    torch.manual_seed(0)
    network = GreyNetwork(timm.create_model(name, num_classes=4, in_chans=1), 1).eval()
    x = torch.rand(2, 1, 224, 224)
    logits, class_map = network.with_map(x)
    assert class_map.ndim == 4
    torch.testing.assert_close(class_map.mean((2, 3)), logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(network(x), logits)


def test_the_map_of_a_linear_head_is_the_class_activation_map() -> None:
    resnet = timm.create_model("resnet18", num_classes=4, in_chans=1).eval()
    network = GreyNetwork(resnet, 1)
    x = torch.rand(2, 1, 96, 96)
    features = resnet.forward_features(network.normalise(x))
    expected = torch.einsum("kc,nchw->nkhw", resnet.fc.weight, features) + resnet.fc.bias[:, None, None]
    torch.testing.assert_close(network.with_map(x)[1], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["pdmsnet", "resnet18"])
def test_folding_three_equal_channels_into_one_changes_nothing(name: str) -> None:
    network = GreyNetwork(timm.create_model(name, num_classes=4, in_chans=3), 3).eval()
    x = torch.rand(2, 1, 96, 96)
    before = network(x)
    fold_to_grey(network.network)
    network.in_chans = 1
    torch.testing.assert_close(network(x), before, atol=1e-5, rtol=1e-5)
