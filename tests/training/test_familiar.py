"""What a model file knows of its own limits, on drawn steel and on things that are none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

from steelsight import images
from steelsight.data import catalog
from steelsight.evaluation.calibration import log_loss, temperature
from steelsight.models.grey import GreyNetwork, looks
from steelsight.records import UNKNOWN, Card, Sample
from steelsight.runtime.classifier import CANDIDATE_SHARE, FURTHER, STRANGENESS, Classifier, load
from steelsight.runtime.confidence import DOUBT, MAP_TEMPERATURE
from steelsight.training.export import export
from steelsight.training.familiar import (
    ROUGH_WEIGHT,
    HeldOut,
    calibrated,
    changed_roughly,
    familiarity,
    fitted,
    held_out,
    together,
    warmth_for,
)
from steelsight.training.fit import create_network
from steelsight.training.pictures import Pictures
from steelsight.training.recipe import DIRECTIONS, Stage
from tests.drawn import CLASSES, quick

SIZE = 64
RECIPE = quick(stages=(Stage(1, SIZE),))


@pytest.fixture(scope="module")
def samples(drawn: Path) -> list[Sample]:
    return list(catalog.read(drawn).samples)


@pytest.fixture(scope="module")
def network() -> GreyNetwork:
    torch.manual_seed(0)
    return create_network(RECIPE, len(CLASSES)).eval()


@pytest.fixture(scope="module")
def classifier(network: GreyNetwork, samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    path = tmp_path_factory.mktemp("file") / "model.onnx"
    strangeness = familiarity(network, samples, CLASSES, RECIPE)
    export(network, Card("millnet", CLASSES, (SIZE, SIZE)), path, Pictures(samples), strangeness)
    return load(path)


def noise(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE), dtype=np.uint8))


def test_known_pictures_of_every_class_are_about_one_away() -> None:
    rng = np.random.default_rng(0)
    numbers = np.repeat([0, 1, 2], 300)
    features = rng.normal(size=(900, 50)) * np.array([1, 5, 0.2])[numbers, None] + 20 * numbers[:, None]
    found = fitted(features, numbers)(torch.from_numpy(features).float()).numpy()
    for number in range(3):
        assert found[numbers == number].mean() == pytest.approx(1, abs=0.2)
    between = np.full((1, 50), 10.0)  # farther from the first than its pictures ever are
    assert fitted(features, numbers)(torch.from_numpy(between).float()).item() > 1.5


def test_classes_of_one_picture_and_features_that_never_vary_are_no_obstacle() -> None:
    rng = np.random.default_rng(0)
    features = np.column_stack([rng.normal(size=(41, 60)), np.ones(41)])
    made = fitted(features, np.array([0] * 40 + [1]))
    assert made.directions.shape == (61, DIRECTIONS)
    assert torch.isfinite(made(torch.from_numpy(features).float())).all()
    assert fitted(features, np.array([0] * 40 + [1]), count=7).directions.shape == (61, 7)


def test_the_file_is_as_strange_as_the_network(
    classifier: Classifier, network: GreyNetwork, samples: list[Sample]
) -> None:
    batch = Pictures(samples).batch(range(len(samples)), SIZE)
    with torch.no_grad():
        expected = familiarity(network, samples, CLASSES, RECIPE)(looks(network.with_levels(batch.float() / 255)[2]))
    np.testing.assert_allclose(classifier.output(list(batch[:, 0].numpy())).strangeness, expected, rtol=1e-3)


def test_things_that_are_no_steel_are_stranger(classifier: Classifier, samples: list[Sample]) -> None:
    known, strange = held_out(classifier, samples).strangeness, classifier.output(noise(8)).strangeness
    assert strange is not None
    assert strange.min() > known.max()


@pytest.mark.parametrize(("strangeness", "doubting"), [(3.0, True), (1.0, False)])
def test_rough_pictures_tell_whether_strange_ones_are_to_be_doubted(strangeness: float, doubting: bool) -> None:
    """Wrong as often as not, and as sure as ever: a model can be less sure of them alone where they are strange."""
    logits = np.tile(np.array([4.0, 1.0, 0.0], np.float32), (200, 1))
    clean = HeldOut(logits, np.repeat([0, 1], [196, 4]), np.ones(200, np.float32), np.zeros(200))
    rough = HeldOut(logits, np.repeat([0, 1], 100), np.full(200, strangeness, np.float32), np.zeros(200))
    assert (DOUBT in calibrated(Card("x", CLASSES, (64, 64)), clean, rough).thresholds) == doubting


def test_the_stranger_a_picture_the_less_surely_the_file_judges_it(classifier: Classifier) -> None:
    made = classifier.with_card(replace(classifier.card, temperature=2.0, thresholds={DOUBT: 2.0}))
    (picture,) = noise(1)
    output, (prediction,) = made.output([picture]), made.predict(picture)
    assert prediction.strangeness is not None
    assert prediction.strangeness > 1
    expected = softmax(output.logits[0] / (2 * prediction.strangeness**2))
    assert list(prediction.scores.values()) == pytest.approx(expected, abs=1e-6)


def test_where_nothing_is_wrong_rough_pictures_tell_how_sure_to_be() -> None:
    """All right as they are, which allows any certainty; half wrong when changed."""
    logits, none = np.tile(np.array([4.0, 1.0, 0.0], np.float32), (200, 1)), np.zeros(200, np.float32)
    clean = HeldOut(logits, np.repeat([0], 200), none, none)
    rough = HeldOut(logits, np.repeat([0, 1], 100), none, none)
    found = warmth_for(clean, rough)
    assert found.power == 0
    losses = [
        log_loss(np.r_[logits, logits] / warmth, np.r_[clean.truth, rough.truth], np.repeat([1.0, ROUGH_WEIGHT], 200))
        for warmth in (0.9 * found.temperature, found.temperature, 1.1 * found.temperature)
    ]
    assert losses[1] == min(losses)


def test_a_picture_is_changed_roughly_in_one_way(samples: list[Sample]) -> None:
    grey = images.decode(samples[0].path)
    once, again, other = (changed_roughly(grey, number) for number in (0, 0, 1))
    assert once.dtype == np.uint8
    assert once.shape == grey.shape
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)


@pytest.mark.parametrize("likeness", [0.0, 5.0])
def test_the_means_of_the_map_are_kept_where_likeness_has_a_say(
    network: GreyNetwork, samples: list[Sample], tmp_path: Path, likeness: float
) -> None:
    say = familiarity(network, samples, CLASSES, replace(RECIPE, likeness=likeness))
    export(network, Card("millnet", CLASSES, (SIZE, SIZE)), tmp_path / "model.onnx", Pictures(samples), say)
    found = held_out(load(tmp_path / "model.onnx"), samples)
    assert (found.map_means is not None) == bool(likeness)
    twice = together([found, found])
    assert twice.map_means is None or len(twice.map_means) == 2 * len(samples)


def test_a_strange_picture_is_unknown_and_keeps_its_scores(classifier: Classifier, samples: list[Sample]) -> None:
    known = held_out(classifier, samples).strangeness
    judge = classifier.with_card(replace(classifier.card, thresholds={STRANGENESS: float(known.max())}))
    strange, steel = judge.predict([noise(1)[0], samples[0].path])
    assert strange.label == UNKNOWN
    assert sum(strange.scores.values()) == pytest.approx(1, abs=1e-5)
    assert strange.confidence == max(strange.scores.values())
    assert strange.regions == ()
    assert steel.label in CLASSES
    assert strange.to_dict()["label"] == "unknown"
    assert (strange.strangeness or 0) > (steel.strangeness or 0)


def test_thresholds_come_from_the_held_out_pictures() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 400)
    logits = (4 * np.eye(3)[truth] + rng.normal(0, 2, (400, 3))).astype(np.float32)
    found = HeldOut(logits, truth, *rng.chisquare(9, (2, 400)).astype(np.float32))
    card = calibrated(Card("x", CLASSES, (64, 64)), found, found)
    assert card.temperature != 1
    assert set(card.thresholds) - {DOUBT} == {STRANGENESS, CANDIDATE_SHARE, FURTHER}
    with_say = replace(found, map_means=logits / 5)
    thresholds = calibrated(Card("x", CLASSES, (64, 64)), with_say, with_say).thresholds
    without = calibrated(Card("x", CLASSES, (64, 64)), replace(found, strangeness=np.zeros(400, np.float32)), found)
    assert thresholds[MAP_TEMPERATURE] == pytest.approx(temperature(logits, truth) / 5, rel=1e-2)
    assert MAP_TEMPERATURE not in without.thresholds
    few = HeldOut(logits[:20], truth[:20], *np.ones((2, 20), np.float32))
    assert not calibrated(Card("x", CLASSES, (64, 64)), few, few).thresholds


def test_candidates_hold_every_class_that_may_be_it(classifier: Classifier, samples: list[Sample]) -> None:
    prediction = classifier.predict(samples[0].path)[0]
    assert set(classifier.candidates(prediction)) == set(CLASSES)  # not calibrated
    ranked = sorted(prediction.scores, key=lambda name: -prediction.scores[name])
    sure = classifier.with_card(replace(classifier.card, thresholds={CANDIDATE_SHARE: prediction.scores[ranked[1]]}))
    assert sure.candidates(prediction) == tuple(ranked[:2])
    surest = classifier.with_card(replace(sure.card, thresholds={CANDIDATE_SHARE: 1.0}))
    assert surest.candidates(prediction) == (ranked[0],)
