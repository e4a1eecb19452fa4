"""Where defects are, learned from boxes: for each class, what tells the inside of its boxes from the rest of a picture.

The network stays as it is. A logistic regression over the places of its early features becomes a 1x1 convolution in the
file; for MillNet that is a matter of seconds.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from steelsight import images
from steelsight.models.grey import GreyNetwork, told_by_boxes
from steelsight.records import CLEAN, Region, Sample
from steelsight.runtime.regions import softened
from steelsight.training.levels import from_levels
from steelsight.training.pictures import evenly

FEWEST = 10
"""Pictures with boxes that every class of defects needs; where one has fewer, nothing is learned from boxes."""
MOST, VALUES = 400, 30_000_000
"""Pictures of a class, and features of all their places, that are looked at: more take memory and tell little."""
STEPS = 300

Mask = npt.NDArray[np.bool_]


def learned_from_boxes(
    network: GreyNetwork, training: Sequence[Sample], classes: Sequence[str], size: int
) -> nn.Conv2d | None:
    """What tells, of `models.grey.told_by_boxes`, how surely a place is inside a defect of each class.

    In logits, to be read by `runtime.regions.inside`, which softens them as the features were here. Classes of clean
    steel have no boxes and need none. None where a class has too few, or its boxes hold all of its pictures, or the
    network has no such features. Raises ImageError where a picture cannot be read.
    """
    boxed = {label: [each for each in training if each.label == label and _own(each)] for label in classes}
    defects = [label for label in classes if label not in CLEAN]
    if not defects or min(len(boxed[label]) for label in defects) < FEWEST:
        return None
    with torch.no_grad():
        example = told_by_boxes(network.eval().with_levels(torch.zeros(1, 1, size, size))[2], size)
    if example is None:
        return None
    weights, biases = np.zeros((len(classes), example.shape[1])), np.zeros(len(classes))
    most = max(FEWEST, min(MOST, VALUES // example.numel()))
    for number, label in enumerate(classes):
        if label in defects:
            learned = _of_class(network, boxed[label], size, most)
            if learned is None:
                return None
            weights[number], biases[number] = learned
    head = nn.Conv2d(weights.shape[1], len(classes), 1)
    head.load_state_dict({"weight": torch.tensor(weights)[..., None, None], "bias": torch.tensor(biases)})
    return head


def inside_boxes(sample: Sample, shape: tuple[int, ...], grid: tuple[int, ...]) -> Mask:
    """Places of a grid whose middle is in a box of the picture's own class; shape: rows and columns of the picture.

    A box that is too thin for that holds the places that its own middle lies in.
    """
    found = np.zeros(grid, np.bool_)
    for box in _own(sample):
        down = _along(box.y, box.height, shape[0], grid[0])
        found |= np.outer(down, _along(box.x, box.width, shape[1], grid[1]))
    return found


def _along(start: int, length: int, side: int, places: int) -> Mask:
    """Along one side, which places are in a box."""
    middles = (np.arange(places) + 0.5) * side / places
    held = (start <= middles) & (middles < start + length)
    return held if held.any() else np.arange(places) == int((start + length / 2) * places / side)


def _own(sample: Sample) -> list[Region]:
    return [box for box in sample.boxes if box.label == sample.label]


def _of_class(
    network: GreyNetwork, boxed: Sequence[Sample], size: int, most: int
) -> tuple[npt.NDArray[np.float64], float] | None:
    """A weight for each feature and a bias, from the places of at most so many pictures of one class."""

    def take(levels: list[Tensor]) -> Tensor:
        features = told_by_boxes(levels, size)
        assert features is not None
        return features

    chosen = evenly(boxed, most)
    features = from_levels(network, chosen, size, take).numpy()
    places = softened(features).transpose(0, 2, 3, 1).reshape(-1, features.shape[1])
    grid = features.shape[2:]
    inside = np.concatenate([inside_boxes(each, images.decode(each.path).shape, grid).ravel() for each in chosen])
    if inside.all() or not inside.any():
        return None
    deviation = places.std(0)
    deviation[deviation == 0] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # many features take more steps, which tell little
        found = LogisticRegression(max_iter=STEPS).fit(places / deviation, inside)
    return found.coef_[0] / deviation, float(found.intercept_[0])
