"""The runtime: one answer a picture, in order, whatever it is given; and model files that it refuses."""

import io
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

import steelsight
from steelsight import images
from steelsight.records import Card, SteelsightError
from steelsight.runtime import card as cards
from steelsight.runtime.classifier import FURTHER, Classifier, shipped
from steelsight.runtime.engines import Output
from tests.drawn import CLASSES


@pytest.fixture(scope="module")
def classifier(model_file: Path) -> Classifier:
    return steelsight.load(model_file)


@pytest.fixture(scope="module")
def paths(drawn: Path) -> list[Path]:
    return sorted((drawn / "IMAGES").glob("*.png"))


def test_paths_bytes_and_arrays_get_the_same_answer(classifier: Classifier, paths: list[Path]) -> None:
    grey = images.decode(paths[0])
    answers = classifier.predict([paths[0], str(paths[0]), paths[0].read_bytes(), grey, grey[:, :, None]])
    assert len({(answer.label, answer.confidence) for answer in answers}) == 1
    assert answers[0].image == str(paths[0])
    assert answers[2].image == "image 3"


def test_one_picture_alone_is_a_list_of_one(classifier: Classifier, paths: list[Path]) -> None:
    for source in (paths[0], str(paths[0]), paths[0].read_bytes(), images.decode(paths[0])):
        assert len(classifier.predict(source)) == 1


def test_scores_add_up_and_the_label_has_the_highest(classifier: Classifier, paths: list[Path]) -> None:
    for answer in classifier.predict(paths):
        assert sum(answer.scores.values()) == pytest.approx(1, abs=1e-5)
        assert tuple(answer.scores) == classifier.classes == CLASSES
        assert answer.confidence == max(answer.scores.values()) == answer.scores[answer.label or ""]


def test_batches_change_nothing(classifier: Classifier, paths: list[Path]) -> None:
    together = classifier.predict(paths * 3)
    assert [answer.image for answer in together] == [str(path) for path in paths] * 3
    for path, answer in zip(paths, together, strict=False):
        alone = classifier.predict(path)[0]
        assert alone.label == answer.label
        assert alone.confidence == pytest.approx(answer.confidence, abs=1e-5)


def test_the_mean_of_the_class_map_is_the_logits(classifier: Classifier, paths: list[Path]) -> None:
    logits, maps = classifier.logits([images.decode(path) for path in paths])
    np.testing.assert_allclose(maps.mean((2, 3)), logits, atol=1e-4)


def test_what_cannot_be_read_is_answered_in_its_place(
    classifier: Classifier, paths: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "text.jpg").write_text("no picture", encoding="utf-8")
    answers = classifier.predict([paths[0], tmp_path / "text.jpg", tmp_path / "missing.png", b"", paths[1]])
    assert [answer.error is None for answer in answers] == [True, False, False, False, True]
    bad = answers[1]
    assert (bad.label, bad.confidence, dict(bad.scores), bad.regions) == (None, None, {}, ())
    assert "text.jpg" in (bad.error or "")
    assert classifier.predict(tmp_path / "text.jpg") == [bad]


def test_clean_steel_has_no_regions(classifier: Classifier, paths: list[Path]) -> None:
    for answer in classifier.predict(paths):
        if answer.label == "clean":
            assert answer.regions == ()
            assert answer.heat is None


def test_no_pictures_no_answers(classifier: Classifier) -> None:
    assert classifier.predict([]) == []


def test_the_stream_reads_no_further_ahead_than_it_must(classifier: Classifier, paths: list[Path]) -> None:
    asked = []

    def endless() -> Any:
        while True:
            asked.append(1)
            yield paths[0]

    stream = classifier.stream(endless())
    for _ in range(40):
        next(stream)
    stream.close()
    assert len(asked) <= 40 + 64


