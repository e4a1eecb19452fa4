"""What the rooms say to each other: small frozen records, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

GreyImage = npt.NDArray[np.uint8]
"""Grey levels, shape (height, width)."""

FloatArray = npt.NDArray[np.float32]

UNKNOWN = "unknown"
"""The label of a picture that the model rejects as none of its classes."""


CLEAN = frozenset({"clean", "ok"})
"""Labels of steel without a defect; such pictures have no regions."""


class SteelsightError(Exception):
    """Something a person can mend; the message is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle in pixels of the original picture; (x, y) is its upper left corner.

    Annotated boxes are regions with score 1.
    """

    label: str
    x: int
    y: int
    width: int
    height: int
    score: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "x": self.x,
            "y": self.y,
            "width": self.width,
            "height": self.height,
            "score": round(self.score, 6),
        }


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture on disk and what is known about it."""

    path: Path
    label: str
    boxes: tuple[Region, ...] = ()
    part: str | None = None
    """`train`, `val` or `test` where the folder says so."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Where a picture shows its label."""

    regions: tuple[Region, ...] = ()
    heat: FloatArray | None = None
    """0 to 1, shape (map height, map width)."""
    point: tuple[int, int] | None = None
    """The place to look at first, x and y in pixels of the original."""


@dataclass(frozen=True)
class Prediction:
    """What a model says of one picture.

    Unreadable picture: `label` and `confidence` are None, `scores` and `regions` empty, `error` says why. Of a picture
    that the model rejects as none of its classes `label` is UNKNOWN, and confidence and scores are what they would be.
    """

    image: str
    label: str | None
    confidence: float | None
    scores: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    class_map: FloatArray | None = field(default=None, repr=False, compare=False)
    """Logits before the average, shape (classes, map height, map width)."""
    strangeness: float | None = field(default=None, repr=False, compare=False)
    """How far the picture is from all that the model knows, where the model can tell; no unit."""
    find: Callable[[], Evidence] = field(default=Evidence, repr=False, compare=False)
    """Finds the evidence when it is first asked for: beside a running line the label alone is."""

    @cached_property
    def evidence(self) -> Evidence:
        return self.find()

    @property
    def regions(self) -> tuple[Region, ...]:
        return self.evidence.regions

    @property
    def heat(self) -> FloatArray | None:
        return self.evidence.heat

    @property
    def point(self) -> tuple[int, int] | None:
        return self.evidence.point

    def to_dict(self) -> dict[str, Any]:
        """The fields of one `--json` line."""
        return {
            "image": self.image,
            "label": self.label,
            "confidence": None if self.confidence is None else round(self.confidence, 6),
            "scores": {name: round(score, 6) for name, score in self.scores.items()},
            "regions": [region.to_dict() for region in self.regions],
            "error": self.error,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """What a model says of a whole strip."""

    class_map: FloatArray
    """Logits at every place, shape (classes, map height, map width)."""
    regions: tuple[Region, ...]
    """In pixels of the strip, most certain first."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a model file says of itself; it travels in the file's metadata."""

    model: str
    """The network's name."""
    classes: tuple[str, ...]
    size: tuple[int, int]
    """Height and width that the graph takes, pixels."""
    temperature: float = 1.0
    """Logits are divided by it before the softmax; those of strange pictures by more (`runtime.confidence`)."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    protocol: str = ""
    """How the scores were measured."""
    scores: Mapping[str, float] = field(default_factory=dict)
    licence: str = ""
    training_images: tuple[str, ...] = ()
    """`images.fingerprint` of every picture that the weights were fitted on."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Versions, seed, command and date of the training."""
    engine: str = "onnxruntime"
    """What computes the graph: `onnxruntime` or `openvino`."""
    precision: str = "fp32"
    """What it computes in: `fp32`, `bf16` or `int8`."""
    floats: str = "bf16"
    """What an int8 file's other steps are computed in, where the engine leaves the choice: `fp32` or `bf16`."""
    stride: int = 0
    """Pixels from one place of the class map to the next, where the network can scan pictures of any size; else 0."""
    reach: int = 0
    """Row n of the class map sees nothing farther than this many pixels from row n * stride; nor do columns."""
    second_look: float = 0.0
    """Pictures whose two likeliest classes are fewer logits apart are looked at again (`runtime.second_look`)."""
    format: int = 1


@dataclass(frozen=True, slots=True)
class Mistake:
    """A picture whose label was not the predicted one."""

    image: str
    truth: str
    predicted: str
    confidence: float


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One class: precision, recall and F1 in 0..1, and how many pictures truly are of it."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said of a picture whose class is known; `image` is its path below the data's folder."""

    image: str
    truth: str
    predicted: str
    scores: Mapping[str, float]

    @property
    def is_right(self) -> bool:
        return self.truth == self.predicted


@dataclass(frozen=True, slots=True)
class Certainty:
    """What the class scores are worth as probabilities."""

    top_k: Mapping[str, float]
    """By k (a number, as JSON writes it): share of pictures whose class is among the k with the highest scores."""
    calibration_error: float
    """Mean distance of confidence from accuracy, over 15 bins of confidence of equal width."""
    brier: float
    """Mean squared distance of the scores from the truth, summed over the classes: 0 is best, 2 worst."""
    log_loss: float
    """Mean negative natural logarithm of the true class's score."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check of a folder says: a sentence or two, and a table that shows it."""

    title: str
    words: str
    is_wrong: bool
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Exhibit:
    """A picture that shows what a finding says."""

    caption: str
    pixels: npt.NDArray[np.uint8]
    """Grey levels, shape (height, width), or RGB, shape (height, width, 3)."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What an evaluation found. Rows of `confusion` are the true classes, columns the predicted ones."""

    classes: tuple[str, ...]
    images: int
    accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    per_class: Mapping[str, ClassScores]
    confusion: tuple[tuple[int, ...], ...]
    mistakes: tuple[Mistake, ...]
    certainty: Certainty | None = None


@dataclass(frozen=True)
class HarshScores:
    """Scores on harsh pictures: every picture in every kind and strength of the suite. Shares in 0..1."""

    images: int
    clean: float
    """Accuracy on the pictures as they are."""
    accuracy: Mapping[str, tuple[float, ...]]
    """By kind, weakest strength first."""
    never_trained_on: tuple[str, ...]
    """Kinds that no training shows."""
    certainty: Certainty
    """Over all harsh pictures."""

    @cached_property
    def by_kind(self) -> Mapping[str, float]:
        return {kind: fmean(values) for kind, values in self.accuracy.items()}

    @property
    def mean(self) -> float:
        """Over kinds and strengths."""
        return fmean(self.by_kind.values())

    @property
    def mean_never_trained_on(self) -> float:
        return fmean(self.by_kind[kind] for kind in self.never_trained_on)

    @property
    def worst(self) -> str:
        """The kind with the lowest accuracy over its strengths."""
        return min(self.by_kind, key=self.by_kind.__getitem__)
