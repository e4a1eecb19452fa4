"""Where defects are, learned from the boxes of drawn steel."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch import nn

from steelsight import images
from steelsight.models.grey import GreyNetwork, told_by_boxes
from steelsight.records import Card, Region, Sample
from steelsight.runtime.classifier import Classifier, load
from steelsight.runtime.regions import inside
from steelsight.training.boxes import FEWEST, inside_boxes, learned_from_boxes
from steelsight.training.export import export
from steelsight.training.fit import create_network
from steelsight.training.pictures import Pictures
from tests.drawn import CLASSES, draw, quick

SIZE = 200


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    return draw(tmp_path_factory.mktemp("boxed"), per_class=FEWEST + 6, size=SIZE)


@pytest.fixture(scope="module")
def parts(samples: list[Sample]) -> tuple[list[Sample], list[Sample]]:
    """For learning, and for looking."""
    learned = [sample for label in CLASSES for sample in [s for s in samples if s.label == label][:FEWEST]]
    return learned, [sample for sample in samples if sample not in learned]


@pytest.fixture(scope="module")
def network() -> GreyNetwork:
    """With the early features of the shipped one."""
    torch.manual_seed(0)
    return GreyNetwork(timm.create_model("millnet", pretrained=True, num_classes=len(CLASSES), in_chans=1), 1).eval()


@pytest.fixture(scope="module")
def head(network: GreyNetwork, parts: tuple[list[Sample], list[Sample]]) -> nn.Conv2d:
    found = learned_from_boxes(network, parts[0], CLASSES, SIZE)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def classifier(
    network: GreyNetwork, head: nn.Conv2d, samples: list[Sample], tmp_path_factory: pytest.TempPathFactory
) -> Classifier:
    path = tmp_path_factory.mktemp("file") / "model.onnx"
    export(network, Card("millnet", CLASSES, (SIZE, SIZE)), path, Pictures(samples), boxes=head)
    return load(path)


def test_places_are_inside_where_their_middle_is() -> None:
    boxes = (Region("patches", 20, 0, 20, 10), Region("patches", 0, 30, 29, 10), Region("scratches", 0, 0, 40, 40))
    found = inside_boxes(Sample(Path("x.png"), "patches", boxes), (40, 80), (4, 4))
    assert np.argwhere(found).tolist() == [[0, 1], [3, 0]]  # of 20x10 pixels; the second box ends before a middle


def test_the_inside_of_boxes_is_told_on_pictures_that_were_not_learned(
    classifier: Classifier, parts: tuple[list[Sample], list[Sample]]
) -> None:
    for label in ("patches", "scratches"):
        known, found = [], []
        for sample in parts[1]:
            if sample.label == label:
                logits = classifier.output([images.decode(sample.path)]).inside
                assert logits is not None
                sure = inside(logits[0, CLASSES.index(label)])
                found.append(sure.ravel())
                known.append(inside_boxes(sample, (SIZE, SIZE), sure.shape).ravel())
        assert roc_auc_score(np.concatenate(known), np.concatenate(found)) > 0.8


def test_the_file_gives_what_the_network_and_the_head_give_instead_of_features(
    classifier: Classifier, network: GreyNetwork, head: nn.Conv2d, samples: list[Sample]
) -> None:
    greys = [images.decode(sample.path) for sample in samples[:3]]
    with torch.no_grad():
        features = told_by_boxes(network.with_levels(torch.from_numpy(np.stack(greys))[:, None].float() / 255)[2], SIZE)
        expected = head(features).numpy()
    output = classifier.output(greys)
    assert output.features is None
    np.testing.assert_allclose(output.inside, expected, atol=1e-3, rtol=1e-3)


def test_regions_and_the_place_to_look_at_first_lie_where_the_file_says(
    classifier: Classifier, samples: list[Sample]
) -> None:
    for prediction in classifier.predict([sample.path for sample in samples]):
        if prediction.label == "clean":
            assert prediction.regions == ()
            assert prediction.point is None
            continue
        assert prediction.heat is not None
        first = prediction.regions[0]
        assert first.label == prediction.label
        assert 0 <= first.x < first.x + first.width <= SIZE
        assert prediction.point is not None
        assert all(0 <= at < SIZE for at in prediction.point)


def test_too_few_boxes_teach_nothing(network: GreyNetwork, parts: tuple[list[Sample], list[Sample]]) -> None:
    learned, _ = parts
    first = next(sample for sample in learned if sample.label == "patches")
    assert learned_from_boxes(network, [s for s in learned if s != first], CLASSES, SIZE) is None
    assert learned_from_boxes(network, [replace(s, boxes=()) for s in learned], CLASSES, SIZE) is None


def test_clean_steel_needs_no_boxes_and_gets_no_weights(head: nn.Conv2d) -> None:
    assert not head.weight[CLASSES.index("clean")].any()
    assert head.weight[CLASSES.index("patches")].any()


def test_a_network_without_fine_features_learns_nothing(parts: tuple[list[Sample], list[Sample]]) -> None:
    network = create_network(quick(model="mobilenetv3_small_050"), len(CLASSES))
    assert learned_from_boxes(network, parts[0], CLASSES, SIZE) is None


def test_a_box_too_thin_for_a_middle_holds_the_places_that_its_own_lies_in() -> None:
    thin = Sample(Path("x.png"), "scratches", (Region("scratches", 0, 11, 80, 2), Region("scratches", 0, 90, 80, 2)))
    assert np.argwhere(inside_boxes(thin, (40, 80), (4, 4))).tolist() == [[1, 0], [1, 1], [1, 2], [1, 3]]


def drawn_squares(folder: Path) -> list[Sample]:
    """Dark squares in pictures of two classes that are wider than high, with a box around each."""
    rng = np.random.default_rng(0)
    samples = []
    for number in range(FEWEST):
        for label in ("patches", "scratches"):
            path = folder / f"{label}_{number}.png"
            grey = rng.integers(110, 130, (2 * SIZE, 3 * SIZE), dtype=np.uint8)
            left, top = int(rng.integers(0, 2 * SIZE)), int(rng.integers(0, SIZE))
            grey[top : top + SIZE, left : left + SIZE] //= 2
            Image.fromarray(grey).save(path)
            samples.append(Sample(path, label, (Region(label, left, top, SIZE, SIZE),)))
    return samples


def test_boxes_are_in_pixels_of_the_picture(network: GreyNetwork, tmp_path: Path) -> None:
    samples = drawn_squares(tmp_path)
    found = learned_from_boxes(network, samples, ("patches", "scratches"), SIZE)
    assert found is not None
    last = samples[-1]
    picture = images.prepare(images.decode(last.path), (SIZE, SIZE))
    with torch.no_grad():
        features = told_by_boxes(
            network.with_levels(torch.from_numpy(picture.copy())[None, None].float() / 255)[2], SIZE
        )
        sure = inside(found(features)[0, 1].numpy())
    assert roc_auc_score(inside_boxes(last, (2 * SIZE, 3 * SIZE), sure.shape).ravel(), sure.ravel()) > 0.95


@pytest.mark.parametrize("box", [(0, 0, 3 * SIZE, 2 * SIZE), (9 * SIZE, 0, SIZE, SIZE)], ids=["whole", "outside"])
def test_boxes_around_whole_pictures_or_outside_teach_nothing(
    box: tuple[int, int, int, int], network: GreyNetwork, tmp_path: Path
) -> None:
    samples = [
        replace(sample, boxes=(Region("patches", *box),)) if sample.label == "patches" else sample
        for sample in drawn_squares(tmp_path)
    ]
    assert learned_from_boxes(network, samples, ("patches", "scratches"), SIZE) is None
