"""What NEU-DET's annotators saw in pictures that models got wrong: `python studies/boxed.py [--data DATA]`.

For every picture that a sibling of a shipped model took for another class: the classes of its boxes. Where the class it
was taken for is among them, it shows both. Writes results/boxed.json, which the model cards read.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import tables
from neu_det import boxes_of

from steelsight.evaluation import archive
from steelsight.evaluation.provenance import provenance
from steelsight.evaluation.results import write_json

STUDIES = Path(__file__).parent


def run(data: Path) -> None:
    boxes, cells = boxes_of(data.parent / "neu-det"), archive.load(STUDIES / "results")
    chosen = [
        tables.chosen(study, protocol, cells) for study in tables.SHIPPED.values() for protocol in tables.PROTOCOLS
    ]
    wrong = {mistake["image"] for part in chosen for cell in part if cell.scores for mistake in cell.scores["mistakes"]}
    found = {image: sorted({box.label for box in boxes[Path(image).stem]}) for image in sorted(wrong)}
    write_json(STUDIES / "results" / "boxed.json", {"boxes": found, "provenance": provenance()})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("STEELSIGHT_DATA", ".")) / "neu-cls")
    run(parser.parse_args().data)
