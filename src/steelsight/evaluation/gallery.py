"""Pictures of what went wrong, with the heat map of the class that they were taken for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from steelsight.pictures import Thumbnail, thumbnail
from steelsight.runtime.classifier import Classifier

MOST = 300
"""More pictures make a page that cannot be mailed; the table beside them is complete."""


def thumbnails(classifier: Classifier, names: Sequence[str], root: Path) -> dict[str, Thumbnail]:
    """Paths below `root` -> their pictures as the classifier saw them; of the first MOST that can be read."""
    chosen = list(dict.fromkeys(names))[:MOST]
    seen = zip(chosen, classifier.stream([root / name for name in chosen]), strict=True)
    return {name: thumbnail(grey, prediction.heat) for name, (prediction, grey) in seen if grey is not None}
