"""OpenVINO answers as ONNX Runtime does, and says so where it is not installed."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import steelsight
from steelsight.images import prepare_all
from steelsight.records import SteelsightError
from steelsight.runtime import card as cards
from steelsight.runtime.classifier import load
from steelsight.runtime.classifier import model_file as file_of
from steelsight.runtime.engines import TOGETHER, Output, SideBySide, side_by_side
from steelsight.training.export import write_card
from steelsight.training.quantise import quantise


@pytest.fixture(scope="module")
def openvino_file(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights in a file made for OpenVINO."""
    model = onnx.load(model_file)
    card = replace(load(model_file).card, engine="openvino")
    next(entry for entry in model.metadata_props if entry.key == cards.KEY).value = cards.dumps(card)
    path = tmp_path_factory.mktemp("openvino") / "model.onnx"
    onnx.save(model, path)
    return path


def greys(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (64, 80), dtype=np.uint8) for _ in range(count)]


@pytest.mark.parametrize("count", [1, 4, 7])
def test_openvino_answers_as_onnx_runtime(model_file: Path, openvino_file: Path, count: int) -> None:
    for one, other in zip(load(model_file).logits(greys(count)), load(openvino_file).logits(greys(count)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_8_bit_pictures_are_computed_in_larger_numbers_with_the_same_answers(tmp_path: Path) -> None:
    noise = [np.random.default_rng(n).integers(0, 256, (200, 200), dtype=np.uint8) for n in range(23)]
    source, path = file_of("millnet-neu"), tmp_path / "int8.onnx"
    quantise(source, path, noise[:2])
    write_card(path, replace(load(source).card, engine="openvino", precision="int8", floats="fp32"))
    classifier = load(path, threads=1)
    assert classifier._engine.together > TOGETHER
    together, alone = classifier.output(noise), [classifier.output([one]) for one in noise]
    for name, values in together._asdict().items():
        if values is not None:
            np.testing.assert_allclose(values, np.concatenate([getattr(one, name) for one in alone]), atol=1e-4)


@pytest.mark.parametrize("count", [1, 4])
def test_an_answer_stays_when_the_next_picture_comes(openvino_file: Path, count: int) -> None:
    classifier, pictures = load(openvino_file, threads=1), greys(2 * count)
    first = classifier.output(pictures[:count])
    before = [None if values is None else values.copy() for values in first]
    classifier.output(pictures[count:])
    for one, other in zip(first, before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_openvino_gives_all_that_a_shipped_file_tells(tmp_path: Path) -> None:
    source = file_of("millnet-neu")
    path = tmp_path / "model.onnx"
    path.write_bytes(source.read_bytes())
    write_card(path, replace(load(source).card, engine="openvino"))
    pictures = [np.random.default_rng(n).integers(0, 256, (200, 200), dtype=np.uint8) for n in range(5)]
    for batch in (pictures[:1], pictures):
        expected, found = load(source).output(batch), load(path).output(batch)
        assert found.inside is not None
        for name, one in expected._asdict().items():
            other = getattr(found, name)
            assert (one is None) == (other is None), name
            if one is not None:
                np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-3)


def test_openvino_scans(model_file: Path, openvino_file: Path) -> None:
    strip = np.random.default_rng(0).integers(0, 256, (150, 211), dtype=np.uint8)
    expected, found = load(model_file).scan(strip), load(openvino_file).scan(strip)
    np.testing.assert_allclose(found.class_map, expected.class_map, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_one_classifier_serves_several_threads(openvino_file: Path, threads: int) -> None:
    classifier = load(openvino_file, threads)
    pictures = greys(20)
    expected = [classifier.predict(grey)[0].scores for grey in pictures]
    found: list[object] = [None] * len(pictures)

    def work(first: int) -> None:
        for number in range(first, len(pictures), 4):
            found[number] = classifier.predict(pictures[number])[0].scores

    workers = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == expected


def test_threads_side_by_side_have_engines_of_their_own() -> None:
    made: list[object] = []
    at_once = threading.Barrier(3, timeout=10)

    class Waiting:
        together = TOGETHER

        def __init__(self) -> None:
            made.append(self)
            self.is_busy = False

        def run(self, batch: np.ndarray) -> Output:
            assert not self.is_busy
            self.is_busy = True
            at_once.wait()  # ends only if three compute
            self.is_busy = False
            return Output(batch, batch)

    engine = SideBySide(Waiting)
    with ThreadPoolExecutor(3) as pool:
        for _ in range(4):
            list(pool.map(engine.run, [np.zeros((1, 1, 8, 8), np.uint8)] * 3))
    assert len(made) == 3


def test_threads_side_by_side_are_answered_as_one_is(openvino_file: Path) -> None:
    classifier = load(openvino_file, threads=3)
    engine = side_by_side(openvino_file.read_bytes(), classifier.card)
    batches = [prepare_all(greys(4 + number), classifier.card.size)[:, None] for number in range(3)]
    expected = [classifier._engine.run(batch).logits for batch in batches]
    with ThreadPoolExecutor(3) as pool:
        for _ in range(5):
            for found, wanted in zip(pool.map(lambda batch: engine.run(batch).logits, batches), expected, strict=True):
                np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_a_list_is_answered_as_its_pictures_are(openvino_file: Path) -> None:
    pictures = greys(50)
    one, two = load(openvino_file, threads=1), load(openvino_file, threads=2)
    assert [answer.label for answer in two.predict(pictures)] == [one.predict(grey)[0].label for grey in pictures]


def test_without_openvino_a_sentence_says_what_to_install(openvino_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(SteelsightError, match=r"steelsight\[openvino\]"):
        steelsight.load(openvino_file)
