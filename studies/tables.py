"""Writes the model card and the README's table from the committed results: `python studies/tables.py`.

A test holds the pages equal to what this makes, so no figure in them is typed.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean

import timm

import steelsight.models  # noqa: F401  (registers the networks)
from steelsight.data import foldfile
from steelsight.evaluation import archive, studies
from steelsight.evaluation.archive import Kept
from steelsight.models.counting import parameters

ROOT = Path(__file__).parents[1]
STUDIES = ROOT / "studies"
README, CARD = ROOT / "README.md", ROOT / "docs" / "model-cards" / "pdmsnet-neu.md"
BEGIN, END = "<!-- results: begin, made by studies/tables.py -->", "<!-- results: end -->"
PROTOCOLS = {
    "neu-cls-published": "published: random folds, test images overlap training images",
    studies.GROUPS: "**leak-free**: images that share pixels are kept together (495 groups)",
    "neu-cls-leak-free": "leak-free by the 516 groups known at first, which cut 19 overlaps",
}


def pages() -> dict[Path, str]:
    """Every generated page with its text."""
    cells = archive.load(STUDIES / "results")
    return {
        README: _between_marks(README.read_text(encoding="utf-8"), _table(cells, list(PROTOCOLS)[:2])),
        CARD: _card(cells),
    }


def _chosen(cells: Sequence[Kept], protocol: str) -> list[Kept]:
    study = replace(studies.load(STUDIES, "pdmsnet"), protocols=tuple(PROTOCOLS))
    return [cell for cell in studies.results_of(STUDIES, study, study.networks[0], protocol, cells) if cell.scores]


def _table(cells: Sequence[Kept], protocols: Sequence[str]) -> str:
    lines = [
        "| PDMSNet on NEU-CLS | folds | seeds | wrong | accuracy % | 95 % interval | nearest neighbour: grey, LBP |",
        "|---|---|---|---|---|---|---|",
    ]
    measured = json.loads((STUDIES / "results" / "baselines.json").read_text(encoding="utf-8"))["accuracies"]
    for protocol in protocols:
        words, chosen = PROTOCOLS[protocol], _chosen(cells, protocol)
        pooled = archive.pool(chosen, foldfile.read(STUDIES / "folds" / f"{protocol}.csv"), studies.group_of(STUDIES))
        folds, seeds = ({getattr(cell.key, name) for cell in chosen} for name in ("fold", "seed"))
        beside = ", ".join(f"{100 * mean(values):.1f}" for values in measured[protocol].values())
        lines.append(
            f"| {words} | {_listed(folds)} | {_listed(seeds)} | {pooled.mistakes} of {pooled.images:,} "
            f"| {_plus_minus(pooled.accuracy)} | {str(pooled.interval).partition(' %')[0]} | {beside} |"
        )
    return "\n".join(lines)


def _listed(numbers: set[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))


def _plus_minus(values: tuple[float, float]) -> str:
    return f"{100 * values[0]:.2f} ± {100 * values[1]:.2f}"


def _between_marks(text: str, table: str) -> str:
    return re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: f"{BEGIN}\n{table}\n{END}", text, flags=re.DOTALL)


ABOUT = """# Model card: pdmsnet-neu

Made by `studies/tables.py` from `studies/results/`; do not edit by hand.

* **What it is.** PDMSNet (paper 1), {printed:,} parameters as printed, {grey:,} with the grey first layer that is
  shipped; 224x224 pixels; six classes: crazing, inclusion, patches, pitted_surface, rolled-in_scale, scratches.
* **Trained on** all 1,800 images of NEU-CLS, from scratch, with the recipe that was frozen on a part of them. Nothing
  is left to test this very file on: the scores below are those of its **siblings**, trained by the same recipe on part
  of the data, each scored once on a fold whose pictures it never saw. On published folds it saw pictures that share
  pixels with most of them.
