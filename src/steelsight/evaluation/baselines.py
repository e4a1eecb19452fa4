"""What anyone can compute: nearest neighbour on grey statistics, and on local binary patterns. Needs the `train` extra.

A network that is no better than these has learned brightness or grain, not defects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import KNeighborsClassifier

from steelsight.records import GreyImage

Features = npt.NDArray[np.float64]


def grey_statistics(grey: GreyImage) -> Features:
    """Mean and standard deviation of the grey levels, shape (2,)."""
    return np.array([grey.mean(), grey.std()])


def binary_patterns(grey: GreyImage) -> Features:
    """Histogram of the 256 local binary patterns of 3x3 pixels (Ojala et al. 1996), shape (256,), sum 1."""
    centre = grey[1:-1, 1:-1]
    pattern = np.zeros(centre.shape, np.uint8)
    height, width = grey.shape
    places = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    for bit, (y, x) in enumerate(places):
        pattern |= (grey[y : height - 2 + y, x : width - 2 + x] >= centre).astype(np.uint8) << bit
    counts = np.bincount(pattern.ravel(), minlength=256)
    return np.asarray(counts / counts.sum())


BASELINES: dict[str, tuple[Callable[[GreyImage], Features], dict[str, Any]]] = {
    "nearest neighbour on grey mean and deviation": (grey_statistics, {"metric": "euclidean"}),
    "nearest neighbour on local binary patterns": (binary_patterns, {"metric": "manhattan"}),
}


def accuracies(greys: Sequence[GreyImage], labels: Sequence[str], folds: Sequence[int]) -> dict[str, list[float]]:
    """The accuracy of each baseline on each fold, trained on all others."""
    truth, fold_of = np.array(labels), np.array(folds)
    found: dict[str, list[float]] = {}
    for name, (describe, options) in BASELINES.items():
        features = np.stack([describe(grey) for grey in greys])
        found[name] = [_accuracy(features, truth, fold_of == fold, options) for fold in sorted(set(folds))]
    return found


def _accuracy(features: Features, truth: npt.NDArray[np.str_], test: npt.NDArray[np.bool_], options: Any) -> float:
    neighbour = KNeighborsClassifier(1, **options).fit(features[~test], truth[~test])
    return float((neighbour.predict(features[test]) == truth[test]).mean())
