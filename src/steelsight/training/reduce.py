"""The `export` command's work: a model file for another engine or in reduced precision, kept only if it decides alike.

What it costs is measured out of fold: every cell of a cross-validation is reduced the same way, calibrated on its own
training pictures, and answers its own test part before and after.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import onnx

from steelsight import images
from steelsight.data import catalog, foldfile
from steelsight.evaluation import cells as on_disk
from steelsight.evaluation.cells import Cell
from steelsight.images import ImageError
from steelsight.records import Card, GreyImage, Sample, SteelsightError
from steelsight.runtime import card as cards
from steelsight.runtime.classifier import Classifier, load, model_file
from steelsight.training.quantise import quantise

FEWEST = 1000
"""Held-out pictures that a cost has to be measured on."""
ALLOWED = 1 / 1000
"""Net errors a picture."""
CALIBRATION = 128
"""Training pictures that decide the range of each activation."""
BATCH = 32


@dataclass(frozen=True, slots=True)
class Cost:
    """What a reduced precision costs on held-out pictures."""

    pictures: int
    changed: int
    """Pictures that get another label."""
    right_before: int
    right_after: int

    @property
    def net_errors(self) -> int:
        return self.right_before - self.right_after

    @property
    def sentence(self) -> str:
        after, before = (100 * right / self.pictures for right in (self.right_after, self.right_before))
        return (
            f"{self.changed} of {self.pictures} held-out pictures get another label; "
            f"{after:.2f} % are right, {before:.2f} % before"
        )


def export_reduced(model: str, data: Path, cells: Path, out: Path, engine: str, precision: str) -> Cost:
    """Writes the model for this engine in this precision, with what it costs on its card.

    cells: the folder of a cross-validation of the same network. Raises SteelsightError, and writes nothing, where it
    costs more than one net error in 1,000 pictures, or was measured on fewer.
    """
    source = model_file(model)
    _check(engine, precision, load(source).card)
    samples = catalog.read(data).samples
    cost = measure(samples, catalog.root_of(data), cells, engine, precision)
    if cost.pictures < FEWEST:
        raise SteelsightError(
            f"{cells}: has {cost.pictures} held-out pictures, and {FEWEST} are needed to tell what {precision} costs; "
            "let crossval finish more folds."
        )
    if cost.net_errors > ALLOWED * cost.pictures:
        raise SteelsightError(
            f"{precision} in {engine} costs {cost.net_errors} net errors on {cost.pictures} held-out pictures, more "
            "than one in 1,000; no file was written."
        )
    costs = {f"held-out {name.replace('_', ' ')}, {precision}": float(value) for name, value in asdict(cost).items()}
    try:
        card = reduce(source, out, samples, engine, precision)
        write_card(out, replace(card, scores={**card.scores, **costs}))
    except OSError as error:
        raise SteelsightError(f"{out}: cannot be written ({error.strerror}); give another --out.") from None
    return cost


def measure(samples: Sequence[Sample], root: Path, cells: Path, engine: str, precision: str) -> Cost:
    """The cost over the finished cells of a cross-validation, each on its own test part."""
    assigned, _ = foldfile.match_samples(samples, root, cells / on_disk.FOLDS)
    costs = [
        _cost_of(cell, samples, [entry.fold for entry in assigned], engine, precision) for cell in on_disk.done(cells)
    ]
    return Cost(*(sum(getattr(cost, name) for cost in costs) for name in Cost.__dataclass_fields__))


def reduce(source: Path, target: Path, training: Sequence[Sample], engine: str, precision: str) -> Card:
    """Writes a model file for an engine in a precision, calibrated on training pictures; returns its card."""
    card = replace(load(source).card, engine=engine, precision=precision)
    target.parent.mkdir(parents=True, exist_ok=True)
    if precision == "int8":
        every = max(1, len(training) // CALIBRATION)
        greys = _decoded(training[::every])[0]
        quantise(source, target, [images.resize(grey, card.size) for grey in greys])
    else:
        target.write_bytes(source.read_bytes())
    write_card(target, card)
    return card


def write_card(path: Path, card: Card) -> None:
    """Puts another card into a model file."""
    model = onnx.load(path)
    del model.metadata_props[:]
    model.metadata_props.add(key=cards.KEY, value=cards.dumps(card))
    onnx.save(model, path)


def _check(engine: str, precision: str, card: Card) -> None:
    if engine not in cards.ENGINES or precision not in cards.PRECISIONS:
        known = ", ".join(cards.ENGINES), ", ".join(cards.PRECISIONS)
        raise SteelsightError(f"{precision} in {engine} is not known; engines are {known[0]}, precisions {known[1]}.")
    if card.precision != "fp32":
        raise SteelsightError(f"The model is in {card.precision} already; give the fp32 file that it was made from.")
    if (engine, precision) == ("onnxruntime", "bf16"):
        raise SteelsightError("ONNX Runtime does not compute in bf16 on processors; give --engine openvino.")


def _cost_of(cell: Cell, samples: Sequence[Sample], folds: Sequence[int], engine: str, precision: str) -> Cost:
    training = [s for s, fold in zip(samples, folds, strict=True) if fold not in {cell.fold, foldfile.UNUSED}]
    greys, labels = _decoded([s for s, fold in zip(samples, folds, strict=True) if fold == cell.fold])
    source = model_file(cell.folder)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "reduced.onnx"
        reduce(source, target, training, engine, precision)
        before, after = (_labels(load(path), greys) for path in (source, target))
    truth = np.array(labels)
    return Cost(len(truth), int((before != after).sum()), int((before == truth).sum()), int((after == truth).sum()))


def _labels(classifier: Classifier, greys: Sequence[GreyImage]) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    batches = (greys[start : start + BATCH] for start in range(0, len(greys), BATCH))
    best = np.concatenate([classifier.logits(batch)[0].argmax(1) for batch in batches])
    return np.asarray(np.array(classifier.classes)[best])


def _decoded(samples: Sequence[Sample]) -> tuple[list[GreyImage], list[str]]:
    """Pictures and labels of those that can be read."""
    greys, labels = [], []
    for sample in samples:
        try:
            greys.append(images.decode(sample.path))
            labels.append(sample.label)
        except ImageError:
            continue
    return greys, labels
