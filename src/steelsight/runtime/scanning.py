"""Whole strips: the class map of a picture of any width and height, in pieces, and what it shows.

A place of the class map depends on the pixels around it alone, so a piece with enough of its neighbours gives the very
places that the whole picture would give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steelsight.records import CLEAN, Card, FloatArray, GreyImage, Region, Scan, SteelsightError
from steelsight.runtime import regions
from steelsight.runtime.confidence import MAP_TEMPERATURE, shares_of_many
from steelsight.runtime.engines import Batch, Output

SIDE = 2000
"""Pixels of a piece, each way, about: what bounds the memory."""
CONFIDENCE = 0.5
"""A place belongs to a region where the picture around it has a class of at least this score."""

Run = Callable[[Batch], Output]


@dataclass(frozen=True, slots=True)
class Band:
    """Pixels from `start` to `stop` along one axis; the first `skip` places of their class map are a neighbour's, then
    `keep` are its own (None: all that follow)."""

    start: int
    stop: int
    skip: int
    keep: int | None

    @property
    def own(self) -> slice:
        return slice(self.skip, None if self.keep is None else self.skip + self.keep)


def scan(run: Run, grey: GreyImage, card: Card) -> Scan:
    """Grey levels (height, width) -> class map and regions. Raises SteelsightError for too small a picture."""
    if any(side < least for side, least in zip(grey.shape, card.size, strict=True)):
        raise SteelsightError(
            f"The strip has {grey.shape[1]}x{grey.shape[0]} pixels; scan takes {card.size[1]}x{card.size[0]} or more."
        )
    places = max(1, (SIDE - 2 * card.reach) // card.stride)
    class_map = map_in_pieces(run, grey, card, places)
    return Scan(class_map, find(class_map, card, grey.shape))


def map_in_pieces(run: Run, grey: GreyImage, card: Card, places: int) -> FloatArray:
    """The class map (classes, h, w), worked out in squares of so many places a side.

    Raises SteelsightError where the graph does not give what the card promises.
    """

    def piece(rows: Band, columns: Band) -> FloatArray:
        pixels = grey[None, None, rows.start : rows.stop, columns.start : columns.stop]
        found = np.asarray(run(np.ascontiguousarray(pixels)).class_maps[0][:, rows.own, columns.own])
        kept = zip(found.shape[1:], (rows.keep, columns.keep), strict=True)
        if any(keep is not None and count != keep for count, keep in kept):
            raise SteelsightError("The graph's class map does not fit the model's card; export the model again.")
        return found

    across = list(bands(grey.shape[1], card.stride, card.reach, places))
    return np.concatenate(
        [
            np.concatenate([piece(rows, columns) for columns in across], axis=2)
            for rows in bands(grey.shape[0], card.stride, card.reach, places)
        ],
        axis=1,
    )


def bands(length: int, stride: int, reach: int, places: int) -> Iterator[Band]:
    """Bands of so many places of the class map that cover `length` pixels.

    Each begins at a multiple of the stride. The last takes what is left when that is less than a neighbour reaches.
    """
    first, before = 0, -(-reach // stride)
    while True:
        skip = min(before, first)
        stop = (first + places) * stride + reach
        is_last = stop >= length
        yield Band((first - skip) * stride, length if is_last else stop, skip, None if is_last else places)
        if is_last:
            return
        first += places


def find(class_map: FloatArray, card: Card, size: tuple[int, int]) -> tuple[Region, ...]:
    """Regions of the places around which a picture of the model's own size would get the same label."""
    windows = window_means(class_map, (card.size[0] // card.stride, card.size[1] // card.stride))
    classes, height, width = windows.shape
    temperature = card.thresholds.get(MAP_TEMPERATURE, card.temperature)
    shares = shares_of_many(windows.reshape(classes, -1).T, temperature).reshape(height, width, classes)
    best, confidence = shares.argmax(axis=2), shares.max(axis=2)
    found = [
        regions.frame(places, (height, width), size, label, float(confidence[places].mean()))
        for number, label in enumerate(card.classes)
        if label not in CLEAN
        for places in regions.components((best == number) & (confidence >= CONFIDENCE))
    ]
    return tuple(sorted(found, key=lambda region: -region.score))


def window_means(class_map: FloatArray, window: tuple[int, int]) -> FloatArray:
    """The mean over a window around each place, cut off at the edges: (classes, h, w) -> the same shape."""
    means = class_map.astype(np.float64)
    for axis, length in zip((1, 2), window, strict=True):
        means = _running_mean(means, axis, max(1, length))
    return means.astype(np.float32)


def _running_mean(values: npt.NDArray[np.float64], axis: int, length: int) -> npt.NDArray[np.float64]:
    count = values.shape[axis]
    sums = np.insert(values.cumsum(axis=axis), 0, 0.0, axis=axis)
    start = np.clip(np.arange(count) - length // 2, 0, max(0, count - length))
    stop = np.minimum(start + length, count)
    shape = [-1 if number == axis else 1 for number in range(values.ndim)]
    return np.asarray((sums.take(stop, axis) - sums.take(start, axis)) / (stop - start).reshape(shape))
