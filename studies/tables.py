"""Writes the model cards and the README's table from the committed results: `python studies/tables.py`.

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
README, CARDS = ROOT / "README.md", ROOT / "docs" / "model-cards"
BEGIN, END = "<!-- results: begin, made by studies/tables.py -->", "<!-- results: end -->"
PROTOCOLS = {
    "neu-cls-published": "published: random folds, test images overlap training images",
    studies.GROUPS: "**leak-free**: images that share pixels are kept together (495 groups)",
    "neu-cls-leak-free": "leak-free by the 516 groups known at first, which cut 19 overlaps",
}
SHIPPED = {
    "millnet-neu": "millnet_second_look",
    "millnet-line-neu": "millnet_line_second_look",
    "pdmsnet-neu": "pdmsnet",
}
"""Shipped models, and the studies of their siblings."""


def pages() -> dict[Path, str]:
    """Every generated page with its text."""
    cells = archive.load(STUDIES / "results")
    shown = [(study, protocol) for study in SHIPPED.values() for protocol in list(PROTOCOLS)[:2]]
    table = _table([row for row in shown if chosen(*row, cells)], cells)
    return {
        README: _between_marks(README.read_text(encoding="utf-8"), table),
        **{CARDS / f"{name}.md": _card(name, study, cells) for name, study in SHIPPED.items()},
    }


def chosen(name: str, protocol: str, cells: Sequence[Kept]) -> list[Kept]:
    """The cells of a study's first network that have scores."""
    study = replace(studies.load(STUDIES, name), protocols=tuple(PROTOCOLS))
    return [cell for cell in studies.results_of(STUDIES, study, study.networks[0], protocol, cells) if cell.scores]


def _table(rows: Sequence[tuple[str, str]], cells: Sequence[Kept]) -> str:
    """A line for each study and protocol."""
    lines = [
        "| on NEU-CLS | folds | seeds | wrong | accuracy % | 95 % interval | nearest neighbour: grey, LBP |",
        "|---|---|---|---|---|---|---|",
    ]
    measured = json.loads((STUDIES / "results" / "baselines.json").read_text(encoding="utf-8"))["accuracies"]
    for study, protocol in rows:
        words, found = f"`{study}`, {PROTOCOLS[protocol]}", chosen(study, protocol, cells)
        pooled = archive.pool(found, foldfile.read(STUDIES / "folds" / f"{protocol}.csv"), studies.group_of(STUDIES))
        folds, seeds = ({getattr(cell.key, name) for cell in found} for name in ("fold", "seed"))
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


def _card(name: str, study: str, cells: Sequence[Kept]) -> str:
    first = studies.load(STUDIES, study).networks[0]
    made = (timm.create_model(first.model, in_chans=channels, **first.options) for channels in (3, 1))
    printed, grey = map(parameters, made)
    parts = {protocol: found for protocol in PROTOCOLS if (found := chosen(study, protocol, cells))}
    words = (STUDIES / "cards" / f"{name}.md").read_text(encoding="utf-8")
    about = words.format(printed=printed, grey=grey, table=_table([(study, protocol) for protocol in parts], cells))
    return "\n".join([about, *(_section(protocol, found) for protocol, found in parts.items())])


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
    boxes = json.loads((STUDIES / "results" / "boxed.json").read_text(encoding="utf-8"))["boxes"]
    lines = [
        f"* `{image}`: {truths[image]}, taken for {predicted}"
        + (f" by {count} seeds" if count > 1 else "")
        + ("; shows both, by NEU-DET's boxes" if predicted in boxes.get(image, ()) else "")
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
    where = provenance.get("gpu", provenance["processor"])
    return f"`{command}`, {versions}, {where}, {provenance['date']}."


if __name__ == "__main__":
    for page, text in pages().items():
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
