"""The cells of a cross-validation (fold x seed), each a run's folder, and what they come to together."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

from steelsight import images, report
from steelsight.curves import charts_side_by_side
from steelsight.data import catalog, foldfile
from steelsight.data.foldfile import Assignment
from steelsight.evaluation import baselines, gallery, metrics, results
from steelsight.evaluation.comparison import Comparison, compare, shares_right
from steelsight.evaluation.provenance import provenance
from steelsight.images import ImageError
from steelsight.pictures import Thumbnail
from steelsight.records import Answer, Scores, SteelsightError
from steelsight.runtime.classifier import load

SUMMARY, FOLDS, LOG = "crossval.json", "folds.csv", "output.txt"


@dataclass(frozen=True, slots=True)
class Cell:
    """One fold with one seed, and the folder of its run."""

    fold: int
    seed: int
    folder: Path

    @property
    def name(self) -> str:
        return f"fold {self.fold}, seed {self.seed}"

    @property
    def is_done(self) -> bool:
        return (self.folder / results.ANSWERS).exists()

    @property
    def scores(self) -> dict[str, Any]:
        """The scores of a finished cell, as its run wrote them."""
        scores: dict[str, Any] = json.loads((self.folder / results.SCORES).read_text(encoding="utf-8"))["scores"]
        return scores

    @property
    def last_words(self) -> str:
        """Why a cell failed."""
        try:
            lines = (self.folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1].removeprefix("steelsight: ") if lines else "it left no word."


@dataclass(frozen=True, slots=True)
class Summary:
    """All cells together. Accuracies in 0..1, with the population deviation over the cells, as papers print it."""

    cells: tuple[dict[str, Any], ...]
    mean_accuracy: float
    deviation: float
    interval: metrics.Interval
    baselines: dict[str, tuple[float, ...]]
    errors: tuple[str, ...]
    """A line for each picture and wrong answer: what it was taken for, and in how many of its cells."""
    pooled: Scores
    failed: tuple[str, ...]
    remarks: tuple[str, ...]
    comparison: Comparison | None = None


def cell(folder: Path, fold: int, seed: int) -> Cell:
    """Where a cell lies in the folder of a cross-validation."""
    return Cell(fold, seed, folder / f"fold-{fold}-seed-{seed}")


def done(folder: Path) -> list[Cell]:
    """The finished cells in a folder. Raises SteelsightError where there is none."""
    places = ((re.fullmatch(r"fold-(\d+)-seed-(\d+)", path.name), path) for path in sorted(folder.glob("fold-*")))
    found = [Cell(int(name[1]), int(name[2]), path) for name, path in places if name]
    finished = [each for each in found if each.is_done]
    if not finished:
        raise SteelsightError(f"{folder}: has no finished cell of a cross-validation; make them by `crossval`.")
    return finished


def answers_of(cells: Sequence[Cell]) -> list[Answer]:
    """The answers of finished cells. Raises SteelsightError where a file is damaged."""
    found: list[Answer] = []
    for each in cells:
        try:
            found += results.read_answers(each.folder)
        except (OSError, ValueError, TypeError):
            raise SteelsightError(f"{each.folder / results.ANSWERS}: is damaged; delete it and run again.") from None
    return found


def check_same_folds(against: Path, folds: Path) -> None:
    """Raises SteelsightError where the cells in a folder are of other folds, or there are none."""
    done(against)
    one, other = ({(e.image, e.fold) for e in foldfile.read(file)} for file in (against / FOLDS, folds))
    if one != other:
        raise SteelsightError(
            f"{against}: has cells of other folds; give --folds {against / FOLDS} to compare with it."
        )


def sum_up(data: Path, folds: Path, cells: Sequence[Cell], against: Path | None = None) -> Summary:
    """What the finished ones of some cells come to; beside those in the folder `against`, if given.

    Raises SteelsightError where none is finished, or the other cells are of other pictures.
    """
    finished = [each for each in cells if each.is_done]
    answers = answers_of(finished)
    root = catalog.root_of(data)
    samples = catalog.read(data).samples
    assigned, remarks = foldfile.match_samples(samples, root, folds)
    group_of = foldfile.groups_of([answer.image for answer in answers], foldfile.read(folds))
    accuracies = [float(each.scores["accuracy"]) for each in finished]
    return Summary(
        cells=tuple({"fold": each.fold, "seed": each.seed, "accuracy": each.scores["accuracy"]} for each in finished),
        mean_accuracy=mean(accuracies),
        deviation=pstdev(accuracies),
        interval=metrics.accuracy_interval(
            [answer.is_right for answer in answers],
            [group_of[answer.image] for answer in answers],
            "groups" if any(entry.group for entry in assigned) else "pictures",
        ),
        baselines=_baselines([sample.path for sample in samples], assigned),
        errors=_errors(answers),
        pooled=metrics.score(sorted(answers[0].scores), answers),
        failed=tuple(f"{each.name}: {each.last_words}" for each in cells if not each.is_done),
        remarks=tuple(remarks),
        comparison=_compared(finished, done(against), group_of) if against else None,
    )


def write(out: Path, summary: Summary, cells: Sequence[Cell], data: Path, title: str, facts: Mapping[str, str]) -> None:
    """Writes crossval.json and report.html, with curves and mistakes, into `out`."""
    finished = [each for each in cells if each.is_done]
    facts = {
        **facts,
        "Cells": f"{len(finished)} of {len(cells)}, {_count(len({each.seed for each in finished}), 'seed')}",
        "Accuracy of the cells": f"{100 * summary.mean_accuracy:.2f} ± {100 * summary.deviation:.2f} %",
        "95 % interval": str(summary.interval),
        **{name: f"{100 * mean(values):.2f} %" for name, values in summary.baselines.items()},
        **({"Compared": summary.comparison.sentence} if summary.comparison else {}),
    }
    results.write_json(out / SUMMARY, {"facts": facts, **asdict(summary), "provenance": provenance()})
    report.write_scores(
        out / "report.html",
        summary.pooled,
        title=title,
        facts=facts,
        charts=charts_side_by_side({each.name: results.read_history(each.folder) for each in finished}),
        pictures=_pictures(finished, catalog.root_of(data)),
    )


def _compared(cells: Sequence[Cell], rivals: Sequence[Cell], group_of: Mapping[str, str]) -> Comparison | None:
    """On the folds that both have finished."""
    both = {each.fold for each in cells} & {each.fold for each in rivals}
    if not both:
        return None
    shares = [shares_right(answers_of([each for each in found if each.fold in both])) for found in (cells, rivals)]
    return compare(shares[0], shares[1], group_of)


def _baselines(paths: Sequence[Path], assigned: Sequence[Assignment]) -> dict[str, tuple[float, ...]]:
    greys, labels, numbers = [], [], []
    for path, entry in zip(paths, assigned, strict=True):
        with contextlib.suppress(ImageError):
            greys.append(images.decode(path))
            labels.append(entry.label)
            numbers.append(entry.fold)
    return {name: tuple(values) for name, values in baselines.accuracies(greys, labels, numbers).items()}


def _errors(answers: Sequence[Answer]) -> tuple[str, ...]:
    times = Counter(answer.image for answer in answers)
    wrong = Counter((answer.image, answer.truth, answer.predicted) for answer in answers if not answer.is_right)
    return tuple(
        f"{image}: {truth}, taken for {predicted} in {count} of {times[image]}"
        for (image, truth, predicted), count in sorted(wrong.items())
    )


def _pictures(cells: Sequence[Cell], root: Path) -> dict[str, Thumbnail]:
    """Each mistaken picture as the first cell that mistook it saw it."""
    found: dict[str, Thumbnail] = {}
    for each in cells:
        wrong = [answer.image for answer in answers_of([each]) if not answer.is_right and answer.image not in found]
        if wrong and len(found) < gallery.MOST:
            found |= gallery.thumbnails(load(each.folder), wrong, root)
    return found


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
