"""Writes the model cards and the README's table from the committed results: `python studies/tables.py`.

A test holds the pages equal to what this makes, so no figure in them is typed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

import timm

import steelsight.models  # noqa: F401  (registers the networks)
from steelsight.models.counting import parameters

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "studies" / "results"
README, CARD = ROOT / "README.md", ROOT / "docs" / "model-cards" / "pdmsnet-neu.md"
BEGIN, END = "<!-- results: begin, made by studies/tables.py -->", "<!-- results: end -->"
PROTOCOLS = {
    "neu-cls-published": "published: random folds, test images overlap training images",
    "neu-cls-leak-free": "leak-free: images known to share pixels are kept together",
}


def pages() -> dict[Path, str]:
    """Every generated page with its text."""
    return {README: _between_marks(README.read_text(encoding="utf-8"), _table(_results("pdmsnet"))), CARD: _card()}


def _results(model: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted((RESULTS / model).glob("*.json"))]


def _table(results: list[dict[str, Any]]) -> str:
    lines = [
        "| PDMSNet on NEU-CLS, seed 0 | folds | test images | wrong | accuracy % | macro F1 % |",
        "|---|---|---|---|---|---|",
    ]
    for protocol, words in PROTOCOLS.items():
        chosen = [result for result in results if result["facts"]["Protocol"].startswith(f"{protocol}, ")]
        folds = ", ".join(result["facts"]["Protocol"].rsplit(" ", 1)[1] for result in chosen)
        images = sum(result["scores"]["images"] for result in chosen)
        wrong = sum(len(result["scores"]["mistakes"]) for result in chosen)
        figures = " | ".join(_mean_and_deviation(chosen, key) for key in ("accuracy", "macro_f1"))
        lines.append(f"| {words} | {folds} | {images} | {wrong} | {figures} |")
    return "\n".join(lines)


def _mean_and_deviation(results: list[dict[str, Any]], key: str) -> str:
    """Population deviation over the folds, as the papers print it."""
    values = [100 * result["scores"][key] for result in results]
    return f"{mean(values):.2f} ± {pstdev(values):.2f}" if len(values) > 1 else f"{values[0]:.2f}"


def _between_marks(text: str, table: str) -> str:
    return re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: f"{BEGIN}\n{table}\n{END}", text, flags=re.DOTALL)


ABOUT = """# Model card: pdmsnet-neu

Made by `studies/tables.py` from `studies/results/pdmsnet/`; do not edit by hand.

* **What it is.** PDMSNet (paper 1), {printed:,} parameters as printed, {grey:,} with the grey first layer that is
  shipped; 224x224 pixels; six classes: crazing, inclusion, patches, pitted_surface, rolled-in_scale, scratches.
* **Trained on** all 1,800 images of NEU-CLS, from scratch, with the recipe that was frozen on a part of them. Nothing
  is left to test this very file on: the scores below are those of its **siblings**, trained by the same recipe on part
  of the data, each scored once on a fold that it never saw.
* **Not for** defects beyond these classes: it knows no defect-free steel and always names one of the six.
* **Licence.** The code is Apache-2.0. The owners of NEU-CLS state no licence for their images; see NOTICE.

## Scores of the siblings

{table}

One seed, and the folds that the table names; the other folds and seeds, and intervals, are still to come.

The leak-free folds keep the 516 groups together that were known when they were made. The overlap search of
`steelsight data check`, finished later, finds further pairs that these folds cut, nearly all of them narrow strips
(docs/decisions.md, 16). Folds by its own groups are to follow.
"""


def _card() -> str:
    results = _results("pdmsnet")
    printed, grey = (parameters(timm.create_model("pdmsnet", in_chans=channels)) for channels in (3, 1))
    sections = [ABOUT.format(printed=printed, grey=grey, table=_table(results))]
    return "\n".join([*sections, *(_section(result) for result in results)])


def _section(result: dict[str, Any]) -> str:
    facts, scores, source = result["facts"], result["scores"], result["provenance"]
    lines = [f"## {facts['Protocol']}", ""]
    lines += ["| class | precision % | recall % | F1 % | images |", "|---|---|---|---|---|"]
    for name, entry in scores["per_class"].items():
        figures = " | ".join(f"{100 * entry[key]:.2f}" for key in ("precision", "recall", "f1"))
        lines.append(f"| {name} | {figures} | {entry['support']} |")
    lines += ["", f"{len(scores['mistakes'])} of {scores['images']} wrong.", ""]
    lines += [f"* `{each['image']}`: {each['truth']}, taken for {each['predicted']}" for each in scores["mistakes"]]
    lines += [""] if scores["mistakes"] else []
    versions = ", ".join(f"{name} {source[name]}" for name in ("torch", "timm", "onnxruntime"))
    lines += [
        f"{facts['Pictures']}; epoch {facts['Chosen epoch']}, chosen on validation; {facts['Minutes']} minutes.",
        f"{facts['File against network'].capitalize()}.",
        f"`{source['command']}`, {versions}, {source['processor']}, {source['date']}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for page, text in pages().items():
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