def test_several_threads_may_share_a_classifier(classifier: Classifier, paths: list[Path]) -> None:
    expected = [answer.confidence for answer in classifier.predict(paths)]
    found: list[list[float | None]] = []
    work = [
        threading.Thread(target=lambda: found.append([a.confidence for a in classifier.predict(paths)]))
        for _ in range(4)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert found == [expected] * 4


def test_a_run_folder_means_its_model(model_file: Path) -> None:
    assert steelsight.load(model_file.parent).classes == CLASSES


def test_a_missing_model_lists_the_shipped_ones() -> None:
    with pytest.raises(SteelsightError, match="pdmsnet-neu"):
        steelsight.load("nothing.onnx")


@pytest.mark.parametrize("content", [b"", b"not onnx", b"\x08\x07" * 50])
def test_a_damaged_model_gets_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(SteelsightError, match=r"m\.onnx"):
        steelsight.load(tmp_path / "m.onnx")


def test_a_truncated_model_gets_a_sentence(model_file: Path, tmp_path: Path) -> None:
    whole = model_file.read_bytes()
    for share in (0.1, 0.5, 0.9, 0.999):
        (tmp_path / "m.onnx").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(SteelsightError, match=r"m\.onnx"):
            steelsight.load(tmp_path / "m.onnx")


def changed(model_file: Path, tmp_path: Path, card: str | None) -> Path:
    model = onnx.load(model_file)
    del model.metadata_props[:]
    if card is not None:
        model.metadata_props.add(key=cards.KEY, value=card)
    onnx.save(model, tmp_path / "changed.onnx")
    return tmp_path / "changed.onnx"


def test_an_onnx_model_of_others_gets_a_sentence(model_file: Path, tmp_path: Path) -> None:
    with pytest.raises(SteelsightError, match="not one that steelsight exported"):
        steelsight.load(changed(model_file, tmp_path, None))


def test_an_unknown_format_says_to_update(model_file: Path, tmp_path: Path, classifier: Classifier) -> None:
    card = json.loads(cards.dumps(classifier.card))
    with pytest.raises(SteelsightError, match="format 9"):
        steelsight.load(changed(model_file, tmp_path, json.dumps({**card, "format": 9})))


def test_a_card_that_does_not_fit_the_graph_is_refused(
    model_file: Path, tmp_path: Path, classifier: Classifier
) -> None:
    for wrong in (replace(classifier.card, classes=("a", "b")), replace(classifier.card, stride=0)):
        with pytest.raises(SteelsightError, match="does not fit"):
            steelsight.load(changed(model_file, tmp_path, cards.dumps(wrong)))


@pytest.mark.parametrize(
    ("name", "source"), [("features", "logits"), ("inside", "logits"), ("inside", "features")], ids=" from ".join
)
def test_what_tells_where_is_refused_without_places_or_of_other_classes(
    name: str, source: str, model_file: Path, tmp_path: Path
) -> None:
    model = onnx.load(model_file)
    del model.graph.output[2:]
    sides = ["batch", 3] if source == "logits" else ["batch", 24, "rows", "columns"]
    model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sides))
    model.graph.node.append(onnx.helper.make_node("Identity", ["seen" if source == "features" else source], [name]))
    for node in model.graph.node[:-1]:
        node.output[:] = ["seen" if name == "features" else name for name in node.output]
        node.input[:] = ["seen" if name == "features" else name for name in node.input]
    onnx.save(model, tmp_path / "flat.onnx")
    with pytest.raises(SteelsightError, match="does not fit"):
        steelsight.load(tmp_path / "flat.onnx")


def test_a_temperature_softens_without_changing_the_decision(
    model_file: Path, tmp_path: Path, classifier: Classifier, paths: list[Path]
) -> None:
    softer = steelsight.load(
        changed(
            model_file, tmp_path, cards.dumps(replace(classifier.card, temperature=4 * classifier.card.temperature))
        )
    )
    for hard, soft in zip(classifier.predict(paths), softer.predict(paths), strict=True):
        assert hard.label == soft.label
        assert (soft.confidence or 0) <= (hard.confidence or 0) + 1e-6


def test_shipped_models_answer_reencoded_pictures_alike(neu: Path) -> None:
    """JPEG size gives classes away in NEU-DET; the answer must come from the steel."""
    chosen = sorted((neu / "neu-cls").glob("*_1*0.bmp"))
    for name in shipped():
        model = steelsight.load(name)
        greys = [images.decode(path) for path in chosen]
        before = [answer.label for answer in model.predict(greys)]
        for quality in (75, 95):
            after = [answer.label for answer in model.predict([_jpeg(grey, quality) for grey in greys])]
            assert sum(a != b for a, b in zip(before, after, strict=True)) <= len(chosen) // 50


def _jpeg(grey: np.ndarray, quality: int) -> bytes:
    held = io.BytesIO()
    Image.fromarray(grey).save(held, "JPEG", quality=quality)
    return held.getvalue()


class Seen:
    """An engine that always sees the same: the first class in general, the second in one corner, by three logits."""

    def run(self, batch: np.ndarray) -> Output:
        maps = np.zeros((len(batch), 2, 8, 8), np.float32)
        maps[:, 0] = 2
        maps[:, 1, :2, :2] = 5
        return Output(maps.mean((2, 3)), maps)


@pytest.mark.parametrize(
    ("least", "labels"), [(2.5, ["patches", "scratches"]), (3.5, ["patches"]), (None, ["patches"])]
)
def test_a_further_class_is_shown_where_it_leads_by_what_the_card_asks(least: float | None, labels: list[str]) -> None:
    thresholds = {} if least is None else {FURTHER: least}
    classifier = Classifier(Card("x", ("patches", "scratches"), (80, 80), thresholds=thresholds), "x", b"", Seen(), 1)
    (answer,) = classifier.predict(np.zeros((80, 80), np.uint8))
    assert answer.label == "patches"
    assert sorted({region.label for region in answer.regions}) == labels
    for region in answer.regions[1:]:
        assert (region.x, region.y, region.width, region.height) == (0, 0, 20, 20)
        assert region.score == pytest.approx(answer.scores["scratches"])
