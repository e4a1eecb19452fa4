"""One file, checked: equal to its network on pictures that the export was not traced with, or not kept."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import timm
import torch
from PIL import Image

import steelsight
from steelsight import images
from steelsight.models.grey import GreyNetwork, looks
from steelsight.models.strangeness import Strangeness
from steelsight.records import Card, Sample, SteelsightError
from steelsight.runtime.classifier import Classifier
from steelsight.training.export import export
from steelsight.training.pictures import Pictures
from tests.drawn import draw

CLASSES = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    return Pictures(draw(tmp_path_factory.mktemp("steel")))


def exported(name: str, in_chans: int, size: int, path: Path, pictures: Pictures) -> tuple[GreyNetwork, Classifier]:
    torch.manual_seed(0)
    network = GreyNetwork(timm.create_model(name, num_classes=4, in_chans=in_chans), in_chans)
    export(network, Card(name, CLASSES, (size, size)), path, pictures)
    return network, steelsight.load(path)


def test_averages_over_places_are_pools(pictures: Pictures, tmp_path: Path) -> None:
    """Engines keep their own layout of channels for these, and leave it for a mean."""
    torch.manual_seed(0)
    network = GreyNetwork(timm.create_model("millnet", num_classes=4, in_chans=1), 1)
    features = looks(network.eval().with_levels(torch.zeros(1, 1, 64, 64))[2]).shape[1]
    strangeness = Strangeness(torch.randn(features, 3), torch.randn(4, 3), torch.eye(3).expand(4, 3, 3))
    export(network, Card("millnet", CLASSES, (64, 64)), tmp_path / "model.onnx", pictures, strangeness)
    graph = onnx.load(tmp_path / "model.onnx").graph
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("GlobalAveragePool") == 5  # four of what it looks like, and the class map
    assert "ReduceMean" not in kinds
    used = {name for node in graph.node for name in node.input}
    assert {each.name for each in graph.initializer} <= used


def test_what_a_picture_is_like_has_its_say_in_the_file(pictures: Pictures, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = GreyNetwork(timm.create_model("millnet", num_classes=4, in_chans=1), 1).eval()
    pixels = torch.randint(256, (3, 1, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        own, _, levels = network.with_levels(pixels.float() / 255)
    features = looks(levels)
    directions, spreads = torch.randn(features.shape[1], 3), torch.eye(3).expand(4, 3, 3)
    centres = features.mean(0) @ directions + torch.randn(4, 3)  # none of the pictures is strange
    strangeness = Strangeness(directions, centres, spreads, likeness=2.0)
    export(network, Card("millnet", CLASSES, (64, 64)), tmp_path / "model.onnx", pictures, strangeness)
    found = steelsight.load(tmp_path / "model.onnx").output(list(pixels[:, 0].numpy()))
    expected, strange = strangeness.judged(own, features)
    assert not torch.allclose(expected, own, atol=0.1)
    np.testing.assert_allclose(found.logits, expected, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(found.strangeness, strange, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(found.class_maps.mean((2, 3)), own, atol=1e-4)  # a place has no say of that kind


def test_a_picture_whose_bright_column_looks_dead_once_it_is_small_is_no_reason_to_refuse(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 50, (200, 200), dtype=np.uint8)
    bright = np.arange(200) % 50 < 22
    grey[:, bright] = 255
    grey[100, bright] = 254  # no column is dead before the picture is made small
    assert images.mend_columns(grey) is grey
    small = images.prepare(grey, (32, 32))
    assert not np.array_equal(images.mend_columns(small), small)
    Image.fromarray(grey).save(tmp_path / "bright.png")
    network = GreyNetwork(timm.create_model("millnet", num_classes=4, in_chans=1), 1)
    with torch.no_grad():
        network.network.classifier.weight.mul_(1000)  # what an untrained network says differs too little otherwise
    pictures = Pictures([Sample(tmp_path / "bright.png", "a")] * 2)
    export(network, Card("millnet", CLASSES, (32, 32)), tmp_path / "model.onnx", pictures)


@pytest.mark.parametrize(
    ("name", "in_chans", "size"),
    [
        ("pdmsnet", 1, 96),
        ("pdmsnet", 3, 64),
        ("squeezenet", 1, 64),
        ("millnet", 1, 128),
        ("mobilenetv3_small_050", 3, 64),
        ("tf_mobilenetv3_small_minimal_100", 1, 64),  # pads where its convolution does not say so
    ],
)
def test_the_file_answers_as_the_network_on_other_pictures(
    name: str, in_chans: int, size: int, pictures: Pictures, tmp_path: Path
) -> None:
    network, classifier = exported(name, in_chans, size, tmp_path / "model.onnx", pictures)
    rng = np.random.default_rng(0)
    for height, width in ((size, size), (50, 70), (200, 200)):
        greys = [rng.integers(0, 256, (height, width), dtype=np.uint8) for _ in range(5)]
        logits, maps = classifier.logits(greys)
        pixels = np.stack([images.resize(grey, (size, size)) for grey in greys])[:, None]
        with torch.no_grad():
            expected = network(torch.from_numpy(pixels).float() / 255).numpy()
        np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(maps.mean((2, 3)), logits, atol=1e-4)


def test_a_network_on_three_equal_channels_is_folded_to_one(pictures: Pictures, tmp_path: Path) -> None:
    exported("pdmsnet", 3, 64, tmp_path / "model.onnx", pictures)
    weights = onnx.load(tmp_path / "model.onnx").graph.initializer
    assert [list(weight.dims)[1] for weight in weights if weight.name.endswith("stem.weight")] == [1]


def test_the_file_holds_no_path_of_the_machine(pictures: Pictures, tmp_path: Path) -> None:
    exported("millnet", 1, 64, tmp_path / "model.onnx", pictures)
    content = (tmp_path / "model.onnx").read_bytes()
    for trace in (b"site-packages", b".py", str(Path(__file__).parents[2]).encode()):
        assert trace not in content


def test_the_file_is_a_valid_onnx_model_of_one_input_and_three_outputs(pictures: Pictures, tmp_path: Path) -> None:
    exported("millnet", 1, 64, tmp_path / "model.onnx", pictures)
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [entry.name for entry in model.graph.input] == ["grey"]
    assert [entry.name for entry in model.graph.output] == ["logits", "class_map", "features"]


@pytest.mark.parametrize(
    ("name", "places"), [("millnet", (25, 25)), ("pdmsnet", (24, 24)), ("mobilenetv3_small_050", None)]
)
def test_a_file_tells_where_by_its_last_fine_feature_map(
    name: str, places: tuple[int, int] | None, pictures: Pictures, tmp_path: Path
) -> None:
    _, classifier = exported(name, 1 if places else 3, 200, tmp_path / "model.onnx", pictures)
    picture = np.random.default_rng(0).integers(100, 130, (200, 200), dtype=np.uint8)
    picture[100:130, 40:60] = 10
    features = classifier.output([picture]).features
    if places is None:
        assert features is None
        return
    assert features is not None
    assert features.shape[2:] == places
    (prediction,) = classifier.predict(picture)
    assert prediction.heat is not None
    assert prediction.heat.shape == places
    row, column = np.unravel_index(int(prediction.heat.argmax()), places)
    assert 90 <= row * 200 / places[0] <= 135
    assert 30 <= column * 200 / places[1] <= 65


class _Moody(torch.nn.Module):
    """Answers otherwise in the file than in training: by the picture's brightness in one, by nothing in the other."""

    num_features = 1

    def __init__(self, broken_map: bool) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 4, 1)
        self.broken_map = broken_map

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def forward_map(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x).mean((2, 3)) * (1 if self.broken_map else -1)


