"""The counts are the paper's; the class map is what each place adds to each logit."""

import pytest
import timm
import torch
import torch.nn.functional as F

from steelsight.models.counting import PAPER_2, macs, parameters
from steelsight.models.grey import GreyNetwork
from steelsight.models.lcs import LcsNet, PlaceLinear
from steelsight.models.miam import ChannelAttention, InteractiveAttention, SpatialAttention
from tests.published import PUBLISHED

PAPER = PUBLISHED["ilcs"]["networks"]
PARAMETERS = {"effnet": 2_212_966, "effnet_miam": 2_221_448, "ilcs": 2_235_710}
PER_IMAGE = {"effnet": 0.5220, "effnet_miam": 0.5224, "ilcs": 0.5321}


@pytest.mark.parametrize("name", PARAMETERS)
def test_counts_are_the_printed_ones(name: str) -> None:
    network, printed = timm.create_model(name), PAPER[name]
    assert parameters(network) == PARAMETERS[name]
    assert round(parameters(network) / 1e6, 2) == printed["params_m"]
    per_image = macs(network, (3, printed["size"], printed["size"]), PAPER_2)
    assert round(printed["batch"] * per_image / 1e9, 2) == printed["batch_macs_g"]
    assert round(per_image / 1e9, 4) == PER_IMAGE[name]


def test_table_1_prints_these_shapes() -> None:
    network = timm.create_model("ilcs").eval()
    x, shapes = torch.zeros(1, 3, 300, 300), []
    for block in network.blocks:
        x = block(x)
        shapes.append((*x.shape[2:], x.shape[1]))
    assert shapes == [(150, 150, 64), (75, 75, 128), (37, 37, 256)]
    assert network.classifier.in_features == 350_464


def test_only_ilcs_has_attention_in_its_blocks() -> None:
    def kinds(name: str) -> list[type]:
        attentions = (ChannelAttention, SpatialAttention, InteractiveAttention)
        return [type(module) for module in timm.create_model(name, img_size=32).modules() if type(module) in attentions]

    miam = [ChannelAttention, SpatialAttention, InteractiveAttention]
    block = [ChannelAttention, SpatialAttention, SpatialAttention, ChannelAttention]
    assert kinds("effnet") == []
    assert kinds("effnet_miam") == miam
    assert kinds("ilcs") == block * 3 + miam


def test_pictures_of_299_pixels_fit_the_layer_made_for_300() -> None:
    """The paper says both."""
    assert LcsNet(img_size=299).grid == LcsNet(img_size=300).grid == (37, 37)


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize(("img_size", "grid"), [(64, (8, 8)), (100, (12, 12)), (8, (1, 1))])
def test_picture_size_and_classes_are_free(name: str, img_size: int, grid: tuple[int, int]) -> None:
    network = timm.create_model(name, img_size=img_size, num_classes=4, in_chans=1).eval()
    x = torch.randn(2, 1, img_size, img_size)
    assert network(x).shape == (2, 4)
    assert network.forward_map(network.forward_features(x)).shape == (2, 4, *grid)
    assert network.classifier.in_features == 256 * grid[0] * grid[1]


def test_too_small_an_input_is_refused() -> None:
    with pytest.raises(ValueError, match="smallest is 8 pixels"):
        LcsNet(img_size=(64, 7))


def test_pictures_of_another_size_meet_the_layer_resized() -> None:
    network = timm.create_model("ilcs", img_size=64).eval()
    features = network.forward_features(torch.randn(2, 3, 96, 96))
    resized = F.interpolate(features, size=(8, 8), mode="bilinear", align_corners=False)
    torch.testing.assert_close(network.forward_head(features), network.forward_head(resized))


def test_pictures_that_are_not_square_need_leave() -> None:
    x = torch.randn(2, 3, 32, 64)
    assert LcsNet(img_size=(32, 64), attention=False, miam=False).eval()(x).shape == (2, 6)
    with pytest.raises(ValueError, match="square feature map, not 4x8"):
        LcsNet(img_size=(32, 64)).eval()(x)
    assert LcsNet(img_size=(32, 64), resize_transpose=True).eval()(x).shape == (2, 6)


def test_the_place_layer_is_flatten_and_linear() -> None:
    layer, x = PlaceLinear(5, (3, 4), 2), torch.randn(7, 5, 3, 4)
    torch.testing.assert_close(layer(x), F.linear(x.flatten(1), layer.weight / 12, layer.bias))


def test_the_place_layer_starts_as_a_linear_layer_starts() -> None:
    torch.manual_seed(0)
    layer = PlaceLinear(5, (3, 4), 2)
    torch.manual_seed(0)
    linear = torch.nn.Linear(60, 2)
    x = torch.randn(7, 5, 3, 4)
    torch.testing.assert_close(layer(x), linear(x.flatten(1)))


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("size", [64, 96])
def test_logits_are_the_mean_of_the_class_map(name: str, size: int) -> None:
    torch.manual_seed(0)
    network = GreyNetwork(timm.create_model(name, img_size=64, num_classes=4, in_chans=1), 1).train()
    x = torch.rand(4, 1, size, size)
    network(x)
    logits, class_map = network.eval().with_map(x)
    torch.testing.assert_close(class_map.mean((2, 3)), logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(network(x), logits, atol=1e-4, rtol=1e-4)


def test_the_map_says_what_the_logits_lose_without_a_place() -> None:
    network = timm.create_model("ilcs", img_size=64).eval()
    features = network.forward_features(torch.randn(1, 3, 64, 64))
    without = features.clone()
    without[:, :, 2, 5] = 0
    lost = network.forward_head(features) - network.forward_head(without)
    said = network.forward_map(features)[:, :, 2, 5] - network.classifier.bias
    torch.testing.assert_close(lost, said / 64, atol=1e-6, rtol=1e-4)


def test_the_head_gives_map_and_features_as_timm_asks() -> None:
    network = timm.create_model("effnet", img_size=64, global_pool="").eval()
    x = torch.randn(2, 3, 64, 64)
    assert network(x).shape == (2, 6, 8, 8)
    network.reset_classifier(0)
    assert network(x).shape == (2, 256)
    with pytest.raises(ValueError, match="can be 'avg'"):
        LcsNet(global_pool="max")


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision_stays_finite(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    network = timm.create_model(name, img_size=64)
    for training in (True, False):
        with torch.autocast("cpu", dtype):
            logits = network.train(training)(1000 * torch.randn(4, 3, 64, 64))
        assert logits.isfinite().all()
    logits.float().square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


@pytest.mark.parametrize("name", PARAMETERS)
def test_one_step_changes_every_weight(name: str) -> None:
    torch.manual_seed(0)
    network = timm.create_model(name, img_size=64, in_chans=1)
    before = {key: value.clone() for key, value in network.named_parameters()}
    loss = F.cross_entropy(network(torch.randn(8, 1, 64, 64)), torch.arange(8) % 6)
    loss.backward()
    torch.optim.AdamW(network.parameters(), lr=1e-3).step()
    assert loss.isfinite()
    assert [key for key, value in network.named_parameters() if torch.equal(value, before[key])] == []
