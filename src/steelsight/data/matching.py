"""How pictures may lie on one another: by anchors with the same code, and by what other overlaps imply.

Anchors are matched by one sort of all their codes, so the cost grows with the number of anchors, not of pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from steelsight.data.anchors import BITS, Anchors, after, inverse

Numbers = npt.NDArray[np.int32]

NEXT = 64
"""An anchor is compared with this many that follow it under the same code, and a crop with as many that follow it in
its photograph: what thousands of pictures show, such as a speck on white, must not cost millions of comparisons."""

_CELL = 4
"""Where pixels were re-encoded, anchors move a little: shifts in the same cell of this many pixels count as one."""

_FEWER = 4
"""Where codes may differ, the first bits still have to be equal: so many fewer than it takes to number all anchors. So
each anchor is compared with a few others, however many there are."""

_DIFFERENT = 7
"""How many of the other bits may differ, at most."""

_SURE = 30
"""Twice the anchors make twice the chance matches for each, and one bit more that may differ makes four times as many.
So as many bits may differ as is half of what the number of anchors, in binary digits, lacks to this: then chance
matches stay a few for each picture, however many there are."""


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """Ways to lay one picture on another, each array of shape (ways,); the likeliest of each pair first.

    As in an Overlap, the second picture is mirrored and turned as its pose says (mirrored + 2 * turn) and laid with its
    upper left corner in column dx and row dy of the first.
    """

    first: Numbers
    second: Numbers
    pose: Numbers
    dx: Numbers
    dy: Numbers

    def __len__(self) -> int:
        return len(self.first)

    def __iter__(self) -> Iterator[tuple[int, int, int, int, int]]:
        for start in range(0, len(self.first), 10_000):
            part = slice(start, start + 10_000)
            columns = (self.first, self.second, self.pose, self.dx, self.dy)
            yield from zip(*(column[part].tolist() for column in columns), strict=True)


def by_anchors(anchors: Anchors, pictures: npt.NDArray[np.int32], sizes: Numbers, *, tolerant: bool) -> Ways:
    """Anchors of all pictures, the picture of each, and the pictures' heights and widths (pictures, 2) -> ways.

    Strictly, codes must be equal in every bit; tolerantly, a few bits may differ, the fewer the more anchors there are.
    """
    digits = len(anchors.code).bit_length()
    prefix, different = (max(1, digits - _FEWER), min(_DIFFERENT, (_SURE - digits) // 2)) if tolerant else (BITS, 0)
    found = list(_matches(anchors.code, pictures, prefix, different))
    left, right = np.concatenate(found, axis=1)
    first, second = pictures[left], pictures[right]
    pose = after(inverse(anchors.pose[left]), anchors.pose[right]).astype(np.int32)
    row, column = moved(anchors.row[right], anchors.column[right], pose, *sizes[second].T)
    return _counted(
        Ways(first, second, pose, anchors.column[left] - column, anchors.row[left] - row), _CELL if tolerant else 1
    )


def implied(known: Mapping[tuple[int, int], tuple[int, int, int]], sizes: Numbers) -> Ways:
    """Ways that follow from others: known pairs with pose, dx and dy put crops back to where they were cut from a
    photograph, and any two that meet there are a way, unless they are known."""
    links: dict[int, list[tuple[int, int, int, int]]] = {}
    for (first, second), (pose, dx, dy) in known.items():
        links.setdefault(first, []).append((second, pose, dx, dy))
        links.setdefault(second, []).append((first, *_turned_round(sizes[first], sizes[second], pose, dx, dy)))
    seen: set[int] = set()
    found = [np.zeros((5, 0), np.int32)]
    for start in links:
        if start not in seen:
            places = _places(start, links, sizes)
            seen |= places.keys()
            found.extend(_meeting(places, known, sizes))
    return Ways(*np.concatenate(found, axis=1))


def moved(
    row: npt.NDArray[Any], column: npt.NDArray[Any], pose: Numbers | int, height: Numbers | int, width: Numbers | int
) -> tuple[Numbers, Numbers]:
    """Row and column of pixels after their pictures, of the sizes given, were mirrored and turned."""
    row, column, pose = np.asarray(row, np.int32), np.asarray(column, np.int32), np.asarray(pose, np.int32)
    column = np.where(pose % 2, width - 1 - column, column)
    up, left = height - 1 - row, width - 1 - column
    return np.choose(pose // 2, [row, left, up, column]), np.choose(pose // 2, [column, row, left, up])


def _matches(
    codes: npt.NDArray[np.uint64], pictures: npt.NDArray[np.int32], prefix: int, different: int
) -> Iterator[npt.NDArray[np.intp]]:
    """Numbers (2, matches) of anchors in different pictures whose codes are equal in the first `prefix` bits and differ
    in no more than `different` others; the first picture is the lower one."""
    keys = codes >> np.uint64(64 - prefix)
    order = np.argsort(keys, kind="stable")
    keys, codes, pictures = keys[order], codes[order], pictures[order]
    starts = np.arange(len(order))
    for step in range(1, NEXT + 1):
        starts = starts[: np.searchsorted(starts, len(order) - step)]
        starts = starts[keys[starts] == keys[starts + step]]
        near = starts[pictures[starts] != pictures[starts + step]]
        near = near[_bits(codes[near] ^ codes[near + step]) <= different]
        yield np.stack([order[near], order[near + step]])


def _bits(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
    """How many bits are set in each value."""
    count: Numbers = _SET[values.view(np.uint16).reshape(-1, 4)].sum(axis=1, dtype=np.int32)
    return count


def _counted(ways: Ways, cell: int) -> Ways:
    """One way for each pair of anchors -> each way once, with the mean shift of its anchors; most frequent first."""
    keys = np.stack([ways.dx // cell, ways.dy // cell, ways.pose, ways.second, ways.first])
    if not keys.size:
        return ways
    order = np.lexsort(keys)
    keys = keys[:, order]
    starts = np.flatnonzero(np.append(True, (keys[:, 1:] != keys[:, :-1]).any(axis=0)))
    votes = np.diff(np.append(starts, keys.shape[1]))
    dx, dy = (np.rint(np.add.reduceat(shift[order], starts) / votes).astype(np.int32) for shift in (ways.dx, ways.dy))
    _, _, pose, second, first = keys[:, starts]
    ranked = np.lexsort((-votes, second, first))
    return Ways(*(column[ranked] for column in (first, second, pose, dx, dy)))


def _places(
    start: int, links: Mapping[int, list[tuple[int, int, int, int]]], sizes: Numbers
) -> dict[int, tuple[int, int, int]]:
    """Pose, x and y of every picture that links lead to, as it lies in the frame of the picture `start`."""
    places = {start: (0, 0, 0)}
    waiting = [start]
    while waiting:
        here = waiting.pop()
        turn, x, y = places[here]
        for there, pose, dx, dy in links[here]:
            if there not in places:
                height, width = _size(sizes[there], pose)
                left, top = _corner(sizes[here], turn, (dx, dy, width, height))
                places[there] = int(after(turn, pose)), x + left, y + top
                waiting.append(there)
    return places


def _meeting(
    places: Mapping[int, tuple[int, int, int]],
    known: Mapping[tuple[int, int], tuple[int, int, int]],
    sizes: Numbers,
) -> Iterator[Numbers]:
    """Ways (5, 1) of the pictures that meet in a frame and are not known to."""
    members = sorted(places)
    for at, first in enumerate(members):
        turn, x, y = places[first]
        height, width = _size(sizes[first], turn)
        for second in members[at + 1 : at + 1 + NEXT]:
            pose, left, top = places[second]
            high, wide = _size(sizes[second], pose)
            meet = x - wide < left < x + width and y - high < top < y + height
            if meet and (first, second) not in known:
                back = int(inverse(turn))
                dx, dy = _corner((height, width), back, (left - x, top - y, wide, high))
                yield np.array([[first], [second], [after(back, pose)], [dx], [dy]], np.int32)


def _turned_round(first: Sequence[int], second: Sequence[int], pose: int, dx: int, dy: int) -> tuple[int, int, int]:
    """The way to lay the first on the second, given that to lay the second on the first; sizes (height, width)."""
    back = int(inverse(pose))
    return back, *_corner(_size(second, pose), back, (-dx, -dy, first[1], first[0]))


def _corner(size: Sequence[int], pose: int, box: tuple[int, int, int, int]) -> tuple[int, int]:
    """x and y of a box (x, y, width, height) in a picture of `size` (height, width) that is mirrored and turned."""
    x, y, width, height = box
    rows, columns = moved(np.array([y, y + height - 1]), np.array([x, x + width - 1]), pose, *size)
    return int(columns.min()), int(rows.min())


def _size(size: Sequence[int], pose: int) -> tuple[int, int]:
    """(height, width) of a picture after it was mirrored and turned."""
    height, width = int(size[0]), int(size[1])
    return (width, height) if pose // 2 % 2 else (height, width)


def _set_bits() -> npt.NDArray[np.uint8]:
    values = np.arange(1 << 16, dtype=np.uint16).view(np.uint8).reshape(-1, 2)
    return np.asarray(np.unpackbits(values, axis=1).sum(axis=1), np.uint8)


_SET = _set_bits()
