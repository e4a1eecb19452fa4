"""Each attention against its equation; the plug-in at its places in other networks."""

from copy import deepcopy
from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

import steelsight
import steelsight.models
from steelsight.models.counting import PAPER_2, macs, parameters
from steelsight.models.grey import GreyNetwork
from steelsight.models.miam import ChannelAttention, InteractiveAttention, Miam, SpatialAttention, add_miam
from steelsight.records import Card
from steelsight.training.export import export
from steelsight.training.pictures import Pictures
from tests.drawn import draw
from tests.published import PUBLISHED

PAPER = PUBLISHED["ilcs"]["networks"]
EXACT = {
    ("resnet50", "resnet50"): 25_557_032,
    ("resnet50_miam", "resnet50_miam"): 25_565_762,
    ("mobilenetv2", "mobilenetv2_100"): 2_231_558,
    ("mobilenetv2_miam", "mobilenetv2_miam"): 2_244_896,
}
ATTENTIONS = [ChannelAttention(32), SpatialAttention(), InteractiveAttention(), Miam(32)]


@pytest.mark.parametrize(("row", "name"), EXACT)
def test_counts_are_the_printed_ones(row: str, name: str) -> None:
    printed = PAPER[row]
    network = timm.create_model(name, num_classes=printed["head_classes"])
    assert parameters(network) == EXACT[row, name]
    assert round(parameters(network) / 1e6, 2) == printed["params_m"]
    per_image = macs(network, (3, printed["size"], printed["size"]), PAPER_2)
    assert round(printed["batch"] * per_image / 1e9, 2) == printed["batch_macs_g"]


@pytest.mark.parametrize("row", ["resnet50_miam", "mobilenetv2_miam"])
def test_defaults_are_those_of_the_printed_counts(row: str) -> None:
    network = timm.create_model(row)
    assert network.num_classes == PAPER[row]["head_classes"]
    assert network.pretrained_cfg["input_size"] == (3, PAPER[row]["size"], PAPER[row]["size"])


@pytest.mark.parametrize("attention", ATTENTIONS, ids=lambda attention: type(attention).__name__)
def test_each_attention_keeps_the_shape(attention: nn.Module) -> None:
    assert attention(torch.randn(2, 32, 7, 7)).shape == (2, 32, 7, 7)


def test_channel_attention_is_equation_6() -> None:
    attention, x = ChannelAttention(32, reduction=8), torch.randn(2, 32, 5, 9)
    first, _, second = attention.perceptron
    assert (first.out_features, first.bias is None, second.bias is None) == (4, False, False)

    def judge(values: torch.Tensor) -> torch.Tensor:
        return second(first(values).relu())

    expected = torch.sigmoid(judge(x.mean((2, 3))) + judge(x.amax((2, 3))))
    torch.testing.assert_close(attention.weights(x)[:, :, 0, 0], expected)
    torch.testing.assert_close(attention(x), expected[:, :, None, None] * x)


def test_channel_attention_has_at_least_one_hidden_unit() -> None:
    assert ChannelAttention(4, reduction=16).perceptron[0].out_features == 1


def test_spatial_attention_is_equation_4() -> None:
    attention, x = SpatialAttention(), torch.randn(2, 6, 5, 9)
    assert parameters(attention) == 2 * 9
    expected = torch.sigmoid(attention.conv(torch.stack([x.mean(1), x.amax(1)], dim=1)))
    torch.testing.assert_close(attention.weights(x), expected)
    torch.testing.assert_close(attention(x), expected * x)


def test_interactive_attention_is_equation_8() -> None:
    x = torch.randn(2, 3, 4, 4)
    y = InteractiveAttention()(x)
    for i in range(4):
        for j in range(4):
            torch.testing.assert_close(y[:, :, i, j], x[:, :, i, j] * x[:, :, j, i])


def test_miam_is_equations_9_to_11() -> None:
    miam, x = Miam(32), torch.randn(2, 32, 6, 6)
    channelled = miam.channel.weights(x) * x
    placed = miam.spatial.weights(channelled) * channelled
    torch.testing.assert_close(miam(x), placed + x * x.mT)


@pytest.mark.parametrize("kind", [InteractiveAttention, lambda **options: Miam(8, **options)])
def test_features_that_are_not_square_need_leave(kind: type[InteractiveAttention]) -> None:
    x = torch.randn(2, 8, 4, 7)
    with pytest.raises(ValueError, match="square feature map, not 4x7"):
        kind()(x)
    assert kind(resize_transpose=True)(x).shape == x.shape


def test_the_resized_transpose_turns_rows_into_columns() -> None:
    """A map whose rows are 0 and 1: stretched over four columns its transpose runs from 0 to 1."""
    rows = torch.tensor([0.0, 1.0]).reshape(1, 1, 2, 1).expand(1, 1, 2, 4)
    product = InteractiveAttention(resize_transpose=True)(1 + rows)
    across = 1 + torch.tensor([0.0, 0.25, 0.75, 1.0])
    torch.testing.assert_close(product[0, 0], torch.stack([across, 2 * across]))