def test_a_file_that_decides_otherwise_is_not_kept(pictures: Pictures, tmp_path: Path) -> None:
    with pytest.raises(SteelsightError, match="differently"):
        export(GreyNetwork(_Moody(False), 1), Card("moody", CLASSES, (64, 64)), tmp_path / "model.onnx", pictures)
    assert list(tmp_path.iterdir()) == []


def test_a_map_that_does_not_average_to_the_logits_is_not_kept(
    pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = GreyNetwork(_Moody(True), 1)
    monkeypatch.setattr(
        network, "with_levels", lambda grey: (network(grey), network.network.forward_map(grey) + 1, [grey])
    )
    with pytest.raises(SteelsightError, match="average"):
        export(network, Card("moody", CLASSES, (64, 64)), tmp_path / "model.onnx", pictures)
    assert list(tmp_path.iterdir()) == []


def test_pictures_beyond_the_memory_bound_are_decoded_anew(tmp_path: Path) -> None:
    samples: list[Sample] = draw(tmp_path)
    kept, anew = Pictures(samples), Pictures(samples, memory=0)
    for size in (32, 48):
        assert torch.equal(kept.batch([3, 0, 5], size), anew.batch([3, 0, 5], size))


def test_a_file_whose_logits_are_off_is_not_kept(
    pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(network: GreyNetwork) -> None:
        network.mean, network.std = 255 * 0.4, 255 * 0.05

    monkeypatch.setattr("steelsight.training.export.take_bytes", wrong)
    monkeypatch.setattr("steelsight.training.export.field_of", lambda _: None)
    network = GreyNetwork(_Moody(True), 1)
    with torch.no_grad():
        network.network.conv.weight.fill_(0.1)
        network.network.conv.bias.copy_(torch.tensor([9.0, 0, 0, 0]))  # every picture is of this class all the same
    with pytest.raises(SteelsightError, match="logits differ by up to"):
        export(network, Card("moody", CLASSES, (64, 64)), tmp_path / "model.onnx", pictures)
    assert list(tmp_path.iterdir()) == []
