"""The harsh suite as pictures: `python studies/kinds.py OUT.png DATA [STRENGTH]`.

A row for each of two pictures and a cell for each kind. With `drawn` for DATA the pictures are drawn steel, as on the
committed page; with NEU-CLS, OUT must be in an ignored folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw

from steelsight.data import catalog, synthetic
from steelsight.evaluation.harsh import NEVER_TRAINED_ON, STRENGTHS, corrupt
from steelsight.images import decode
from steelsight.records import GreyImage

SIDE, GAP, HEAD, ACROSS = 128, 6, 16, 6
SHOWN = "scratches"
SEED = 3


def draw(out: Path, data: str, strength: int) -> None:
    name, grey = _picture(data)
    kinds = list(STRENGTHS)
    rows = -(-len(kinds) // ACROSS)
    sheet = Image.new("RGB", (ACROSS * (SIDE + GAP), rows * (SIDE + GAP + HEAD)), "white")
    pen = ImageDraw.Draw(sheet)
    for number, kind in enumerate(kinds):
        left, top = number % ACROSS * (SIDE + GAP), number // ACROSS * (SIDE + GAP + HEAD)
        star = " *" if kind in NEVER_TRAINED_ON else ""
        pen.text((left + 2, top + 2), kind.replace("_", " ") + star, fill="black")
        changed = Image.fromarray(corrupt(grey, kind, strength, name)).resize((SIDE, SIDE))
        sheet.paste(changed.convert("RGB"), (left, top + HEAD))
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.convert("L").quantize(colors=64).save(out, optimize=True)


def _picture(data: str) -> tuple[str, GreyImage]:
    if data == "drawn":
        return f"{SHOWN}_{SEED}.png", synthetic.draw(SHOWN, SEED, 200).pixels
    path = next(sample.path for sample in catalog.read(Path(data)).samples if sample.label == SHOWN)
    return path.name, decode(path)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 4)
