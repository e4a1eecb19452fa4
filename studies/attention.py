"""Paper 2, figure 9: where networks look, as pictures. `python studies/attention.py OUT.png DATA MODEL...`

A row for each class, a column for each model file after the picture itself; the heat is that of its class. With
`drawn` for DATA the pictures are drawn steel, as on the committed page; with NEU-CLS, OUT must be in an ignored folder.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from steelsight.data import catalog, synthetic
from steelsight.data.catalog import NEU_CLASSES
from steelsight.images import decode
from steelsight.pictures import encode_heat
from steelsight.records import GreyImage
from steelsight.runtime import regions
from steelsight.runtime.classifier import Classifier, load

SIDE, GAP, HEAD = 160, 6, 18
SEED = 3


def draw(out: Path, data: str, models: Sequence[str]) -> None:
    classifiers = [load(model) for model in models]
    columns = ["", *(f"{each.card.model}, {each.card.size[0]} pixels" for each in classifiers)]
    width, height = len(columns) * (SIDE + GAP), HEAD + len(NEU_CLASSES) * (SIDE + GAP)
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    for column, name in enumerate(columns):
        pen.text((column * (SIDE + GAP) + 2, 3), name, fill="black")
    for row, (label, grey) in enumerate(_pictures(data).items()):
        top = HEAD + row * (SIDE + GAP)
        sheet.paste(_rgb(grey), (0, top))
        for column, classifier in enumerate(classifiers, start=1):
            sheet.paste(_heated(classifier, grey, label), (column * (SIDE + GAP), top))
        pen.text((4, top + 3), label, fill="white", stroke_fill="black", stroke_width=2)
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(colors=128).save(out, optimize=True)


def _pictures(data: str) -> dict[str, GreyImage]:
    """One picture of each class."""
    if data == "drawn":
        return {label: synthetic.draw(label, SEED, 200).pixels for label in NEU_CLASSES}
    samples = {sample.label: sample for sample in reversed(catalog.read(Path(data)).samples)}
    return {label: decode(samples[label].path) for label in NEU_CLASSES}


def _rgb(grey: GreyImage) -> Image.Image:
    return Image.fromarray(grey).resize((SIDE, SIDE)).convert("RGB")


def _heated(classifier: Classifier, grey: GreyImage, label: str) -> Image.Image:
    _, class_map = classifier.logits([grey])
    heat = regions.heat_of(class_map[0], classifier.classes.index(label))
    layer = Image.open(io.BytesIO(encode_heat(heat.astype(np.float32)))).convert("RGBA")
    picture = _rgb(grey).convert("RGBA")
    picture.alpha_composite(layer.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    return picture.convert("RGB")


if __name__ == "__main__":
    draw(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
