"""A model file at work: pictures in, predictions out. No torch."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from steelsight import images
from steelsight.images import ImageError
from steelsight.records import UNKNOWN, Card, Evidence, FloatArray, GreyImage, Prediction, Scan, SteelsightError
from steelsight.runtime import card as cards
from steelsight.runtime import regions, scanning
from steelsight.runtime.confidence import shares, warmth_of
from steelsight.runtime.engines import (
    FEATURES,
    INSIDE,
    OUTPUTS,
    TOGETHER,
    Batch,
    Engine,
    OnnxRuntime,
    Output,
    cores,
    scanner,
    side_by_side,
    start,
)
from steelsight.runtime.second_look import SecondLook
from steelsight.runtime.sharing import in_order
from steelsight.runtime.sources import SOURCES, Source, decoded, name_of

DEFAULT_MODEL = "millnet-neu"
RUN_FILE = "model.onnx"
"""What `steelsight train` calls the file in a run's folder."""
STRANGENESS = "strangeness"
"""The output of a graph that tells, and the threshold on the card."""
REQUIRED = {"logits", "class_map"}
"""Outputs that every graph gives, a value for each class."""
CANDIDATE_SHARE = "candidate_share"
"""The threshold on the card: what a class needs in order to be a candidate."""
FURTHER = "lead_of_another_class"
"""The threshold on the card: by how many logits another class has to lead at some place to be shown there as well."""
BATCH = 16
AHEAD = 64
"""Pictures that are decoded or waiting at most, but for TOGETHER on each of more than 16 cores."""

Numbered = tuple[int, Source | SteelsightError]
"""What is to be answered, and its number among all."""