* **Recipe.** [default.yaml](../../studies/recipes/default.yaml).
* **Not for** defects beyond these classes: it knows no defect-free steel and always names one of the six.
* **Licence.** The code is Apache-2.0. The owners of NEU-CLS state no licence for their images; see NOTICE.

## Scores of the siblings

{table}

Mean and population deviation over the cells (a cell is a fold with a seed). Intervals are of the share of right
answers, by draws of whole groups of images that share pixels. Baselines are nearest neighbours on grey mean and
deviation, and on local binary patterns, on the same folds.

The recipe was chosen on a validation part outside the test folds 0 of the published and of the first leak-free folds
(docs/decisions.md, 5 and 6); pictures of the other folds, and of the 495 groups, are among those that it was chosen
on. The test part of every fold was looked at once.
"""


def _card(cells: Sequence[Kept]) -> str:
    printed, grey = (parameters(timm.create_model("pdmsnet", in_chans=channels)) for channels in (3, 1))
    chosen = {protocol: found for protocol in PROTOCOLS if (found := _chosen(cells, protocol))}
    sections = [ABOUT.format(printed=printed, grey=grey, table=_table(cells, list(chosen)))]
    return "\n".join([*sections, *(_section(protocol, found) for protocol, found in chosen.items())])


def _section(protocol: str, cells: Sequence[Kept]) -> str:
    lines = [f"## {protocol}", "", *_per_class(cells), "", *_errors(cells), "", *_cells(cells)]
    return "\n".join(lines) + "\n"


def _per_class(cells: Sequence[Kept]) -> list[str]:
    """Precision, recall and F1 of all cells together."""
    lines = ["| class | precision % | recall % | F1 % | images |", "|---|---|---|---|---|"]
    classes, pooled = archive.confusion(cells)
    for at, name in enumerate(classes):
        right, support, claimed = pooled[at][at], sum(pooled[at]), sum(row[at] for row in pooled)
        precision, recall = right / max(claimed, 1), right / max(support, 1)
        f1 = 2 * right / max(claimed + support, 1)
        lines.append(f"| {name} | {100 * precision:.2f} | {100 * recall:.2f} | {100 * f1:.2f} | {support} |")
    return lines


def _errors(cells: Sequence[Kept]) -> list[str]:
    truths = {m["image"]: m["truth"] for cell in cells if cell.scores for m in cell.scores["mistakes"]}
    times = Counter((m["image"], m["predicted"]) for cell in cells if cell.scores for m in cell.scores["mistakes"])
    lines = [
        f"* `{image}`: {truths[image]}, taken for {predicted}" + (f" by {count} seeds" if count > 1 else "")
        for (image, predicted), count in sorted(times.items())
    ]
    return ["Errors:", "", *lines] if lines else ["No errors."]


def _cells(cells: Sequence[Kept]) -> list[str]:
    lines = ["| fold | seed | wrong | images: training, validation, test | epoch | minutes | file against network |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for cell in cells:
        facts = cell.facts
        counts = re.sub(r"[a-z ]+", " ", facts["Pictures"]).replace(" ,", ",").strip()
        lines.append(
            f"| {cell.key.fold} | {cell.key.seed} | {_mistakes(cell)} | {counts} | {facts['Chosen epoch']} "
            f"| {facts['Minutes']} | {facts['File against network']} |"
        )
    sources = {_source(cell.provenance) for cell in cells}
    return [*lines, "", *(f"* {source}" for source in sorted(sources))]


def _mistakes(cell: Kept) -> int:
    return len(cell.scores["mistakes"]) if cell.scores else 0


def _source(provenance: Mapping[str, str]) -> str:
    versions = ", ".join(f"{name} {provenance[name]}" for name in ("torch", "timm", "onnxruntime"))
    command = re.sub(r"(--fold|--seed|--out) \S+", r"\1 …", provenance["command"]).removesuffix(" --resume")
    return f"`{command}`, {versions}, {provenance['processor']}, {provenance['date']}."


if __name__ == "__main__":
    for page, text in pages().items():
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
