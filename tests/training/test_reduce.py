"""Reduced precision: smaller, nearly equal, and refused where it is not."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from steelsight.data import catalog, foldfile, splits, synthetic
from steelsight.evaluation import cells as on_disk
from steelsight.records import SteelsightError
from steelsight.runtime.classifier import load, model_file
from steelsight.training import reduce
from steelsight.training.crossval import crossval
from steelsight.training.export import write_card
from tests.drawn import draw, quick


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("steel")
    draw(folder, per_class=8)
    return folder


@pytest.fixture(scope="module")
def cells(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cells")
    samples = catalog.read(data).samples
    names = [sample.path.relative_to(data).as_posix() for sample in samples]
    made = splits.assign(names, [sample.label for sample in samples], None, folds=2)
    foldfile.write(made.assignments, folder / "made.csv")
    crossval(data, quick(validation_share=0.0), folder / "made.csv", [0], folder / "cells", lambda _: None)
    return folder / "cells"


@pytest.fixture
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduce, "FEWEST", 10)


@pytest.mark.parametrize(("engine", "precision"), [("onnxruntime", "int8"), ("openvino", "int8"), ("openvino", "bf16")])
@pytest.mark.usefixtures("few_are_enough")
def test_the_reduced_file_answers_nearly_alike(
    data: Path, cells: Path, tmp_path: Path, engine: str, precision: str
) -> None:
    source, out = on_disk.done(cells)[0].folder, tmp_path / "new folder" / "reduced.onnx"
    cost = reduce.export_reduced(str(source), data, cells, out, engine, precision)
    assert cost.pictures == 24
    before, after = load(source), load(out)
    assert (after.card.engine, after.card.precision) == (engine, precision)
    assert after.card.scores[f"held-out answers right, {precision}"] == cost.share(cost.right_after)
    greys = [np.random.default_rng(n).integers(0, 256, (64, 64), dtype=np.uint8) for n in range(8)]
    expected, found = (classifier.logits(greys)[0] for classifier in (before, after))
    assert np.abs(found - expected).max() < 0.1 * np.ptp(expected)


@pytest.mark.usefixtures("few_are_enough")
def test_an_int8_file_takes_bytes_and_has_8_bit_weights(data: Path, cells: Path, tmp_path: Path) -> None:
    out = tmp_path / "reduced.onnx"
    reduce.export_reduced(str(on_disk.done(cells)[0].folder), data, cells, out, "openvino", "int8")
    graph = onnx.load(out).graph
    assert graph.node[0].op_type != "Cast"
    kernels = [weight.data_type for weight in graph.initializer if len(weight.dims) == 4]
    convolutions = len([node for node in graph.node if node.op_type == "Conv"])
    assert sorted(kernels) == [onnx.TensorProto.FLOAT] + [onnx.TensorProto.INT8] * (convolutions - 1)  # the classifier


def test_the_cost_counts_changed_decisions_and_net_errors() -> None:
    cost = reduce.Cost(pictures=1000, answers=2000, changed=5, right_before=1990, right_after=1987)
    assert cost.net_errors == 3
    words = "5 of 2000 answers on 1000 held-out pictures are another label; 99.35 % are right, 99.50 % before"
    assert cost.sentence == words


@pytest.mark.usefixtures("few_are_enough")
def test_pictures_that_two_seeds_held_out_count_once(data: Path, cells: Path, tmp_path: Path) -> None:
    both = tmp_path / "cells"
    shutil.copytree(cells, both)
    for fold in (0, 1):
        shutil.copytree(cells / f"fold-{fold}-seed-0", both / f"fold-{fold}-seed-1")
    cost = reduce.measure(catalog.read(data).samples, data, both, "openvino", "bf16")
    assert (cost.pictures, cost.answers) == (24, 48)


@pytest.mark.usefixtures("few_are_enough")
def test_cells_of_another_network_are_refused(data: Path, cells: Path, tmp_path: Path) -> None:
    source = tmp_path / "other.onnx"
    shutil.copy(on_disk.done(cells)[0].folder / "model.onnx", source)
    write_card(source, replace(load(source).card, model="pdmsnet"))
    with pytest.raises(SteelsightError, match="is of millnet at 32 pixels, and the model is pdmsnet"):
        reduce.export_reduced(str(source), data, cells, tmp_path / "x.onnx", "openvino", "bf16")


@pytest.mark.usefixtures("few_are_enough")
def test_the_model_itself_is_not_overwritten(data: Path, cells: Path) -> None:
    source = on_disk.done(cells)[0].folder / "model.onnx"
    with pytest.raises(SteelsightError, match="is the model itself"):
        reduce.export_reduced(str(source), data, cells, source, "openvino", "bf16")


@pytest.mark.usefixtures("few_are_enough")
def test_a_model_of_other_pictures_is_not_calibrated_on_these(data: Path, cells: Path, tmp_path: Path) -> None:
    source = tmp_path / "other.onnx"
    shutil.copy(on_disk.done(cells)[0].folder / "model.onnx", source)
    write_card(source, replace(load(source).card, training_images=("0" * 16,)))
    with pytest.raises(SteelsightError, match="trained on"):
        reduce.export_reduced(str(source), data, cells, tmp_path / "x.onnx", "openvino", "int8")


@pytest.mark.usefixtures("few_are_enough")
def test_a_file_that_costs_too_much_is_not_written(
    data: Path, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reduce, "measure", lambda *_: reduce.Cost(1000, 1000, 9, 990, 988))
    with pytest.raises(SteelsightError, match="costs 2 net errors on 1000 held-out answers"):
        reduce.export_reduced(str(on_disk.done(cells)[0].folder), data, cells, tmp_path / "x.onnx", "openvino", "int8")
    assert list(tmp_path.iterdir()) == []


def test_too_few_held_out_pictures_get_a_sentence(data: Path, cells: Path, tmp_path: Path) -> None:
    with pytest.raises(SteelsightError, match="has 24 held-out pictures, and 1000 are needed"):
        reduce.export_reduced(str(on_disk.done(cells)[0].folder), data, cells, tmp_path / "x.onnx", "openvino", "bf16")


@pytest.mark.parametrize(
    ("engine", "precision", "sentence"),
    [("tensorrt", "int8", "engines are"), ("openvino", "fp8", "precisions"), ("onnxruntime", "bf16", "does not")],
)
def test_what_cannot_be_computed_gets_a_sentence(
    data: Path, cells: Path, tmp_path: Path, engine: str, precision: str, sentence: str
) -> None:
    with pytest.raises(SteelsightError, match=sentence):
        reduce.export_reduced(str(on_disk.done(cells)[0].folder), data, cells, tmp_path / "x.onnx", engine, precision)


@pytest.mark.usefixtures("few_are_enough")
def test_a_reduced_file_is_not_reduced_again(data: Path, cells: Path, tmp_path: Path) -> None:
    out = tmp_path / "reduced.onnx"
    reduce.export_reduced(str(on_disk.done(cells)[0].folder), data, cells, out, "openvino", "bf16")
    with pytest.raises(SteelsightError, match="in bf16 already"):
        reduce.export_reduced(str(out), data, cells, tmp_path / "again.onnx", "openvino", "int8")


def test_what_is_compared_is_what_predictions_say(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    shutil.copy(model_file("millnet-neu"), path)
    write_card(path, replace(load(path).card, second_look=1000.0, thresholds={}))
    classifier = load(path)
    greys = [synthetic.draw(label, seed).pixels for label in ("crazing", "rolled-in_scale") for seed in range(12)]
    once = classifier.with_card(replace(classifier.card, second_look=0.0))
    said, said_once = ([each.label for each in model.predict(greys)] for model in (classifier, once))
    assert said != said_once
    assert reduce._labels(classifier, greys).tolist() == said


@pytest.mark.usefixtures("few_are_enough")
def test_cells_that_look_again_at_other_pictures_are_refused(data: Path, cells: Path, tmp_path: Path) -> None:
    source = tmp_path / "model.onnx"
    shutil.copy(on_disk.done(cells)[0].folder / "model.onnx", source)
    write_card(source, replace(load(source).card, second_look=2.0))
    with pytest.raises(SteelsightError, match="looks again at other pictures than the model"):
        reduce.export_reduced(str(source), data, cells, tmp_path / "reduced.onnx", "onnxruntime", "int8")
