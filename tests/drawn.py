"""Small drawn steel and a quick recipe, for tests that train."""

from pathlib import Path

from steelsight.data import synthetic
from steelsight.records import Sample
from steelsight.training.recipe import Recipe, Stage

CLASSES = ("clean", "patches", "scratches")


def draw(folder: Path, per_class: int = 6, size: int = 64) -> list[Sample]:
    return synthetic.write(folder, per_class, size=size, classes=CLASSES)


def quick(**changes: object) -> Recipe:
    """Two epochs of MillNet on 32 pixels: a second or two."""
    values = {"model": "millnet", "stages": (Stage(2, 32),), "batch_size": 4, "precision": "32-true", **changes}
    return Recipe(**values)  # type: ignore[arg-type]
