"""MillNet: layers that answer so much and no more."""

import pytest
import timm
import torch
from timm.utils import reparameterize_model
from torch import nn

import steelsight.models  # noqa: F401  (registers the networks)


def levels(name: str, **options: object) -> list[torch.Tensor]:
    torch.manual_seed(0)
    network = timm.create_model(name, in_chans=1, **options).train()
    dazzling = 100 * torch.randn(2, 1, 200, 200)
    dazzling[:, :, 90:110] += 3000
    with torch.no_grad():
        found: list[torch.Tensor] = network.forward_levels(dazzling)
    return found


def test_no_layer_behind_the_first_answers_more_than_the_cap() -> None:
    found = levels("millnet", cap=1.5)
    assert float(found[0].max()) > 1.5
    assert all(0 <= float(level.min()) <= float(level.max()) <= 1.5 for level in found[1:])


def test_without_a_cap_answers_have_no_end() -> None:
    assert max(float(level.max()) for level in levels("millnet", cap=0.0)[1:]) > 4


def test_the_shipped_weights_bring_their_cap_and_nothing_else_has_one() -> None:
    for shipped in ("millnet", "millnet_large"):
        assert max(float(level.max()) for level in levels(shipped, pretrained=True)[1:]) <= 2
    for preset in ("millnet", "millnet_line", "millnet_large", "millnet_steady"):
        assert max(float(level.max()) for level in levels(preset)[1:]) > 2


def test_groups_of_channels_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    network = timm.create_model("millnet", in_chans=1, layers=[[32, 2], [32, 1, 2, 2]], num_classes=6).eval()
    before = torch.rand(1, 32, 25, 25)
    changed = before.clone()
    changed[:, :16] += 1
    with torch.no_grad():
        away = (network.layers[2](changed) - network.layers[2](before)).abs().amax((0, 2, 3))
    assert away[:16].max() > 0
    assert away[16:].max() == 0


@pytest.mark.parametrize("layers", [[[24, 2], [24, 1], [24, 1, 2]], [[32, 2], [32, 1, 1, 2], [32, 1, 3, 2]]])
def test_branches_fold_into_one_convolution_each(layers: list[list[int]]) -> None:
    torch.manual_seed(0)
    network = timm.create_model("millnet", in_chans=1, layers=layers, branches=True)
    picture = torch.randn(4, 1, 64, 64)
    network.train()(picture)  # norms that do something
    folded = reparameterize_model(network.eval())
    assert sum(isinstance(each, nn.Conv2d) for each in folded.modules()) == 2 + len(layers)  # and stem and classifier
    with torch.no_grad():
        torch.testing.assert_close(folded(picture), network(picture), atol=1e-4, rtol=1e-4)
