"""NEU-DET's boxes of the pictures of NEU-CLS, which are the same pictures under other names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from steelsight.data import catalog
from steelsight.records import Region, Sample

PREFIXES = {
    "Cr": "crazing",
    "In": "inclusion",
    "Pa": "patches",
    "PS": "pitted_surface",
    "RS": "rolled-in_scale",
    "Sc": "scratches",
}


def boxes_of(folder: Path) -> dict[str, tuple[Region, ...]]:
    """NEU-DET's boxes by NEU-CLS's names."""
    of_class = {label: prefix for prefix, label in PREFIXES.items()}
    found = {}
    for sample in catalog.read(folder).samples:
        label, _, number = sample.path.stem.rpartition("_")
        found[f"{of_class[label]}_{number}"] = sample.boxes
    return found


def with_boxes(samples: Sequence[Sample], data: Path) -> tuple[Sample, ...]:
    """The pictures of NEU-CLS with the boxes that NEU-DET, beside its folder, has of them."""
    boxes = boxes_of(data.parent / "neu-det")
    return tuple(replace(sample, boxes=boxes[sample.path.stem]) for sample in samples)
