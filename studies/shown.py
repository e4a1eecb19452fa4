"""Where the shipped model looks, as pictures: `python studies/shown.py OUT.png DATA`.

A column for each class: the picture with the strongest regions (red the first) and boxes where the data has them
(green), and its heat below. With `drawn` for DATA the pictures are drawn steel, as on the committed page; with NEU-DET,
OUT must be in an ignored folder. Regions are of whatever class and shown whether or not the picture is called unknown:
the model has not learned drawn steel.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from steelsight.data import catalog, synthetic
from steelsight.images import decode, resize
from steelsight.records import CLEAN, GreyImage, Region
from steelsight.runtime.classifier import load

PAGES = Path(__file__).parents[1] / "docs"
DRAWN = "drawn"
SIDE, GAP, HEAD = 200, 6, 16
SEED = 3
MOST = 3
"""Regions shown of a picture."""


def pictures(data: str) -> Iterator[tuple[str, GreyImage, tuple[Region, ...]]]:
    """A picture of each class, with its boxes."""
    if data == DRAWN:
        for label in synthetic.CLASSES:
            if label not in CLEAN:
                made = synthetic.draw(label, SEED, SIDE)
                yield label, made.pixels, ()
        return
    samples = catalog.read(Path(data)).samples
    for label in sorted({sample.label for sample in samples}):
        of_class = [sample for sample in samples if sample.label == label]
        chosen = of_class[len(of_class) // 2]
        yield label, decode(chosen.path), chosen.boxes


def draw(out: Path, data: str) -> None:
    model = load()
    classifier = model.with_card(replace(model.card, thresholds={}))
    shown = list(pictures(data))
    sheet = Image.new("RGB", (len(shown) * (SIDE + GAP), 2 * (SIDE + GAP) + HEAD), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (label, grey, boxes) in enumerate(shown):
        (seen,) = classifier.predict(grey)
        assert seen.heat is not None
        picture = Image.fromarray(grey).convert("RGB")
        marker = ImageDraw.Draw(picture)
        for box in boxes:
            _outline(marker, box, "lime")
        found = seen.regions[:MOST]
        for region in found[::-1]:
            _outline(marker, region, "red" if region is found[0] else "orange")
        left = number * (SIDE + GAP)
        pen.text((left + 2, 2), label.replace("_", " "), fill="black")
        sheet.paste(picture.resize((SIDE, SIDE)), (left, HEAD))
        warmth = resize((255 * seen.heat).round().astype(np.uint8), (SIDE, SIDE))
        sheet.paste(Image.fromarray(warmth).convert("RGB"), (left, HEAD + SIDE + GAP))
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(colors=96).save(out, optimize=True)


def _outline(pen: ImageDraw.ImageDraw, region: Region, colour: str) -> None:
    corner = (region.x + region.width - 1, region.y + region.height - 1)
    pen.rectangle((region.x, region.y, *corner), outline=colour, width=2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT.png")
    parser.add_argument("data", metavar="DATA")
    asked = parser.parse_args()
    if asked.data != DRAWN and asked.out.resolve().is_relative_to(PAGES):
        parser.error(f"{asked.out}: pictures of {asked.data} do not belong in what is committed; write them elsewhere.")
    draw(asked.out, asked.data)
