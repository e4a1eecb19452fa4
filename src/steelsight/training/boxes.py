"""Where defects are, learned from boxes: for each class, what tells the inside of its boxes from the rest of a picture.

The network stays as it is. A logistic regression over the places of its early features learns in seconds from a few
dozen boxes, and becomes a 1x1 convolution in the file.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from steelsight import images
from steelsight.models.grey import GreyNetwork, fine
from steelsight.records import CLEAN, FloatArray, Region, Sample
from steelsight.runtime.regions import softened
from steelsight.training.pictures import Pictures

FEWEST = 10
"""Pictures with boxes that every class of defects needs; where one has fewer, nothing is learned from boxes."""
MOST = 400
"""Pictures of a class that are looked at; hundreds of thousands of places tell as much as all."""
STEPS = 300
BATCH = 64

Mask = npt.NDArray[np.bool_]


def learned_from_boxes(
    network: GreyNetwork, training: Sequence[Sample], classes: Sequence[str], size: int
) -> nn.Conv2d | None:
    """What tells, of the features that `models.grey.fine` gives, how surely a place is inside a defect of each class.

    In logits, to be read by `runtime.regions.inside`, which softens them as the features were here. Classes of clean
    steel have no boxes and need none. None where a class has too few, or the network no such features.
    """
    boxed = {label: [each for each in training if each.label == label and _own(each)] for label in classes}
    defects = [label for label in classes if label not in CLEAN]
    if not defects or min(len(boxed[label]) for label in defects) < FEWEST:
        return None
    example = _fine(network, boxed[defects[0]][:1], size)
    if example is None:
        return None
    head = nn.Conv2d(example.shape[1], len(classes), 1)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
        for number, label in enumerate(classes):
            if label in defects:
                weights, bias = _of_class(network, boxed[label], size)
                head.weight[number, :, 0, 0] = torch.from_numpy(weights)
                head.get_parameter("bias")[number] = bias
    return head


def inside_boxes(sample: Sample, shape: tuple[int, ...], grid: tuple[int, ...]) -> Mask:
    """Places of a grid whose middle is in a box of the picture's own class; shape: rows and columns of the picture."""
    rows, columns = ((np.arange(places) + 0.5) * side / places for places, side in zip(grid, shape, strict=True))
    found = np.zeros(grid, np.bool_)
    for box in _own(sample):
        down = (box.y <= rows) & (rows < box.y + box.height)
        along = (box.x <= columns) & (columns < box.x + box.width)
        found |= np.outer(down, along)
    return found


def _own(sample: Sample) -> list[Region]:
    return [box for box in sample.boxes if box.label == sample.label]


def _of_class(network: GreyNetwork, boxed: Sequence[Sample], size: int) -> tuple[FloatArray, float]:
    """A weight for each feature and a bias, from the places of pictures of one class."""
    chosen = [boxed[number] for number in np.unique(np.linspace(0, len(boxed) - 1, MOST).round().astype(int))]
    features = _fine(network, chosen, size)
    assert features is not None
    places = softened(features).transpose(0, 2, 3, 1).reshape(-1, features.shape[1])
    grid = features.shape[2:]
    inside = np.concatenate([inside_boxes(each, images.decode(each.path).shape, grid).ravel() for each in chosen])
    if inside.all() or not inside.any():  # boxes around whole pictures tell nothing
        return np.zeros(places.shape[1], np.float32), 0.0
    deviation = places.std(0)
    deviation[deviation == 0] = 1
    found = LogisticRegression(max_iter=STEPS).fit(places / deviation, inside)
    return (found.coef_[0] / deviation).astype(np.float32), float(found.intercept_[0])


@torch.no_grad()
def _fine(network: GreyNetwork, samples: Sequence[Sample], size: int) -> FloatArray | None:
    """The features of the pictures, (pictures, channels, h, w)."""
    network, pictures = network.eval(), Pictures(samples)
    found = []
    for start in range(0, len(samples), BATCH):
        batch = pictures.batch(range(start, min(start + BATCH, len(samples))), size)
        features = fine(network.with_levels(batch.float() / 255)[2], size)
        if features is None:
            return None
        found.append(features.numpy())
    return np.concatenate(found)
