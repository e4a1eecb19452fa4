"""Whole strips: the class map of a picture of any width and height, in bands, and what it shows.

A place of the class map depends on the pixels around it alone, so a band with enough of its neighbours above and below
gives the very places that the whole picture would give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from steelsight.records import CLEAN, Card, FloatArray, GreyImage, Region, Scan, SteelsightError
from steelsight.runtime import regions
from steelsight.runtime.engines import Batch

PIXELS = 4_000_000
"""Of a band, about: what bounds the memory."""
CONFIDENCE = 0.5
"""A place belongs to a region where the picture around it has a class of at least this score."""

Run = Callable[[Batch], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, slots=True)
class Band:
    """Rows of pixels from `top` to `bottom`; the first `skip` rows of their class map are the neighbour's, then
    `keep` are its own (None: all that follow)."""

    top: int
    bottom: int
    skip: int
    keep: int | None


def scan(run: Run, grey: GreyImage, card: Card, probabilities: Callable[[FloatArray], FloatArray]) -> Scan:
    """Grey levels (height, width) -> class map and regions. Raises SteelsightError for too small a picture."""
    if min(grey.shape) < min(card.size):
        raise SteelsightError(
            f"The strip has {grey.shape[1]}x{grey.shape[0]} pixels; scan takes {min(card.size)} or more."
        )
    rows = max(1, PIXELS // (grey.shape[1] * card.stride))
    class_map = map_in_bands(run, grey, card, rows)
    return Scan(class_map, find(class_map, card, grey.shape, probabilities))


def map_in_bands(run: Run, grey: GreyImage, card: Card, rows: int) -> FloatArray:
    """The class map (classes, h, w), worked out so many of its rows at a time."""
    parts = []
    for band in bands(grey.shape[0], card.stride, card.reach, rows):
        class_map = run(grey[None, None, band.top : band.bottom])[1][0]
        stop = None if band.keep is None else band.skip + band.keep
        parts.append(class_map[:, band.skip : stop])
    return np.concatenate(parts, axis=1)


def bands(height: int, stride: int, reach: int, rows: int) -> Iterator[Band]:
    """Bands of so many rows of the class map that cover `height` pixels.

    Each begins at a multiple of the stride. The last takes what is left when that is less than a neighbour reaches.
    """
    start = 0
    above = -(-reach // stride)
    while True:
        skip = min(above, start)
        bottom = (start + rows) * stride + reach
        is_last = bottom >= height
        yield Band((start - skip) * stride, height if is_last else bottom, skip, None if is_last else rows)
        if is_last:
            return
        start += rows


def find(
    class_map: FloatArray, card: Card, size: tuple[int, int], probabilities: Callable[[FloatArray], FloatArray]
) -> tuple[Region, ...]:
    """Regions of the places around which a picture of the model's own size would get the same label."""
    windows = window_means(class_map, (card.size[0] // card.stride, card.size[1] // card.stride))
    classes, height, width = windows.shape
    shares = probabilities(windows.reshape(classes, -1).T).reshape(height, width, classes)
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
        means = _running_mean(means, axis, length)
    return means.astype(np.float32)


def _running_mean(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], axis: int, length: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    count = values.shape[axis]
    sums = np.insert(values.cumsum(axis=axis), 0, 0.0, axis=axis)
    start = np.clip(np.arange(count) - length // 2, 0, max(0, count - length))
    stop = np.minimum(start + length, count)
    shape = [-1 if number == axis else 1 for number in range(values.ndim)]
    return (sums.take(stop, axis) - sums.take(start, axis)) / (stop - start).reshape(shape)  # type: ignore[no-any-return]
