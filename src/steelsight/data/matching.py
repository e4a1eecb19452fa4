"""Which pictures may share pixels, and how one would lie on the other: anchors with the same code, counted.

Matches come out of one sort of all codes, so the cost grows with the number of anchors, not of pairs of pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from steelsight.data.anchors import BITS, Anchors, after, inverse

Numbers = npt.NDArray[np.int64]
Sizes = npt.NDArray[np.int64]

NEXT = 64
"""An anchor is compared with this many that follow it under the same code, so that a mark which thousands of pictures
bear, such as a speck on white, does not cost millions of comparisons. Crops that share it are still chained."""

CELL = 4
"""Shifts this close count as the same one where pixels differ a little, pixels."""

DIFFERENT = 7
"""How many of the finer bits may differ where pixels differ a little."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Ways to lay one picture on another, each array of shape (candidates,); the best of each pair first."""

    first: Numbers
    second: Numbers
    pose: Numbers
    """What is done to the second picture before it is laid on the first: mirrored + 2 * turn."""
    dx: Numbers
    dy: Numbers
    votes: Numbers
    """How many pairs of anchors agree."""


def candidates(
    anchors: Anchors, pictures: npt.NDArray[np.int32], sizes: Sequence[tuple[int, int]], *, tolerant: bool
) -> Candidates:
    """Anchors of all pictures, the picture of each, and (height, width) of each picture -> what is worth looking at.

    Strictly, codes must be equal in every bit; tolerantly, in as many of the coarse ones as keep chance matches rare,
    and nearly so in the others.
    """
    prefix = min(BITS, len(anchors.code).bit_length() + 2) if tolerant else BITS
    found = list(_matches(anchors.code, pictures, prefix))
    left, right = np.concatenate(found, axis=1) if found else np.zeros((2, 0), np.int64)
    pose = after(inverse(anchors.pose[left]), anchors.pose[right]).astype(np.int64)
    row, column = _moved(anchors, right, pose, np.asarray(sizes)[pictures[right]])
    dx, dy = anchors.column[left] - column, anchors.row[left] - row
    return _counted(
        pictures[left].astype(np.int64), pictures[right].astype(np.int64), pose, dx, dy, CELL if tolerant else 1
    )


def _matches(codes: npt.NDArray[np.uint64], pictures: npt.NDArray[np.int32], prefix: int) -> Iterator[Numbers]:
    """Numbers (2, matches) of anchors in different pictures whose codes agree; the first picture is the lower one."""
    order = np.argsort(codes >> np.uint64(64 - prefix), kind="stable")
    codes, pictures = codes[order], pictures[order]
    keys = codes >> np.uint64(64 - prefix)
    starts = np.arange(len(order))
    for step in range(1, NEXT + 1):
        starts = starts[: np.searchsorted(starts, len(order) - step)]
        starts = starts[keys[starts] == keys[starts + step]]
        if not len(starts):
            return
        near = starts[pictures[starts] != pictures[starts + step]]
        near = near[_bits(codes[near] ^ codes[near + step]) <= DIFFERENT]
        yield np.stack([order[near], order[near + step]])


def _bits(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
    """How many bits are set in each value."""
    return _SET[values.view(np.uint16).reshape(-1, 4)].sum(axis=1)


def _moved(anchors: Anchors, chosen: Numbers, pose: Numbers, sizes: Sizes) -> tuple[Numbers, Numbers]:
    """Row and column of anchors after their pictures, of `sizes` (anchors, 2), were mirrored and turned."""
    row, column = anchors.row[chosen].astype(np.int64), anchors.column[chosen].astype(np.int64)
    height, width = sizes[:, 0], sizes[:, 1]
    column = np.where(pose % 2, width - 1 - column, column)
    turns = (pose // 2)[None] == np.arange(4)[:, None]
    return (
        np.select(list(turns), [row, width - 1 - column, height - 1 - row, column]),
        np.select(list(turns), [column, row, width - 1 - column, height - 1 - row]),
    )


def _counted(first: Numbers, second: Numbers, pose: Numbers, dx: Numbers, dy: Numbers, cell: int) -> Candidates:
    """Matches -> one candidate for each way of laying, with the mean shift of its matches."""
    keys = np.stack([dx // cell, dy // cell, pose, second, first])
    order = np.lexsort(keys)
    keys, dx, dy = keys[:, order], dx[order], dy[order]
    starts = np.flatnonzero(np.append(True, (keys[:, 1:] != keys[:, :-1]).any(axis=0)))[: keys.shape[1]]
    votes = np.diff(np.append(starts, keys.shape[1]))
    _, _, pose, second, first = keys[:, starts]
    mean = [np.rint(np.add.reduceat(shift, starts) / votes).astype(np.int64) for shift in (dx, dy)] if len(starts) else [dx, dy]
    ranked = np.lexsort((-votes, second, first))
    return Candidates(*(values[ranked] for values in (first, second, pose, *mean, votes)))


def _set_bits() -> npt.NDArray[np.uint8]:
    values = np.arange(1 << 16, dtype=np.uint16).view(np.uint8).reshape(-1, 2)
    return np.unpackbits(values, axis=1).sum(axis=1).astype(np.uint8)


_SET = _set_bits()
