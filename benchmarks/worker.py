"""One model file in a process of its own: `python -m benchmarks.worker ENGINE FILE CORES`.

Prints what it took to load the file, as JSON; then reads lines that ask for calls and prints how long each one took. It
is a process so that memory and start are the file's own, and so that an engine which crashes takes nothing with it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from steelsight.records import GreyImage
from steelsight.runtime.classifier import Classifier, load
from steelsight.runtime.engines import start
from steelsight.runtime.second_look import lead

TILE = 200
"""Side of a picture of NEU-CLS, pixels."""
TILES_ACROSS = 30
"""A hot strip of 1.5 m at 0.25 mm a pixel."""

IN_DOUBT = 0.01
"""Share of a list that is looked at again. Of leak-free test pictures MillNet looked again at 0.8 in 100."""

Call = Callable[[], object]


class File:
    """A model file of this project."""

    def __init__(self, path: Path, cores: int) -> None:
        self._path, self._cores = path, cores
        loaded = load(path, threads=cores)
        self._looks_again = loaded.card.second_look > 0
        self._classifier = _of_one_look(loaded)
        self._classifier.predict(noise(TILE, TILE))

    def engine(self, pictures: int) -> Call:
        card = self._classifier.card
        engine, batch = start(self._path.read_bytes(), card, self._cores), noise(pictures, 1, *card.size)
        return lambda: engine.run(batch)

    def predict(self, pictures: int) -> Call:
        tiles = list(noise(pictures, TILE, TILE))
        classifier = self._as_sure_as_trained(tiles)
        return lambda: classifier.predict(tiles)

    def scan(self, tiles: int) -> Call:
        strip = noise(TILE * tiles // TILES_ACROSS, TILE * TILES_ACROSS)
        return lambda: self._classifier.scan(strip)

    def _as_sure_as_trained(self, tiles: Sequence[GreyImage]) -> Classifier:
        """Looks again at IN_DOUBT of the tiles, where the file looks again at all, and never at one alone.

        Random weights are in doubt of every picture.
        """
        if not self._looks_again:
            return self._classifier
        leads = [lead(logits) for logits in self._classifier.output(tiles).logits.tolist()]
        card = replace(self._classifier.card, second_look=float(np.quantile(leads, IN_DOUBT)))
        return self._classifier.with_card(card)


class PlainFile:
    """A file as `torch.onnx` writes it, under ONNX Runtime's defaults but for the number of cores."""

    def __init__(self, path: Path, cores: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cores
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.engine(1)()

    def engine(self, pictures: int) -> Call:
        (entry,) = self._session.get_inputs()
        batch = np.random.default_rng(0).random((pictures, *entry.shape[1:]), dtype=np.float32)
        return lambda: self._session.run(None, {entry.name: batch})


def _of_one_look(classifier: Classifier) -> Classifier:
    return classifier.with_card(replace(classifier.card, second_look=0.0))


def noise(*shape: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def peak_megabytes() -> float | None:
    """The most memory that this process has had; None where the system does not say.

    Not what `resource` says: that begins with the memory of the process that started this one.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def timed(call: Call, untimed: int, fewest: int, most: int, seconds: float) -> list[float]:
    """Milliseconds of each call: `most` of them, or as many as fit into `seconds`, but not less than `fewest`."""
    for _ in range(untimed):
        call()
    found: list[float] = []
    end = time.perf_counter() + seconds
    while len(found) < fewest or (len(found) < most and time.perf_counter() < end):
        started = time.perf_counter()
        call()
        found.append(round(1000 * (time.perf_counter() - started), 4))
    return found


def answer(line: Mapping[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def main(engine: str, path: Path, cores: int) -> None:
    before = peak_megabytes()
    file: Any = (PlainFile if engine == "plain" else File)(path, cores)
    after = peak_megabytes()
    answer({"memory_megabytes": None if before is None or after is None else round(after - before, 1)})

    @cache
    def call(way: str, pictures: int) -> Call:
        return getattr(file, way)(pictures)  # type: ignore[no-any-return]

    for line in sys.stdin:
        asked = json.loads(line)
        answer({"milliseconds": timed(call(asked["way"], asked["pictures"]), **asked["amount"])})


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
