"""What computes a model's graph: ONNX Runtime, or OpenVINO where it is installed and faster."""

from __future__ import annotations

import math
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime

from steelsight.records import Card, FloatArray, SteelsightError

Batch = npt.NDArray[np.uint8]
"""Grey levels, shape (pictures, 1, height, width)."""


FEATURES, INSIDE = "features", "inside"
"""Outputs that tell where; files have one of the two, or neither."""
OUTPUTS = {
    "logits": "logits",
    "class_map": "class_maps",
    "strangeness": "strangeness",
    FEATURES: "features",
    INSIDE: "inside",
}
"""What a graph may give, and what that is called here; the first two it must."""
MAPS = ("class_map", FEATURES, INSIDE)
"""Outputs of which a larger picture has more."""


TOGETHER = 4
"""Pictures that are computed at once where there are many. What more of them need falls out of a core's cache, of
PDMSNet first; one at a time, MillNet waits for Python."""
MORE = (16, 8)
"""So many where they fit: each time that Python and the engine take turns costs some pictures' time."""
CACHE = 700_000
"""Bytes of a core's own cache, about, that the largest feature maps of all of them may take."""


class Output(NamedTuple):
    """What a graph gives."""

    logits: FloatArray
    """Shape (pictures, classes)."""
    class_maps: FloatArray
    """Shape (pictures, classes, h, w)."""
    strangeness: FloatArray | None = None
    """How far each picture is from all that the model knows, shape (pictures,), where the file can tell."""
    features: FloatArray | None = None
    """What the first layers see, shape (pictures, channels, rows, columns), where the file tells."""
    inside: FloatArray | None = None
    """How surely, in logits, a place is inside a defect of each class, shape (pictures, classes, rows, columns), where
    the model has learned from boxes."""


class Engine(Protocol):
    """Computes a graph. May be called from many threads."""

    together: int
    """How many pictures it is fastest to give it at once where there are many."""

    def run(self, batch: Batch) -> Output: ...


