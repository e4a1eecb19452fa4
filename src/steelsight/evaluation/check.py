"""What is wrong with a labelled folder, in words that a quality engineer understands. Needs the `train` extra."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean

import numpy as np

from steelsight import images, report
from steelsight.data import catalog, overlap, splits
from steelsight.data.naming import Named, names_of
from steelsight.evaluation import baselines, results
from steelsight.evaluation.cells import answers_of, done
from steelsight.evaluation.exhibits import Readable, laid, largest, pairs, singles
from steelsight.evaluation.labels import Suspect, suspects
from steelsight.evaluation.provenance import provenance
from steelsight.images import ImageError
from steelsight.records import Answer, Finding, Sample, SteelsightError

FEW = 20
"""Pictures of a class under which results mean little."""
UNEVEN = 10
"""Times that the largest class may be larger than the smallest before it is said."""
FOLDS = 5
SHOWN = 200
USEFUL = 2 / 3
"""The accuracy from which on models may doubt labels."""

OVERLAP, TWO_LABELS, LABELS = "Overlap", "The same pixels under two labels", "Likely label errors"


def check(
    data: Path, out: Path, cells: Path | None = None, on_progress: overlap.Progress = lambda *_: None
) -> list[Finding]:
    """Looks a folder over and writes `check.json` and `report.html` into `out`.

    cells: the folder of a cross-validation on the same data, whose answers tell likely label errors. Raises
    SteelsightError.
    """
    labelled = catalog.read(data)
    root = catalog.root_of(data)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SteelsightError(f"{out}: cannot be written ({error.strerror}); give another --out.") from None
    readable, unreadable = _read(labelled.samples, root)
    if not readable.samples:
        raise SteelsightError(f"{data}: has no picture that can be read; {unreadable[0]}")
    found = overlap.find(readable.greys, on_progress=on_progress)
    groups = [str(number) for number in overlap.groups(len(readable.greys), found)]
    findings = [
        _problems([*labelled.problems, *unreadable]),
        _classes(readable.labels),
        _duplicates(readable),
        _overlaps(readable, found, groups),
        _two_labels(readable, found),
        _shortcuts(readable, groups),
    ]
    answers = _answers(cells, readable) if cells else []
    doubted = suspects(answers) if _share_right(answers) >= USEFUL else []
    if cells:
        findings.append(_labels(doubted, answers))
    exhibits = {
        OVERLAP: pairs(readable, found),
        TWO_LABELS: pairs(readable, _under_two_labels(readable, found)),
        LABELS: singles(readable, doubted),
    }
    facts = {"Pictures": f"{len(readable.samples):,}", "Classes": str(len(set(readable.labels)))}
    result = {"facts": facts, "findings": [asdict(each) for each in findings], "provenance": provenance()}
    results.write_json(out / "check.json", result)
    report.write_findings(
        out / "report.html",
        findings,
        title=f"Check of {root.name}",
        facts=facts,
        exhibits=exhibits,
    )
    return findings


def _read(samples: Sequence[Sample], root: Path) -> tuple[Readable, list[str]]:
    kept, problems = [], []
    for sample in samples:
        try:
            kept.append((sample, images.decode(sample.path)))
        except ImageError as error:
            problems.append(str(error))
    names = names_of([sample.path for sample, _ in kept], root)
    return Readable(tuple(sample for sample, _ in kept), tuple(grey for _, grey in kept), tuple(names)), problems


def _answers(cells: Path, readable: Readable) -> list[Answer]:
    """What the models say, beside the labels that the pictures have today."""
    label_of = Named(zip(readable.names, readable.labels, strict=True))
    answers = [replace(a, truth=label) for a in answers_of(done(cells)) if (label := label_of.get(a.image))]
    if not answers:
        raise SteelsightError(f"{cells}: is a cross-validation of other pictures; give the one of this folder.")
    return answers


def _share_right(answers: Sequence[Answer]) -> float:
    return mean(answer.is_right for answer in answers) if answers else 0.0


def _under_two_labels(readable: Readable, found: Sequence[overlap.Overlap]) -> list[overlap.Overlap]:
    labels = readable.labels
    return [each for each in found if labels[each.first] != labels[each.second]]


def _problems(sentences: Sequence[str]) -> Finding:
    words = f"{len(sentences)} files or rows were left out." if sentences else "Every file could be read."
    return Finding("Left out", words, bool(sentences), ("What",), tuple((each,) for each in sentences[:SHOWN]))


def _classes(labels: Sequence[str]) -> Finding:
    counts = Counter(labels).most_common()
    few = [label for label, count in counts if count < FEW]
    largest, smallest = counts[0], counts[-1]
    words = f"{len(counts)} classes, from {smallest[1]:,} to {largest[1]:,} pictures each."
    if few:
        words += f" Fewer than {FEW} pictures say little about {', '.join(few)}: add some."
    if largest[1] > UNEVEN * smallest[1]:
        words += (
            f" {largest[0]} has more than {UNEVEN} times as many as {smallest[0]}; training only partly evens that."
        )
    is_wrong = bool(few) or largest[1] > UNEVEN * smallest[1] or len(counts) < 2
    if len(counts) < 2:
        words += " A classifier needs two or more classes."
    return Finding("Classes", words, is_wrong, ("Class", "Pictures"), tuple((label, f"{n:,}") for label, n in counts))


def _duplicates(readable: Readable) -> Finding:
    alike = defaultdict(list)
    for name, grey in zip(readable.names, readable.greys, strict=True):
        alike[images.fingerprint(grey)].append(name)
    rows = tuple((", ".join(names),) for names in alike.values() if len(names) > 1)
    words = "No picture is there twice."
    if rows:
        words = f"Pictures that are there more than once, pixel for pixel: {len(rows)}. Keep one of each."
    return Finding("Duplicates", words, bool(rows), ("The same pixels",), rows[:SHOWN])


def _overlaps(readable: Readable, found: Sequence[overlap.Overlap], groups: Sequence[str]) -> Finding:
    sizes = Counter(groups)
    shared = sum(sizes[group] > 1 for group in groups)
    words = "No two pictures share pixels, so a random split is as good as any."
    if found:
        words = (
            f"{shared:,} of {len(groups):,} pictures share pixels with another one, in {len(found):,} pairs, so there "
            f"are {len(sizes):,} groups. A random split tests on pixels that it trained on: use the leak-free protocol."
        )
    rows = tuple(
        (readable.names[each.first], readable.names[each.second], f"{each.area:,}", laid(each))
        for each in largest(found)[:SHOWN]
    )
    return Finding(OVERLAP, words, bool(found), ("Picture", "shares with", "Pixels", "Second one laid"), rows)


def _two_labels(readable: Readable, found: Sequence[overlap.Overlap]) -> Finding:
    labels, names = readable.labels, readable.names
    rows = tuple(
        (names[each.first], labels[each.first], names[each.second], labels[each.second], f"{each.area:,}")
        for each in _under_two_labels(readable, found)
    )
    words = "No pixels stand under two labels."
    if rows:
        words = (
            f"{len(rows)} pairs show the same pixels under two labels: look whether both defects are there, "
            "or one label is wrong."
        )
    columns = ("Picture", "Label", "Picture", "Label", "Pixels shared")
    return Finding(TWO_LABELS, words, bool(rows), columns, rows[:SHOWN])


def _labels(doubted: Sequence[Suspect], answers: Sequence[Answer]) -> Finding:
    count = len({answer.image for answer in answers})
    if _share_right(answers) < USEFUL:
        words = (
            f"The models of the cross-validation are right on {100 * _share_right(answers):.0f} % of the pictures, too "
            "few to doubt a label; train them for longer."
        )
        return Finding(LABELS, words, False, (), ())
    words = f"Models that had not seen them agree with the labels of all {count:,} pictures."
    if doubted:
        words = (
            f"Models that had not seen them take {len(doubted)} of {count:,} pictures for another class, as surely as "
            "they know that class's own pictures: look whether the label is right."
        )
    rows = tuple(
        (
            each.image,
            each.label,
            each.likelier,
            f"{100 * each.score_of_label:.1f}",
            f"{100 * each.score_of_likelier:.1f}",
        )
        for each in doubted[:SHOWN]
    )
    columns = ("Picture", "Label", "Looks like", "Score of the label, %", "of the other, %")
    return Finding(LABELS, words, bool(doubted), columns, rows)


def _shortcuts(readable: Readable, groups: Sequence[str]) -> Finding:
    """What is reached without looking at defects: above all file size and brightness should say little."""
    describe: dict[str, Callable[[int], np.ndarray[tuple[int], np.dtype[np.float64]]]] = {
        "grey mean and deviation": lambda n: baselines.grey_statistics(readable.greys[n]),
        "local binary patterns": lambda n: baselines.binary_patterns(readable.greys[n]),
        "file size": lambda n: np.array([float(readable.samples[n].path.stat().st_size)]),
    }
    labels = readable.labels
    chance = max(Counter(labels).values()) / len(labels)
    protocols = {"random folds": None, "leak-free folds": list(groups)}
    folds = {name: _folds(readable, labels, known) for name, known in protocols.items()}
    columns = ("Nearest neighbour on", *(f"{name}, %" for name in protocols))
    if not all(folds.values()):
        words = "There are too few pictures, or groups of them, in a class to measure shortcuts."
        return Finding("Shortcuts", words, False, columns, ())
    rows, telling = [], []
    for name, describe_one in describe.items():
        features = np.stack([describe_one(n) for n in range(len(labels))])
        reached = [mean(baselines.by_fold(features, labels, numbers)) for numbers in folds.values()]
        rows.append((name, *(f"{100 * each:.1f}" for each in reached)))
        if name == "file size" and reached[-1] > (1 + chance) / 2:
            telling.append(name)
    words = (
        "What a nearest neighbour reaches without knowing defects; "
        f"always naming the largest class gives {100 * chance:.1f} %."
    )
    if telling:
        words += (
            f" The {telling[0]} alone gives classes away: a network may learn how files were saved and not defects."
        )
    return Finding("Shortcuts", words, bool(telling), columns, tuple(rows))


def _folds(readable: Readable, labels: Sequence[str], groups: Sequence[str] | None) -> list[int]:
    """Fold numbers, or none where a class has too few pictures or groups for two folds."""
    try:
        made = splits.assign(readable.names, labels, groups, FOLDS)
    except SteelsightError:
        return []
    return [entry.fold for entry in made.assignments]
