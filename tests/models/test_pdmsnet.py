"""The counts are the papers'; the rest is what timm and the class map ask of a network."""

import pytest
import timm
import torch

import steelsight.models  # noqa: F401
from steelsight.models.counting import macs, parameters
from steelsight.models.pdmsnet import MixedDepthwise, PdmsNet
from tests.published import PUBLISHED

PAPER = PUBLISHED["pdmsnet"]
INPUT = tuple(PAPER["input"])


def printed(count: int) -> float:
    return round(count / 1e6, 2)


@pytest.mark.parametrize("name", PAPER["networks"])
def test_counts_are_the_printed_ones(name: str) -> None:
    network = timm.create_model(name)
    assert parameters(network) == PAPER["networks"][name]["params"]
    assert printed(macs(network, INPUT)) == PAPER["networks"][name]["macs_m"]


@pytest.mark.parametrize("kernels", PAPER["kernel_sets"])
def test_kernel_sets_cost_what_figure_6_prints(kernels: str) -> None:
    sizes = tuple(int(size) for size in kernels.split(","))
    network = timm.create_model("squeezenet_dms", kernels=sizes)
    assert printed(macs(network, INPUT)) == PAPER["kernel_sets"][kernels]["macs_m"]


@pytest.mark.parametrize(("kernels", "count"), [((3,), 255_942), ((3, 5), 258_182), ((3, 5, 7, 9), 265_862)])
def test_kernel_sets_have_the_parameters_worked_out_from_the_paper(kernels: tuple[int, ...], count: int) -> None:
    assert parameters(timm.create_model("squeezenet_dms", kernels=kernels)) == count


@pytest.mark.parametrize("placement", PAPER["placements"])
def test_placements_have_the_papers_parameters(placement: str) -> None:
    figures = PAPER["placements"][placement]
    network = timm.create_model("pdmsnet", partial=tuple(letter == "T" for letter in placement.split(",")))
    assert parameters(network) == figures.get("params", figures.get("params_derived"))


@pytest.mark.parametrize(("placement", "millions"), [((True, False), 332.32), ((False, True), 305.95)])
def test_mixed_placements_cost_what_follows_from_the_rule(placement: tuple[bool, bool], millions: float) -> None:
    assert macs(timm.create_model("pdmsnet", partial=placement), INPUT) / 1e6 == pytest.approx(millions, abs=0.006)


@pytest.mark.parametrize(
    ("channels", "split"), [(16, [6, 5, 5]), (32, [12, 10, 10]), (48, [16, 16, 16]), (64, [22, 21, 21]), (8, [4, 2, 2])]
)
def test_an_uneven_split_gives_the_rest_to_the_smallest_kernel(channels: int, split: list[int]) -> None:
    mixed = MixedDepthwise(channels, (7, 3, 5))
    assert mixed.split == split
    assert [conv.kernel_size for conv in mixed.convs] == [(3, 3), (5, 5), (7, 7)]


@pytest.mark.parametrize("name", ["squeezenet", "pdmsnet"])
def test_logits_are_the_mean_of_the_class_map(name: str) -> None:
    network = timm.create_model(name, num_classes=4, in_chans=1).eval()
    x = torch.randn(2, 1, 96, 130)
    class_map = network.forward_map(network.forward_features(x))
    torch.testing.assert_close(class_map.mean((2, 3)), network(x))


def test_only_plain_squeezenet_clips_its_class_map() -> None:
    x = torch.randn(2, 3, 96, 96)
    for name in PAPER["networks"]:
        network = timm.create_model(name).eval()
        lowest = network.forward_map(network.forward_features(x)).min()
        assert (lowest >= 0) == (name == "squeezenet")


def test_a_grey_network_answers_as_one_with_three_equal_channels() -> None:
    colour = timm.create_model("pdmsnet", in_chans=3).eval()
    grey = timm.create_model("pdmsnet", in_chans=1).eval()
    weights = colour.state_dict()
    grey.load_state_dict({**weights, "stem.weight": weights["stem.weight"].sum(1, keepdim=True)})
    x = torch.randn(2, 1, 64, 64, dtype=torch.float64)  # in single precision the order of the sums shows
    torch.testing.assert_close(grey.double()(x), colour.double()(x.expand(-1, 3, -1, -1)))


def test_the_stem_starts_without_answering_brightness() -> None:
    network = timm.create_model("pdmsnet", in_chans=1)
    flat = network.stem(torch.full((1, 1, 64, 64), 3.0))
    assert flat.abs().max() < 1e-3


def test_skips_join_the_second_and_fourth_fires_of_equal_width() -> None:
    fires = [module for module in timm.create_model("squeezenet_bn_sc").modules() if hasattr(module, "has_skip")]
    assert [fire.has_skip for fire in fires] == [False, True] * 4


def test_another_pooling_is_refused() -> None:
    with pytest.raises(ValueError, match="can be 'avg'"):
        PdmsNet(global_pool="max")


def test_mixed_kernels_become_one_convolution_that_does_the_same() -> None:
    torch.manual_seed(0)
    for kernels in ((3, 5, 7), (3, 5), (3,)):
        mixed = MixedDepthwise(10, kernels).eval()
        x = torch.randn(2, 10, 9, 8)
        torch.testing.assert_close(mixed.fuse()(x), mixed(x))
