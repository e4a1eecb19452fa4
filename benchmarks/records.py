"""What was measured, as records: benchmarks/results/speed.json holds them, and the page is made from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
SPEED, GROWTH = RESULTS / "speed.json", RESULTS / "growth.json"

BATCH = 32
ENGINES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "plain": "ONNX Runtime by its defaults,"}
"""`plain` computes what `torch.onnx` makes of a network with three channels, without this project."""
REDUCED = ("bf16", "int8")


@dataclass(frozen=True, slots=True)
class Variant:
    """A network for pictures of `size` x `size` pixels, computed by an engine in a precision: one model file."""

    network: str
    size: int
    engine: str = "onnxruntime"
    precision: str = "fp32"

    def __str__(self) -> str:
        return f"{self.network} at {self.size} pixels, {ENGINES[self.engine]} {self.precision}"


@dataclass(frozen=True, slots=True)
class Counted:
    """A network with one channel and six classes. `macs` are those of convolutions and linear layers, for a picture."""

    network: str
    size: int
    parameters: int
    macs: int


@dataclass(frozen=True, slots=True)
class Accuracy:
    """On leak-free folds, in 0..1, of a network trained for `size` x `size` pixels; `low` and `high`: 95 %."""

    network: str
    size: int
    recipe: str
    protocol: str
    cells: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Start:
    """A fresh process that imports steelsight, loads a file and answers one picture.

    `memory` is what loading and answering added to the process at its peak, megabytes.
    """

    variant: Variant
    file_megabytes: float
    memory_megabytes: float | None
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of a call that answers so many pictures."""

    variant: Variant
    way: str
    """`engine`: the graph alone; `predict` and `scan`: the methods of Classifier, from grey levels in memory."""
    pictures: int
    """Of a strip that is scanned: tiles of 200x200 pixels."""
    calls: int
    median: float
    p95: float | None
    p99: float | None
    """None where there were too few calls."""
    rounds: tuple[float, ...]
    """The median of each round; all files are timed in every round."""


@dataclass(slots=True)
class Section:
    """All that was timed on so many cores."""

    starts: list[Start] = field(default_factory=list)
    tried: list[Times] = field(default_factory=list)
    """A few calls of every file, to find the fastest ones."""
    times: list[Times] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks with the side of their pictures, pixels, and the one whose plain export all are held against."""

    presets: Mapping[str, int]
    """MillNet's."""
    peers: Mapping[str, int]
    baseline: str

    @property
    def sizes(self) -> Mapping[str, int]:
        return {**self.presets, **self.peers}


@dataclass(slots=True)
class Speed:
    """Everything in speed.json."""

    about: Mapping[str, str]
    plan: Mapping[str, Any]
    networks: Networks
    provenance: Mapping[str, str]
    accuracies: list[Accuracy] = field(default_factory=list)
    counted: list[Counted] = field(default_factory=list)
    peaks: dict[str, dict[str, float | None]] = field(default_factory=dict)
    """By number of cores and precision: multiply-accumulates a second; None where torch cannot."""
    problems: list[str] = field(default_factory=list)
    """Files that could not be made."""
    sections: dict[str, Section] = field(default_factory=dict)
    """By number of cores."""

    @property
    def all_problems(self) -> list[str]:
        return [*self.problems, *(problem for section in self.sections.values() for problem in section.problems)]

    def save(self, path: Path) -> None:
        draft = path.with_suffix(".json.new")
        draft.write_text(_text(asdict(self)) + "\n", encoding="utf-8")
        draft.replace(path)


def is_same_place(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether two provenances name the same machine and versions; what was measured elsewhere cannot be compared."""
    passing = {"command", "date"}
    return all(one.get(name) == other.get(name) for name in (one.keys() | other.keys()) - passing)


def load(path: Path) -> Speed:
    """What `Speed.save` wrote."""
    held = json.loads(path.read_text(encoding="utf-8"))
    return Speed(
        about=held["about"],
        plan=held["plan"],
        networks=Networks(**held["networks"]),
        provenance=held["provenance"],
        accuracies=[Accuracy(**each) for each in held["accuracies"]],
        counted=[Counted(**each) for each in held["counted"]],
        peaks=held["peaks"],
        problems=held["problems"],
        sections={cores: _section(each) for cores, each in held["sections"].items()},
    )


def _section(held: Mapping[str, Any]) -> Section:
    return Section(
        starts=[Start(**{**each, "variant": Variant(**each["variant"])}) for each in held["starts"]],
        tried=[_times(each) for each in held["tried"]],
        times=[_times(each) for each in held["times"]],
        problems=list(held["problems"]),
    )


def _times(held: Mapping[str, Any]) -> Times:
    return Times(**{**held, "variant": Variant(**held["variant"]), "rounds": tuple(held["rounds"])})


def _text(value: Any, indent: str = "\n") -> str:
    """JSON with a line for each record."""
    if isinstance(value, dict):
        lines = [f"{json.dumps(name)}: {_text(each, indent + ' ')}" for name, each in value.items()]
        return "{" + ",".join(f"{indent} {line}" for line in lines) + indent + "}"
    if isinstance(value, list) and value:
        return "[" + ",".join(f"{indent} {json.dumps(each)}" for each in value) + indent + "]"
    return json.dumps(value)
