"""The `inspect` command's work: photographs in, answers on screen and in a report."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from steelsight.console import make_console
from steelsight.data import catalog
from steelsight.records import Prediction
from steelsight.report import DEFAULT_PICTURES, InspectionReport
from steelsight.runtime.classifier import Classifier, load

SHOWN = 40
"""Rows of the table on screen; the report has all."""


def inspect(
    paths: Sequence[Path], model: str, folder: Path | None, *, as_json: bool, pictures: bool
) -> tuple[int, int]:
    """Inspects photographs one batch at a time and returns how many could not be read and how many could.

    Raises SteelsightError where the model cannot be loaded or the folder not written.
    """
    classifier = load(model)
    screen, errors = make_console(), Console(stderr=True, highlight=False)
    counts: Counter[str] = Counter()
    shown: list[Prediction] = []
    failed = 0
    with ExitStack() as stack:
        report = stack.enter_context(_report(folder, classifier, pictures)) if folder else None
        progress = stack.enter_context(_progress(errors))
        task = progress.add_task("", total=None, done=0)
        for prediction, grey in classifier.stream(catalog.pictures(paths)):
            if prediction.label is None:
                failed += 1
                errors.print(prediction.error, style="yellow", markup=False, soft_wrap=True)
            else:
                counts[prediction.label] += 1
            if as_json:
                sys.stdout.write(json.dumps(prediction.to_dict(), ensure_ascii=False) + "\n")
            elif prediction.label and len(shown) < SHOWN:
                shown.append(prediction)
            if report:
                report.add(prediction, grey)
            progress.update(task, done=counts.total() + failed)
    if not as_json and counts:
        _show(screen, classifier, shown, counts, failed)
    if folder:
        (errors if as_json else screen).print(f"Report: {folder / 'report.html'}", markup=False, soft_wrap=True)
    return failed, counts.total()


def _report(folder: Path, classifier: Classifier, pictures: bool) -> InspectionReport:
    card = classifier.card
    facts = {"Network": f"{card.model}, {card.size[0]}x{card.size[1]} pixels", "Training": card.protocol}
    facts = {name: value for name, value in facts.items() if value}
    kept = DEFAULT_PICTURES if pictures else 0
    return InspectionReport(folder, model=classifier.name, classes=classifier.classes, facts=facts, pictures=kept)


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.fields[done]} images"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _show(
    screen: Console, classifier: Classifier, shown: Sequence[Prediction], counts: Counter[str], failed: int
) -> None:
    total = counts.total()
    if total <= SHOWN:
        table = Table("image", "label", "confidence", "regions")
        for found in shown:
            name = Text(Path(found.image).name)
            table.add_row(name, Text(found.label or ""), f"{found.confidence:.3f}", str(len(found.regions)))
        screen.print(table)
    summary = Table("class", "images", title=Text(f"{total} images, model {classifier.name}"))
    for label, count in counts.most_common():
        summary.add_row(Text(label), str(count))
    if failed:
        summary.add_row("could not be read", str(failed))
    screen.print(summary)
