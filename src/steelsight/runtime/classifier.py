"""A model file at work: pictures in, predictions out. No torch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from steelsight import images
from steelsight.images import ImageError
from steelsight.records import CLEAN, Card, FloatArray, GreyImage, Prediction, SteelsightError
from steelsight.runtime import card as cards
from steelsight.runtime import regions

DEFAULT_MODEL = "pdmsnet-neu"
RUN_FILE = "model.onnx"
"""What `steelsight train` calls the file in a run's folder."""
BATCH = 16

Source = str | os.PathLike[str] | bytes | npt.NDArray[Any]
"""A path, the bytes of an encoded picture, or an array as `images.as_grey` takes it."""


class Classifier:
    """Made by `load`. May be used from several threads at once."""

    def __init__(self, session: onnxruntime.InferenceSession, card: Card, name: str) -> None:
        self._session, self.card, self.name = session, card, name

    @property
    def classes(self) -> tuple[str, ...]:
        return self.card.classes

    def predict(self, images: Source | Sequence[Source]) -> list[Prediction]:
        """One picture or many -> one prediction each, in order.

        A picture that cannot be read gets a prediction whose `error` says why; nothing is raised for it.
        """
        sources = [images] if isinstance(images, str | os.PathLike | bytes | np.ndarray) else images
        return [prediction for prediction, _ in self.stream(sources)]

    def stream(self, sources: Iterable[Source | SteelsightError]) -> Iterator[tuple[Prediction, GreyImage | None]]:
        """Predictions with the decoded pictures, in order and with bounded memory; decoding runs ahead in threads.

        An error among the sources becomes a prediction that says so.
        """
        numbered = enumerate(sources)
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            waiting: list[tuple[str, Future[GreyImage | ImageError]]] = []
            while True:
                for number, source in islice(numbered, 2 * BATCH - len(waiting)):
                    waiting.append((_name(source, number), pool.submit(_decode, source, _name(source, number))))
                if not waiting:
                    return
                batch, waiting = waiting[:BATCH], waiting[BATCH:]
                yield from self._answer([(name, future.result()) for name, future in batch])

    def logits(self, greys: Sequence[GreyImage]) -> tuple[FloatArray, FloatArray]:
        """Grey pictures of any size -> logits (n, classes) and class maps (n, classes, h, w)."""
        pixels = np.stack([images.resize(grey, self.card.size) for grey in greys])[:, None]
        logits, class_maps = self._session.run(["logits", "class_map"], {"grey": pixels})
        return logits, class_maps

    def probabilities(self, logits: FloatArray) -> FloatArray:
        """Logits (n, classes) -> shares that add up to 1, at the card's temperature."""
        scaled = logits.astype(np.float64) / self.card.temperature
        shares = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)  # type: ignore[no-any-return]

    def _answer(
        self, batch: Sequence[tuple[str, GreyImage | ImageError]]
    ) -> Iterator[tuple[Prediction, GreyImage | None]]:
        greys = [entry for _, entry in batch if not isinstance(entry, ImageError)]
        logits, maps = self.logits(greys) if greys else (np.empty((0, 0), np.float32),) * 2
        answers = iter(zip(greys, maps, self.probabilities(logits) if greys else logits, strict=True))
        for name, entry in batch:
            if isinstance(entry, ImageError):
                yield Prediction(name, None, None, error=str(entry)), None
            else:
                grey, class_map, shares = next(answers)
                yield self._prediction(name, grey.shape, class_map, shares), grey

    def _prediction(self, name: str, size: tuple[int, int], class_map: FloatArray, shares: FloatArray) -> Prediction:
        best = int(shares.argmax())
        label, confidence = self.classes[best], float(shares[best])
        heat = regions.heat_of(class_map, best)
        return Prediction(
            image=name,
            label=label,
            confidence=confidence,
            scores=dict(zip(self.classes, map(float, shares), strict=True)),
            regions=() if label in CLEAN else regions.find(heat, label, confidence, size),
            class_map=class_map,
            heat=None if label in CLEAN else heat,
        )


def load(name_or_file: str | os.PathLike[str] = DEFAULT_MODEL, threads: int | None = None) -> Classifier:
    """A shipped model by name, or a model file -> Classifier.

    threads: how many one inference may use; all cores where None. Raises SteelsightError where the file is missing,
    damaged, foreign or of another format.
    """
    path = model_file(name_or_file)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SteelsightError(f"{path}: cannot be read ({error.strerror}); check the file.") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 4
    # Threads that wait in a loop take the core from whatever else runs beside.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception:  # ONNX Runtime raises its own kinds of error on damaged files
        raise SteelsightError(f"{path}: is damaged or not an ONNX model; export or copy it again.") from None
    text = session.get_modelmeta().custom_metadata_map.get(cards.KEY)
    if text is None:
        raise SteelsightError(
            f"{path}: is an ONNX model, but not one that steelsight exported; see `steelsight train`."
        )
    card = cards.loads(text, str(path))
    _check_graph(session, card, path)
    return Classifier(session, card, path.resolve().parent.name if path.name == RUN_FILE else path.stem)


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


def _check_graph(session: onnxruntime.InferenceSession, card: Card, path: Path) -> None:
    inputs = [(entry.name, entry.type, entry.shape[1:]) for entry in session.get_inputs()]
    outputs = {entry.name: entry.shape for entry in session.get_outputs()}
    fits = (
        inputs == [("grey", "tensor(uint8)", [1, *card.size])]
        and outputs.keys() == {"logits", "class_map"}
        and all(len(shape) > 1 and shape[1] == len(card.classes) for shape in outputs.values())
    )
    if not fits:
        raise SteelsightError(f"{path}: the graph does not fit the model's card; export the model again.")


def _name(source: Source | SteelsightError, number: int) -> str:
    if isinstance(source, SteelsightError):
        return str(source).partition(": ")[0]  # sentences about files begin with their path
    return os.fspath(source) if isinstance(source, str | os.PathLike) else f"image {number + 1}"


def _decode(source: Source | SteelsightError, name: str) -> GreyImage | ImageError:
    try:
        if isinstance(source, SteelsightError):
            return ImageError(str(source))
        return images.as_grey(source, name) if isinstance(source, np.ndarray) else images.decode(source, name)
    except ImageError as error:
        return error