class OnnxRuntime:
    """The graph in ONNX Runtime, on so many cores. Raises ValueError for what is not a graph."""

    together = TOGETHER

    def __init__(self, content: bytes, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        # Threads that wait in a loop take the core from whatever else runs beside.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises its own kinds of error on damaged files
            raise ValueError(str(error)) from None
        self._run = self._session.run
        self._names = [name for name in OUTPUTS if name in self.outputs]

    @property
    def metadata(self) -> Mapping[str, str]:
        return self._session.get_modelmeta().custom_metadata_map  # type: ignore[no-any-return]

    @property
    def inputs(self) -> list[tuple[str, str, list[Any]]]:
        """Name, type and shape; a side that may be any is a name."""
        return [(entry.name, entry.type, entry.shape) for entry in self._session.get_inputs()]

    @property
    def outputs(self) -> dict[str, list[Any]]:
        """Shapes by name."""
        return {entry.name: entry.shape for entry in self._session.get_outputs()}

    def run(self, batch: Batch) -> Output:
        return _output(self._names, self._run(self._names, {"grey": batch}))


class OpenVino:
    """The graph in OpenVINO: in int8 what the file has quantised, all else in `floats`, which is fp32 or bf16.

    A shape that is known is computed up to twice as fast, so it is compiled for one picture, for TOGETHER and for as
    many as fit a core's cache, and other numbers of them are cut into these. size: height and width of the pictures, or
    None for any. Raises SteelsightError where OpenVINO is not installed, ValueError for what it cannot compute.
    """

    def __init__(self, content: bytes, threads: int, floats: str, size: tuple[int, int] | None) -> None:
        try:
            import openvino
        except ImportError:
            raise SteelsightError(
                "OpenVINO is not installed, and the model is made for it; run pip install 'steelsight[openvino]'."
            ) from None
        self._core = openvino.Core()
        self._content, self._size = content, size
        self._hints = {
            "INFERENCE_PRECISION_HINT": "f32" if floats == "fp32" else "bf16",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # it would pin every engine of one thread to the same core, in all processes
            "CPU_RUNTIME_CACHE_CAPACITY": "16",  # of shapes; it grows with every new one otherwise
        }
        self._idle: dict[int, list[_Request]] = defaultdict(list)
        self._compiling = threading.Lock()
        try:
            alone = self._shaped(1)
            self.together = TOGETHER if size is None else _fitting(alone, 4 if floats == "fp32" else 2)
            self._compiled = {1: self._compile(alone)}  # now, to know that it can be
        except RuntimeError as error:
            raise ValueError(str(error)) from None
        given = {name for output in self._compiled[1].outputs for name in output.names}
        self._names = [name for name in OUTPUTS if name in given]
        self._counts = sorted({1, TOGETHER, self.together}, reverse=True)

    def _compiled_for(self, pictures: int) -> Any:
        with self._compiling:
            if pictures not in self._compiled:
                self._compiled[pictures] = self._compile(self._shaped(pictures))
            return self._compiled[pictures]

    def _compile(self, model: Any) -> Any:
        if any(FEATURES in output.names for output in model.outputs):
            model = self._channels_last(model)
        return self._core.compile_model(model, "CPU", self._hints)

    def _shaped(self, pictures: int) -> Any:
        model = self._core.read_model(self._content)
        model.reshape({"grey": [pictures, 1, *(self._size or (-1, -1))]})
        return model

    @staticmethod
    def _channels_last(model: Any) -> Any:
        """The largest output as OpenVINO holds it inside, so that nobody moves it."""
        from openvino import Layout
        from openvino.preprocess import PrePostProcessor

        changed = PrePostProcessor(model)
        changed.output(FEATURES).model().set_layout(Layout("NCHW"))
        changed.output(FEATURES).tensor().set_layout(Layout("NHWC"))
        return changed.build()

    def run(self, batch: Batch) -> Output:
        if len(batch) in self._counts:
            return self._compute(batch)
        starts = [0]
        while starts[-1] < len(batch):
            starts.append(starts[-1] + next(count for count in self._counts if count <= len(batch) - starts[-1]))
        return _joined([self._compute(batch[first:end]) for first, end in pairwise(starts)])

    def _compute(self, batch: Batch) -> Output:
        request = self._request(len(batch))
        try:
            values = request.run(batch)
        finally:
            self._idle[len(batch)].append(request)
        if FEATURES in values:
            values[FEATURES] = values[FEATURES].transpose(0, 3, 1, 2)
        return _output(values, values.values())

    def _request(self, pictures: int) -> _Request:
        """One that nobody uses now: threads come and go, and a new request takes as long as dozens of pictures."""
        try:
            return self._idle[pictures].pop()
        except IndexError:
            make = _Request if self._size is None else _RequestOfOneShape
            return make(self._compiled_for(pictures).create_infer_request(), self._names)


class SideBySide:
    """An engine for each thread that asks at the same time: threads that share one wait for each other."""

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._make = make
        self._idle = [make()]
        self.together = self._idle[0].together

    def run(self, batch: Batch) -> Output:
        try:
            engine = self._idle.pop()
        except IndexError:
            engine = self._make()
        try:
            return engine.run(batch)
        finally:
            self._idle.append(engine)


class _Request:
    """What is asked of OpenVINO by one thread at a time."""

    def __init__(self, request: Any, names: Sequence[str]) -> None:
        self._request, self._names = request, names

    def run(self, batch: Batch) -> dict[str, FloatArray]:
        """The graph's outputs by name."""
        grey = self._request.get_tensor("grey")
        grey.shape = batch.shape
        grey.data[:] = batch
        self._request.infer()
        return {name: self._request.get_tensor(name).data.copy() for name in self._names}


class _RequestOfOneShape(_Request):
    """Its numbers lie in the same places every time: to ask where takes a tenth of MillNet's time in 8 bits."""

    def __init__(self, request: Any, names: Sequence[str]) -> None:
        super().__init__(request, names)
        self._grey = request.get_tensor("grey").data
        self._values = {name: request.get_tensor(name).data for name in names}

    def run(self, batch: Batch) -> dict[str, FloatArray]:
        self._grey[:] = batch
        self._request.infer()
        return {name: values.copy() for name, values in self._values.items()}


def _fitting(model: Any, width: int) -> int:
    """Of how many pictures a core's cache holds the largest feature map; TOGETHER at least. width: bytes of a number,
    which is one where the graph is quantised."""
    operations = model.get_ops()
    numbers = max(math.prod(output.shape) for each in operations for output in each.outputs() if _is_map(output))
    is_quantised = any(each.get_type_name() == "FakeQuantize" for each in operations)
    largest = numbers * (1 if is_quantised else width)
    return next((count for count in MORE if count * largest <= CACHE), TOGETHER)


def _is_map(output: Any) -> bool:
    return bool(output.partial_shape.is_static) and len(output.shape) == 4 and output.shape[0] == 1


def _output(names: Iterable[str], values: Iterable[FloatArray]) -> Output:
    return Output(**{OUTPUTS[name]: value for name, value in zip(names, values, strict=True)})


def _joined(outputs: Sequence[Output]) -> Output:
    """Of a batch that was computed in parts."""
    by_name = {name: [getattr(output, name) for output in outputs] for name in Output._fields}
    return Output(**{name: np.concatenate(parts) for name, parts in by_name.items() if parts[0] is not None})


def start(content: bytes, card: Card, threads: int) -> Engine:
    """The engine that a model's card names, for pictures of the card's size; see `scanner` for others.

    Raises SteelsightError where it is not installed, ValueError where it cannot compute the graph.
    """
    if card.engine == "openvino":
        return OpenVino(content, threads, _floats(card), card.size)
    return OnnxRuntime(content, threads)


def side_by_side(content: bytes, card: Card) -> Engine:
    """The same for several threads at once, each of which computes its batch by itself."""
    one_core = partial(start, content, card, 1)
    return SideBySide(one_core) if card.engine == "openvino" else one_core()


def scanner(content: bytes, card: Card, threads: int, engine: Engine) -> Engine:
    """An engine for pictures of any size, given the one for the card's."""
    return OpenVino(content, threads, _floats(card), None) if card.engine == "openvino" else engine


def _floats(card: Card) -> str:
    return card.floats if card.precision == "int8" else card.precision


def cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
