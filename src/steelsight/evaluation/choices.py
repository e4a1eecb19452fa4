"""The page on what was chosen among what: studies on parts that no test sees, made from the committed results alone.

Words come from FOLDER/choices.md, where `{{ studies }}` stands for the tables.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from steelsight.evaluation import archive, pages, studies
from steelsight.evaluation.archive import Kept
from steelsight.evaluation.studies import Network, Study

PAGE = "choices"


def write(folder: Path, out: Path) -> Path:
    """Writes OUT/choices.md. Raises SteelsightError for damaged results."""
    return pages.write(out / f"{PAGE}.md", make(folder))


def make(folder: Path) -> str:
    """The page's text. Raises SteelsightError for damaged results."""
    kept = archive.load(folder / "results")
    listed = [study for study in studies.load_all(folder) if study.page == PAGE]
    return pages.around(folder / f"{PAGE}.md", [_section(folder, study, kept) for study in listed])


def _section(folder: Path, study: Study, kept: Sequence[Kept]) -> str:
    rows = [
        _row(network, studies.results_of(folder, study, network, protocol, kept), folder / "results")
        for network in study.networks
        for protocol in study.protocols
    ]
    heads = ["candidate", "folds", "wrong", "right, %", "log-loss", "harsh, right, %"]
    lines = [f"## {study.title}", "", *([study.about, ""] if study.about else [])]
    lines += [
        f"Recipe [{study.recipe}](../studies/recipes/{study.recipe}.yaml); `steelsight study run {study.name}`.",
        "",
    ]
    return "\n".join([*lines, pages.row(heads), pages.row(["---"] * len(heads)), *rows, ""])


def _row(network: Network, cells: Sequence[Kept], results: Path) -> str:
    scores = [cell.scores for cell in cells if cell.scores]
    failures = [" ".join(cell.problems) for cell in cells if not cell.scores]
    if not scores:
        return pages.row([f"`{network.name}`", f"failed: {failures[0]}" if failures else "not run", "", "", "", ""])
    wrong, images = sum(len(each["mistakes"]) for each in scores), sum(each["images"] for each in scores)
    losses = [each["certainty"]["log_loss"] for each in scores if each.get("certainty")]
    folds = ", ".join(map(str, sorted({cell.key.fold for cell in cells if cell.scores})))
    right, loss = f"{100 * (1 - wrong / images):.2f}", f"{mean(losses):.4f}" if losses else ""
    return pages.row([f"`{network.name}`", folds, f"{wrong} of {images}", right, loss, _harsh(cells, results)])


def _harsh(cells: Sequence[Kept], results: Path) -> str:
    """The mean over the harsh suite, of the cells that were put to it (`studies/harsh.py`)."""
    found = {}
    for cell in cells:
        path = (results / cell.key.path).with_suffix(".harsh.json")
        if path.exists():
            found[cell.key.fold] = json.loads(path.read_text(encoding="utf-8"))["harsh"]["mean"]
    folds = ", ".join(map(str, sorted(found)))
    return f"{100 * mean(found.values()):.2f} (fold {folds})" if found else ""
