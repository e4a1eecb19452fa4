"""What anyone can compute: nearest neighbour on grey statistics, and on local binary patterns. Needs the `train` extra.

A network that is no better than these has learned brightness or grain, not defects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import KNeighborsClassifier

from steelsight.data.foldfile import TRAINING_ONLY, UNUSED
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


BASELINES: dict[str, tuple[Callable[[GreyImage], Features], str]] = {
    "nearest neighbour on grey mean and deviation": (grey_statistics, "euclidean"),
    "nearest neighbour on local binary patterns": (binary_patterns, "manhattan"),
}


def accuracies(greys: Sequence[GreyImage], labels: Sequence[str], folds: Sequence[int]) -> dict[str, list[float]]:
    """The accuracy of each baseline on each fold, trained on all others."""
    return {
        name: by_fold(np.stack([describe(grey) for grey in greys]), labels, folds, metric)
        for name, (describe, metric) in BASELINES.items()
    }


def by_fold(features: Features, labels: Sequence[str], folds: Sequence[int], metric: str = "euclidean") -> list[float]:
    """The accuracy on each fold of the nearest neighbour among all others; features of shape (pictures, n).

    Pictures in fold TRAINING_ONLY are never tested, those in fold UNUSED nowhere seen.
    """
    truth, fold_of = np.array(labels), np.array(folds)
    found = []
    for fold in sorted(set(folds) - {TRAINING_ONLY, UNUSED}):
        test, learned = fold_of == fold, (fold_of != fold) & (fold_of != UNUSED)
        neighbour = KNeighborsClassifier(1, metric=metric).fit(features[learned], truth[learned])
        found.append(float((neighbour.predict(features[test]) == truth[test]).mean()))
    return found