@pytest.mark.parametrize("attention", ATTENTIONS, ids=lambda attention: type(attention).__name__)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision_stays_finite_with_large_activations(attention: nn.Module, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    for x in (60_000 * torch.rand(2, 32, 8, 8), torch.full((2, 32, 8, 8), 60_000.0)):
        for given in (x, x.to(dtype)):
            with torch.autocast("cpu", dtype):
                y = attention(given)
                assert F.conv2d(y / 100, torch.ones(1, 32, 1, 1) / 32).isfinite().all()
            assert y.isfinite().all()


def test_interactive_attention_saturates_in_float16() -> None:
    x = torch.full((1, 1, 2, 2), 300.0)
    with torch.autocast("cpu", torch.float16):
        assert (InteractiveAttention()(x) == torch.finfo(torch.float16).max).all()
    assert (InteractiveAttention()(x) == 90_000).all()


def test_the_product_is_not_rounded_before_the_sum() -> None:
    """Both parts are added in float32; bfloat16 comes last."""
    miam, x = Miam(4), torch.rand(2, 4, 6, 6).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        y = miam(x)
    placed = miam.spatial(miam.channel(x))
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y, (placed.float() + x.float() * x.float().mT).bfloat16())


def test_gradients_stay_finite() -> None:
    miam, x = Miam(8), (1000 * torch.rand(2, 8, 6, 6)).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = miam(x)
    y.float().sum().backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in (x, *miam.parameters()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_network_of_another_precision_keeps_it(dtype: torch.dtype) -> None:
    assert Miam(8).to(dtype)(torch.rand(2, 8, 6, 6, dtype=dtype)).dtype == dtype


def test_miam_stands_behind_the_named_stages() -> None:
    torch.manual_seed(0)
    plain = timm.create_model("resnet18", num_classes=4, in_chans=1).eval()
    network = add_miam(deepcopy(plain), ("layer1", "layer3"), reduction=8).eval()
    found = {name: module for name, module in network.named_modules() if isinstance(module, Miam)}
    assert list(found) == ["layer1.1", "layer3.1"]
    assert [miam.channel.perceptron[0].weight.shape for miam in found.values()] == [(8, 64), (32, 256)]
    x = torch.randn(2, 1, 64, 64)
    stem = plain.maxpool(plain.act1(plain.bn1(plain.conv1(x))))
    after = found["layer3.1"](plain.layer3(plain.layer2(found["layer1.1"](plain.layer1(stem)))))
    torch.testing.assert_close(network(x), plain.forward_head(plain.layer4(after)))


def test_a_stage_inside_another_can_have_its_own() -> None:
    network = add_miam(timm.create_model("mobilenetv2_050", num_classes=4), ("blocks", "blocks.1"))
    assert [name for name, module in network.named_modules() if isinstance(module, Miam)] == [
        "blocks.0.1.1",
        "blocks.1",
    ]


def test_one_name_may_stand_alone() -> None:
    network = timm.create_model("mobilenetv2_miam", stages="blocks.6", reduction=8)
    assert parameters(network) == 2_231_558 + parameters(Miam(320, 8))


def test_plugging_in_leaves_the_rest_as_it_was() -> None:
    network = timm.create_model("resnet18", num_classes=4).train()
    before = deepcopy(network.state_dict())
    add_miam(network, ["layer2"])
    after = {name.replace("layer2.0.", "layer2.", 1): value for name, value in network.state_dict().items()}
    assert network.training
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize(("name", "near"), [("layer22", "layer2"), ("blocks.1", "conv1"), ("", "layer4"), ("?", "bn1")])
def test_an_unknown_stage_lists_the_near_ones(name: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"no stage called .*nearest names: .*{near}"):
        add_miam(timm.create_model("resnet18"), ("layer1", name))


def test_a_stage_without_a_feature_map_is_refused() -> None:
    with pytest.raises(ValueError, match="'global_pool' has no output"):
        add_miam(timm.create_model("resnet18"), ("global_pool",))
    with pytest.raises(ValueError, match="'blocks' has no output"):
        add_miam(timm.create_model("vit_tiny_patch16_224"), ("blocks",))


@pytest.mark.parametrize("name", ["resnet50_miam", "mobilenetv2_miam"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_network_with_miam_learns_in_mixed_precision(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=3, in_chans=1)
    before = {key: value.clone() for key, value in network.named_parameters()}
    with torch.autocast("cpu", dtype):
        logits = network(1000 * torch.randn(4, 1, 64, 64))
    loss = F.cross_entropy(logits.float(), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    torch.optim.AdamW(network.parameters(), lr=1e-3).step()
    after = dict(network.named_parameters())
    assert loss.isfinite()
    assert all(value.isfinite().all() for value in after.values())
    attention = [key for key in after if ".channel.perceptron." in key or ".spatial.conv." in key]
    assert [key for key in attention if torch.equal(after[key], before[key])] == []


@pytest.mark.parametrize("name", ["resnet50_miam", "mobilenetv2_miam"])
def test_the_class_map_of_a_network_with_miam_averages_to_its_logits(name: str) -> None:
    torch.manual_seed(0)
    network = GreyNetwork(timm.create_model(name, num_classes=4, in_chans=1), 1).train()
    x = torch.rand(4, 1, 96, 96)
    network(x)
    logits, class_map = network.eval().with_map(x)
    assert class_map.shape == (4, 4, 3, 3)
    torch.testing.assert_close(class_map.mean((2, 3)), logits, atol=1e-4, rtol=1e-4)


def test_a_plugged_in_miam_goes_into_the_file(tmp_path: Path) -> None:
    """`export` itself refuses a file that decides otherwise or whose map does not average to the logits."""
    torch.manual_seed(0)
    network = GreyNetwork(add_miam(timm.create_model("millnet", num_classes=4), ("layers.2",)), 1)
    network.train()(torch.rand(8, 1, 64, 64))
    path = tmp_path / "model.onnx"
    difference = export(network, Card("millnet", ("a", "b", "c", "d"), (64, 64)), path, Pictures(draw(tmp_path)))
    assert difference < 1e-4
    assert steelsight.load(path).classes == ("a", "b", "c", "d")
