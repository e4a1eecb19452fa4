"""Pictures in doubt are looked at again, mirrored; all others are left as they are."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from steelsight import images
from steelsight.data import catalog
from steelsight.runtime.classifier import Classifier, load, model_file
from steelsight.runtime.confidence import shares, warmth_of
from steelsight.runtime.engines import Batch, Output
from steelsight.runtime.second_look import SecondLook
from steelsight.training.export import write_card
from steelsight.training.familiar import held_out


class Corner:
    """Says of a picture what its upper left 2x2 pixels are, as logits of four classes; counts what it is asked."""

    together = 4

    def __init__(self) -> None:
        self.asked = 0

    def run(self, batch: Batch) -> Output:
        self.asked += len(batch)
        logits = batch[:, 0, :2, :2].reshape(len(batch), 4).astype(np.float32)
        return Output(logits, np.ascontiguousarray(batch[:, :, None, 0]).astype(np.float32))


def picture(first: int, second: int) -> Batch:
    grey = np.arange(36, dtype=np.uint8).reshape(6, 6)
    grey[0, :2] = first, second
    return grey[None]


def mean_of_the_four(grey: Batch) -> np.ndarray:
    corners = [view[:2, :2] for view in (grey[0], np.fliplr(grey[0]), np.flipud(grey[0]), np.rot90(grey[0], 2))]
    return np.mean(corners, axis=0, dtype=np.float32).reshape(4)


def test_what_is_in_doubt_gets_the_mean_of_itself_and_its_mirror_images() -> None:
    batch = np.stack([picture(50, 10), picture(50, 49), picture(90, 80), picture(70, 69)])
    corner = Corner()
    said = SecondLook(corner, close=5).run(batch)
    assert corner.asked == 4 + 2 * 3
    for number in (0, 2):
        np.testing.assert_array_equal(said.logits[number], corner.run(batch).logits[number])
    for number in (1, 3):
        np.testing.assert_allclose(said.logits[number], mean_of_the_four(batch[number]))
    np.testing.assert_array_equal(said.class_maps, corner.run(batch).class_maps)


def test_what_the_engine_gave_is_not_written_over() -> None:
    class Remembers(Corner):
        given: ClassVar[list[Output]] = []

        def run(self, batch: Batch) -> Output:
            self.given.append(super().run(batch))
            return self.given[-1]

    engine, batch = Remembers(), picture(50, 49)[None]
    SecondLook(engine, close=5).run(batch)
    np.testing.assert_array_equal(engine.given[0].logits, Corner().run(batch).logits)


@pytest.fixture(scope="module")
def doubting() -> Classifier:
    """Looks again at every picture."""
    classifier = load("millnet-neu")
    return classifier.with_card(replace(classifier.card, second_look=100.0))


@pytest.fixture(scope="module")
def greys(drawn: Path) -> list[np.ndarray]:
    return [images.decode(path) for path in sorted((drawn / "IMAGES").glob("*.png"))[:7]]


def test_one_picture_many_pictures_and_their_mirror_images_get_the_same_scores(
    doubting: Classifier, greys: list[np.ndarray]
) -> None:
    together = doubting.predict(greys)
    for grey, answer in zip(greys, together, strict=True):
        alone, mirrored = (doubting.predict(np.ascontiguousarray(each))[0] for each in (grey, grey[:, ::-1]))
        for other in (alone, mirrored):
            np.testing.assert_allclose(list(other.scores.values()), list(answer.scores.values()), atol=1e-4)


def test_judged_is_what_predictions_are_made_of_and_output_what_the_graph_gives(
    doubting: Classifier, greys: list[np.ndarray]
) -> None:
    judged, graph = doubting.judged(greys), doubting.output(greys)
    once = doubting.with_card(replace(doubting.card, second_look=0.0))
    for found in (graph.logits, once.judged(greys).logits):
        np.testing.assert_allclose(found, once.output(greys).logits, atol=1e-4)
    assert np.abs(judged.logits - graph.logits).max() > 0.1
    for answer, logits, strangeness in zip(doubting.predict(greys), judged.logits, judged.strangeness, strict=True):
        expected = shares(logits.tolist(), warmth_of(doubting.card, float(strangeness)))
        np.testing.assert_allclose(list(answer.scores.values()), expected, atol=1e-4)


def test_calibration_is_of_what_predictions_are_made_of(doubting: Classifier, drawn: Path) -> None:
    samples = [replace(sample, label="patches") for sample in catalog.read(drawn).samples[:6]]
    found = held_out(doubting, samples)
    judged = doubting.judged([images.decode(sample.path) for sample in samples])
    np.testing.assert_allclose(found.logits, judged.logits, atol=1e-4)


def test_openvino_looks_again_as_onnx_runtime_does(
    doubting: Classifier, greys: list[np.ndarray], tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model_file("millnet-neu").read_bytes())
    write_card(path, replace(doubting.card, engine="openvino"))
    for one, other in zip(load(path).predict(greys), doubting.predict(greys), strict=True):
        np.testing.assert_allclose(list(one.scores.values()), list(other.scores.values()), atol=1e-3)
