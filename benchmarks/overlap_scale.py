"""How the search for overlapping crops grows: `python benchmarks/overlap_scale.py OUT.json [IMAGES ...]`.

Draws frames of steel, cuts crops anywhere from each, mirrors and turns them, and shuffles all. Every search runs in a
process of its own, so that the memory measured is its own. What is in OUT.json already is not measured again.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from steelsight.data import synthetic
from steelsight.data.overlap import Overlap, find, groups
from steelsight.evaluation.provenance import provenance

SIZES = (1_000, 10_000, 100_000)
FRAME_SIDE = 640
CROPS = 25
"""So many of one frame."""

SIDES = (96, 160)
"""The least and the greatest width and height of a crop, pixels."""

TELLING = 30
"""Crops that share an area at least this wide and high, pixels, have to be found."""

QUALITY = 90
SUFFIXES = {"exact": ".pgm", "tolerant": ".jpg"}
ABOUT = {
    "exact": "find(tolerant=False) on the crops as they were cut, saved without loss",
    "tolerant": f"find() on the same crops, saved as JPEG of quality {QUALITY}",
    "cpu_seconds": "processor time of the search, which other programs do not lengthen as they do clock_seconds",
    "images_per_frame": str(CROPS),
    "pairs_to_find": f"share an area at least {TELLING} pixels wide and high",
    "groups_cut": "of crops that belong together by such areas, those that were not all put together",
    "groups_merged": "put together, but no shared pixels lead from one part of the crops to the other",
}


@dataclass(frozen=True, slots=True)
class Crop:
    """Where a crop lies in its frame, pixels, and how it was mirrored, left to right, and then turned."""

    x: int
    y: int
    width: int
    height: int
    mirrored: bool
    turn: int


@dataclass(frozen=True, slots=True)
class Checked:
    """What a search found, beside what there was to find."""

    pairs_to_find: int
    recall: float
    pairs_found: int
    pairs_wrong: int
    groups: int
    groups_cut: int
    groups_merged: int


@dataclass(frozen=True, slots=True)
class Measured:
    search: str
    images: int
    cpu_seconds: float
    clock_seconds: float
    cpu_seconds_per_1000_images: float
    peak_megabytes: int
    found: Checked


def crops(frame: int) -> list[Crop]:
    rng = np.random.default_rng(frame)
    cut = []
    for _ in range(CROPS):
        width, height = (int(side) for side in rng.integers(SIDES[0], SIDES[1] + 1, 2))
        x, y = int(rng.integers(FRAME_SIDE - width + 1)), int(rng.integers(FRAME_SIDE - height + 1))
        cut.append(Crop(x, y, width, height, bool(rng.integers(2)), int(rng.integers(4))))
    return cut


def draw(folder: Path, frame: int) -> None:
    """Writes the crops of a frame in both formats, unless they are there."""
    if path(folder, frame, CROPS - 1, ".jpg").exists():
        return
    steel = synthetic.draw(synthetic.CLASSES[frame % len(synthetic.CLASSES)], frame, FRAME_SIDE).pixels
    for number, crop in enumerate(crops(frame)):
        pixels = steel[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]
        picture = Image.fromarray(np.rot90(pixels[:, ::-1] if crop.mirrored else pixels, crop.turn).copy())
        picture.save(path(folder, frame, number, ".pgm"))
        picture.save(path(folder, frame, number, ".jpg"), quality=QUALITY)


def path(folder: Path, frame: int, number: int, suffix: str) -> Path:
    return folder / f"{frame:06d}_{number:02d}{suffix}"


def measure(folder: Path, search: str, images: int) -> Measured:
    """Searches the crops of the first frames; to be called in a fresh process."""
    order = np.random.default_rng(images).permutation(images)
    numbers = [(int(at) // CROPS, int(at) % CROPS) for at in order]
    paths = [path(folder, frame, number, SUFFIXES[search]) for frame, number in numbers]
    clock, cpu = time.perf_counter(), time.process_time()
    found = find(paths, tolerant=search == "tolerant")
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    per_thousand = round(1000 * cpu / images, 2)
    pairs = {(overlap.first, overlap.second) for overlap in found}
    return Measured(search, images, round(cpu, 1), round(clock, 1), per_thousand, peak, _checked(numbers, pairs))


def _checked(numbers: Sequence[tuple[int, int]], found: set[tuple[int, int]]) -> Checked:
    """`numbers` are the frame and the crop of each picture, `found` pairs of pictures."""
    count = len(numbers)
    picture = {number: at for at, number in enumerate(numbers)}
    touching: dict[tuple[int, int], int] = {}
    for frame in {frame for frame, _ in numbers}:
        for first, second, narrowest in _sharing(crops(frame)):
            if (frame, first) in picture and (frame, second) in picture:
                low, high = sorted((picture[frame, first], picture[frame, second]))
                touching[low, high] = narrowest
    telling = {pair for pair, narrowest in touching.items() if narrowest >= TELLING}
    apart, least, most = (_groups(count, pairs) for pairs in (found, telling, touching))
    return Checked(
        pairs_to_find=len(telling),
        recall=round(len(found & telling) / len(telling), 5),
        pairs_found=len(found),
        pairs_wrong=len(found - touching.keys()),
        groups=len(set(apart)),
        groups_cut=_split(least, apart),
        groups_merged=_split(apart, most),
    )


def _sharing(cut: Sequence[Crop]) -> Iterator[tuple[int, int, int]]:
    """Which crops of a frame share pixels, and the lesser of the width and height of what they share."""
    for first, ours in enumerate(cut):
        for second, theirs in enumerate(cut[:first]):
            width = min(ours.x + ours.width, theirs.x + theirs.width) - max(ours.x, theirs.x)
            height = min(ours.y + ours.height, theirs.y + theirs.height) - max(ours.y, theirs.y)
            if min(width, height) > 0:
                yield first, second, min(width, height)


def _groups(count: int, pairs: set[tuple[int, int]] | dict[tuple[int, int], int]) -> list[int]:
    return groups(count, [Overlap(*pair, 0, False, 0, 0, 0, exact=False) for pair in pairs])


def _split(inner: Sequence[int], outer: Sequence[int]) -> int:
    """How many groups of `inner` do not lie in one group of `outer`."""
    parts = sorted(set(zip(inner, outer, strict=True)))
    return len({ours for (ours, _), (theirs, _) in pairwise(parts) if ours == theirs})


def main(out: Path, sizes: Sequence[int]) -> None:
    result: dict[str, Any] = {"about": ABOUT, "measured": []}
    if out.exists():
        result = json.loads(out.read_text(encoding="utf-8"))
    done = {(each["search"], each["images"]) for each in result["measured"]}
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as place:
        for search, images in [(search, images) for images in sizes for search in SUFFIXES]:
            if (search, images) in done:
                continue
            for frame in range(-(-images // CROPS)):
                draw(Path(place), frame)
            with ProcessPoolExecutor(1, mp_context=spawn) as fresh:
                measured = fresh.submit(measure, Path(place), search, images).result()
            print(measured, flush=True)
            result["measured"].append(asdict(measured))
            result["provenance"] = provenance()
            out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(word) for word in sys.argv[2:]] or SIZES)
