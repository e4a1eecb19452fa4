"""The `export` command's work: a model file for another engine or in reduced precision, kept only if it decides alike.

What it costs is measured out of fold: every cell of a cross-validation is reduced the same way, calibrated on its own
training pictures, and answers its own test part before and after.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

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
from steelsight.training.export import write_card
from steelsight.training.pictures import evenly
from steelsight.training.quantise import floats, quantise
from steelsight.training.steps import columns_as_channels

FEWEST = 1000
"""Held-out pictures that a cost has to be measured on."""
ALLOWED = 1 / 1000
"""Net errors a picture."""
CALIBRATION = 128
"""Training pictures that decide the range of each activation."""
BATCH = 32
NO_COSTS: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Cost:
    """What a reduced precision costs on held-out pictures; one that several seeds held out has several answers."""

    pictures: int
    answers: int
    changed: int
    """Answers that are another label."""
    right_before: int
    right_after: int

    @property
    def net_errors(self) -> int:
        return self.right_before - self.right_after

    @property
    def sentence(self) -> str:
        after, before = (self.share(right) for right in (self.right_after, self.right_before))
        return (
            f"{self.changed} of {self.answers} answers on {self.pictures} held-out pictures are another label; "
            f"{after:.2f} % are right, {before:.2f} % before"
        )

    def share(self, answers: int) -> float:
        """Per cent of all answers."""
        return round(100 * answers / self.answers, 2)


def export_reduced(model: str, data: Path, cells: Path, out: Path, engine: str, precision: str) -> Cost:
    """Writes the model for this engine in this precision, with what it costs on its card.

    cells: the folder of a cross-validation of the same network. Raises SteelsightError, and writes nothing, where it
    costs more than one net error in 1,000 answers, or was measured on fewer than 1,000 pictures.
    """
    source = model_file(model)
    card = load(source).card
    _check(engine, precision, card)
    if out.exists() and out.samefile(source):
        raise SteelsightError(f"{out}: is the model itself; give another --out.")
    _check_cells(card, cells)
    samples = catalog.read(data).samples
    cost = measure(samples, catalog.root_of(data), cells, engine, precision)
    if cost.pictures < FEWEST:
        raise SteelsightError(
            f"{cells}: has {cost.pictures} held-out pictures, and {FEWEST} are needed to tell what {precision} costs; "
            "let crossval finish more folds."
        )
    if cost.net_errors > ALLOWED * cost.answers:
        raise SteelsightError(
            f"{precision} in {engine} costs {cost.net_errors} net errors on {cost.answers} held-out answers, more "
            "than one in 1,000; no file was written."
        )
    costs = {
        f"held-out answers right, {card.precision}": cost.share(cost.right_before),
        f"held-out answers right, {precision}": cost.share(cost.right_after),
        f"held-out answers changed by {precision}": cost.share(cost.changed),
    }
    try:
        reduce(source, out, _learned(samples, card), engine, precision, costs)
    except OSError as error:
        raise SteelsightError(f"{out}: cannot be written ({error.strerror}); give another --out.") from None
    return cost


def measure(samples: Sequence[Sample], root: Path, cells: Path, engine: str, precision: str) -> Cost:
    """The cost over the finished cells of a cross-validation, each on its own test part."""
    assigned, _ = foldfile.match_samples(samples, root, cells / on_disk.FOLDS)
    folds = [entry.fold for entry in assigned]
    done = on_disk.done(cells)
    costs = [_cost_of(cell, samples, folds, engine, precision) for cell in done]
    tested = {cell.fold: cost.pictures for cell, cost in zip(done, costs, strict=True)}
    sums = {name: sum(getattr(cost, name) for cost in costs) for name in Cost.__dataclass_fields__}
    return Cost(**{**sums, "pictures": sum(tested.values())})


def reduce(
    source: Path,
    target: Path,
    training: Sequence[Sample],
    engine: str,
    precision: str,
    costs: Mapping[str, float] = NO_COSTS,
) -> None:
    """Writes a model file for an engine in a precision, calibrated on training pictures, with the costs on its card."""
    card = load(source).card
    reduced = replace(card, engine=engine, precision=precision, scores={**card.scores, **costs})
    target.parent.mkdir(parents=True, exist_ok=True)
    if precision == "int8":
        greys, _ = _decoded(evenly(training, CALIBRATION))
        quantise(source, target, [images.prepare(grey, card.size) for grey in greys])
        reduced = replace(reduced, floats=floats(onnx.load(target)))
    else:
        target.write_bytes(source.read_bytes())
    if engine == "openvino":
        model = onnx.load(target)
        columns_as_channels(model)
        onnx.save(model, target)
    write_card(target, reduced)


def _check(engine: str, precision: str, card: Card) -> None:
    if engine not in cards.ENGINES or precision not in cards.PRECISIONS:
        known = ", ".join(cards.ENGINES), ", ".join(cards.PRECISIONS)
        raise SteelsightError(f"{precision} in {engine} is not known; engines are {known[0]}, precisions {known[1]}.")
    if card.precision != "fp32":
        raise SteelsightError(f"The model is in {card.precision} already; give the fp32 file that it was made from.")
    if (engine, precision) == ("onnxruntime", "bf16"):
        raise SteelsightError("ONNX Runtime does not compute in bf16 on processors; give --engine openvino.")


def _check_cells(card: Card, cells: Path) -> None:
    """Raises SteelsightError where a cell is of another network than the model, or looks again at other pictures."""
    for cell in on_disk.done(cells):
        other = load(cell.folder).card
        if other.second_look != card.second_look:
            raise SteelsightError(
                f"{cell.folder}: looks again at other pictures than the model (second_look {other.second_look:g}, not "
                f"{card.second_look:g}); give the cross-validation by the model's recipe."
            )
        if (other.model, other.size, other.classes) != (card.model, card.size, card.classes):
            raise SteelsightError(
                f"{cell.folder}: is of {other.model} at {other.size[0]} pixels, and the model is {card.model} at "
                f"{card.size[0]}; give the cross-validation of the same network."
            )


def _learned(samples: Sequence[Sample], card: Card) -> list[Sample]:
    """The samples that the model was trained on. Raises SteelsightError where there is none."""
    known, found = set(card.training_images), []
    for sample in samples:
        with contextlib.suppress(ImageError):
            if images.fingerprint(images.decode(sample.path)) in known:
                found.append(sample)
    if not found:
        raise SteelsightError("None of the pictures is one that the model was trained on; give the folder it was.")
    return found


def _cost_of(cell: Cell, samples: Sequence[Sample], folds: Sequence[int], engine: str, precision: str) -> Cost:
    training = [s for s, fold in zip(samples, folds, strict=True) if fold not in {cell.fold, foldfile.UNUSED}]
    greys, labels = _decoded([s for s, fold in zip(samples, folds, strict=True) if fold == cell.fold])
    source = model_file(cell.folder)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "reduced.onnx"
        reduce(source, target, training, engine, precision)
        before, after = (_labels(load(path), greys) for path in (source, target))
    truth = np.array(labels)
    right_before, right_after = (int((found == truth).sum()) for found in (before, after))
    return Cost(len(truth), len(truth), int((before != after).sum()), right_before, right_after)


def _labels(classifier: Classifier, greys: Sequence[GreyImage]) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    batches = (greys[start : start + BATCH] for start in range(0, len(greys), BATCH))
    best = np.concatenate([classifier.judged(batch).logits.argmax(1) for batch in batches])
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