class Classifier:
    """Made by `load`. May be used from several threads at once."""

    def __init__(self, card: Card, name: str, content: bytes, engine: Engine, threads: int) -> None:
        self.card, self.name = card, name
        self._content, self._engine, self._threads = content, engine, threads
        self._looking = self._looks_again(engine)
        self._strangest = card.thresholds.get(STRANGENESS, math.inf)
        self._least_lead = card.thresholds.get(FURTHER, math.inf)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.card.classes

    def with_card(self, card: Card) -> Classifier:
        """The same model, judging by another card's temperature and thresholds."""
        return Classifier(card, self.name, self._content, self._engine, self._threads)

    def predict(self, images: Source | Iterable[Source]) -> list[Prediction]:
        """One picture or many -> one prediction each, in order.

        A picture that cannot be read gets a prediction whose `error` says why; nothing is raised for it. A prediction
        keeps what its regions are found in, tens of kB; of very many pictures take `stream`.
        """
        one = isinstance(images, SOURCES)
        sources: Sequence[Any] = [images] if one else list(images)  # type: ignore[arg-type]
        if len(sources) == 1:
            return [self._answer_one(sources[0])]
        return [prediction for prediction, _ in self.stream(sources)]

    def stream(self, sources: Iterable[Source | SteelsightError]) -> Iterator[tuple[Prediction, GreyImage | None]]:
        """Predictions with the decoded pictures, in order and with bounded memory.

        Every core decodes and answers batches of its own, so that one waits for the disk while another computes. An
        error among the sources becomes a prediction that says so.
        """
        size = max(TOGETHER, min(BATCH, AHEAD // (2 * self._threads)) // TOGETHER * TOGETHER)
        ahead = max(self._threads, min(2 * self._threads, AHEAD // size))
        work = partial(self._answer, self._side_by_side)
        for answers in in_order(work, _cut(enumerate(sources), size), self._threads, ahead):
            yield from answers

    def logits(self, greys: Sequence[GreyImage]) -> tuple[FloatArray, FloatArray]:
        """Grey pictures of any size -> logits (n, classes) and class maps (n, classes, h, w)."""
        output = self.output(greys)
        return output.logits, output.class_maps

    def output(self, greys: Sequence[GreyImage]) -> Output:
        """Grey pictures of any size -> all that the graph gives."""
        return self._engine.run(self._batch(greys))

    def judged(self, greys: Sequence[GreyImage]) -> Output:
        """The same, where the card asks for it with the logits of a second look: what predictions are made of."""
        return self._looking.run(self._batch(greys))

    def candidates(self, prediction: Prediction) -> tuple[str, ...]:
        """The classes that a picture may be of, surest first: the true one is among them in 99 of 100 pictures like
        those that the model was calibrated on.

        Every class where the model was not calibrated; none of a picture that could not be read.
        """
        least = self.card.thresholds.get(CANDIDATE_SHARE, 0.0)
        ranked = sorted(prediction.scores, key=lambda name: -prediction.scores[name])
        return tuple(name for name in ranked if prediction.scores[name] >= least) or tuple(ranked[:1])

    def scan(self, strip: Source) -> Scan:
        """A picture of any width and height up to 100 million pixels, as of a strip -> class map and regions.

        It is computed in pieces of bounded memory. Raises ImageError where the strip cannot be read, SteelsightError
        where the file cannot scan, as of a network that looks at the whole picture for every place.
        """
        grey = decoded(strip, name_of(strip, 0))
        if isinstance(grey, ImageError):
            raise grey
        self._check_scans()
        return scanning.scan(self._scanner.run, images.mend(grey), self.card)

    def class_map(self, grey: GreyImage) -> FloatArray:
        """The class map (classes, h, w) of a picture at its own size, computed in one piece. Raises as `scan` does."""
        self._check_scans()
        return np.asarray(self._scanner.run(images.mend(grey)[None, None]).class_maps[0])

    def _check_scans(self) -> None:
        if not self.card.stride:
            height, width = self.card.size
            raise SteelsightError(
                f"{self.name}: this file of {self.card.model} cannot scan; it takes pictures of {width}x{height} "
                "pixels only. Cut the strip into such pictures, or take another model."
            )

    @cached_property
    def _side_by_side(self) -> Engine:
        """For batches side by side, each on one core."""
        if self._threads == 1:
            return self._looking
        return self._looks_again(side_by_side(self._content, self.card))

    @cached_property
    def _scanner(self) -> Engine:
        return scanner(self._content, self.card, self._threads, self._engine)

    def _looks_again(self, engine: Engine) -> Engine:
        return SecondLook(engine, self.card.second_look) if self.card.second_look else engine

    def _batch(self, greys: Sequence[GreyImage]) -> Batch:
        if len(greys) == 1:
            return images.prepare(greys[0], self.card.size)[None, None]
        return images.prepare_all(greys, self.card.size)[:, None]

    def _answer_one(self, source: Source) -> Prediction:
        """As `_answer`, without what batches need, which takes 3 microseconds."""
        name = name_of(source, 0)
        grey = decoded(source, name)
        if isinstance(grey, ImageError):
            return _unread(name, grey)
        return self._prediction(name, grey.shape, self._looking.run(self._batch([grey])), 0)

    def _answer(self, engine: Engine, batch: Sequence[Numbered]) -> list[tuple[Prediction, GreyImage | None]]:
        names = [name_of(source, number) for number, source in batch]
        pictures = [decoded(source, name) for name, (_, source) in zip(names, batch, strict=True)]
        greys = [entry for entry in pictures if not isinstance(entry, ImageError)]
        answers = self._outputs(engine, greys)
        return [
            (_unread(name, entry), None)
            if isinstance(entry, ImageError)
            else (self._prediction(name, entry.shape, *next(answers)), entry)
            for name, entry in zip(names, pictures, strict=True)
        ]

    def _outputs(self, engine: Engine, greys: Sequence[GreyImage]) -> Iterator[tuple[Output, int]]:
        """For each picture the output that it is in, and its number there."""
        for first in range(0, len(greys), engine.together):
            together = greys[first : first + engine.together]
            output = engine.run(self._batch(together))
            yield from ((output, number) for number in range(len(together)))

    def _prediction(self, name: str, size: tuple[int, int], output: Output, number: int) -> Prediction:
        """Of the picture of this number in the output's batch."""
        class_map = output.class_maps[number]
        strangeness = None if output.strangeness is None else float(output.strangeness[number])
        by_class = shares(output.logits[number].tolist(), warmth_of(self.card, strangeness))
        scores = dict(zip(self.classes, by_class, strict=True))
        confidence = max(by_class)
        best = by_class.index(confidence)
        label = self.classes[best]
        if strangeness is not None and strangeness > self._strangest:
            return Prediction(name, UNKNOWN, confidence, scores, class_map=class_map, strangeness=strangeness)

        def find() -> Evidence:
            seen = _evidence(output, number, best, label, confidence, size)
            if self._least_lead == math.inf:
                return seen
            others = regions.of_others(class_map, best, scores, self._least_lead, size)
            return replace(seen, regions=(*seen.regions, *others))

        return Prediction(name, label, confidence, scores, class_map=class_map, strangeness=strangeness, find=find)


def _evidence(output: Output, number: int, best: int, label: str, confidence: float, size: tuple[int, int]) -> Evidence:
    """By what the file gives for it: the inside of boxes, else features, else the class map."""
    if output.inside is not None:
        return regions.evidence_inside(output.inside[number, best], label, confidence, size)
    class_map = output.class_maps[number]
    if output.features is None:
        return regions.evidence(regions.heat_of(class_map, best), label, confidence, size)
    heat = regions.contrast_for(class_map, best, output.features[number])
    return regions.evidence(heat, label, confidence, size)


def load(name_or_file: str | os.PathLike[str] = DEFAULT_MODEL, threads: int | None = None) -> Classifier:
    """A shipped model by name, or a model file -> Classifier.

    threads: how many cores it may use; all where None. Raises SteelsightError where the file is missing, damaged,
    foreign or of another format, or made for an engine that is not installed.
    """
    path = model_file(name_or_file)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SteelsightError(f"{path}: cannot be read ({error.strerror}); check the file.") from None
    threads = threads or cores()
    try:
        plain = OnnxRuntime(content, threads)
    except ValueError:
        raise SteelsightError(f"{path}: is damaged or not an ONNX model; export or copy it again.") from None
    text = plain.metadata.get(cards.KEY)
    if text is None:
        raise SteelsightError(
            f"{path}: is an ONNX model, but not one that steelsight exported; see `steelsight train`."
        )
    card = cards.loads(text, str(path))
    _check_graph(plain, card, path)
    try:
        engine = plain if card.engine == "onnxruntime" else start(content, card, threads)
    except ValueError:
        raise SteelsightError(f"{path}: cannot be computed by OpenVINO; export the model again.") from None
    name = path.resolve().parent.name if path.name == RUN_FILE else path.stem
    return Classifier(card, name, content, engine, threads)


def shipped() -> dict[str, Path]:
    """Names and files of the models in the package."""
    folder = Path(str(resources.files("steelsight") / "weights"))
    return {path.stem: path for path in sorted(folder.glob("*.onnx"))}


def model_file(name_or_file: str | os.PathLike[str]) -> Path:
    """The file that a name or path means. Raises SteelsightError where there is none."""
    name = os.fspath(name_or_file)
    if name in shipped():
        return shipped()[name]
    path = Path(name)
    if path.is_dir() and (path / RUN_FILE).is_file():
        return path / RUN_FILE
    if not path.is_file():
        known = ", ".join(shipped()) or "none"
        raise SteelsightError(f"{name}: there is no such model file, and the shipped models are {known}.")
    return path


def _check_graph(graph: OnnxRuntime, card: Card, path: Path) -> None:
    shapes = [shape for name, kind, shape in graph.inputs if (name, kind) == ("grey", "tensor(uint8)")]
    sides = ["height", "width"] if card.stride else [*card.size]
    fits = (
        [shape[1:] for shape in shapes] == [[1, *sides]]
        and not isinstance(shapes[0][0], int)  # any number of pictures
        and len(graph.inputs) == 1
        and REQUIRED <= graph.outputs.keys() <= set(OUTPUTS)
        and all(
            len(graph.outputs[name]) > 1 and graph.outputs[name][1] == len(card.classes)
            for name in (REQUIRED | {INSIDE}) & graph.outputs.keys()
        )
        and all(len(graph.outputs[name]) == 4 for name in {FEATURES, INSIDE} & graph.outputs.keys())
    )
    if not fits:
        raise SteelsightError(f"{path}: the graph does not fit the model's card; export the model again.")


def _cut(numbered: Iterator[Numbered], size: int) -> Iterator[list[Numbered]]:
    """Lists of so many, the last of what is left."""
    while part := list(islice(numbered, size)):
        yield part


def _unread(name: str, error: ImageError) -> Prediction:
    return Prediction(name, None, None, error=str(error))
