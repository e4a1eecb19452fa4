"""What is wrong with a labelled folder, in words that a quality engineer understands. Needs the `train` extra."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

import numpy as np

from steelsight import images, report
from steelsight.data import catalog, overlap, splits
from steelsight.evaluation import baselines, results
from steelsight.evaluation.provenance import provenance
from steelsight.images import ImageError
from steelsight.records import Finding, GreyImage, Sample, SteelsightError

FEW = 20
"""Pictures of a class under which results mean little."""
UNEVEN = 10
"""Times that the largest class may be larger than the smallest before it is said."""
FOLDS = 5
SHOWN = 200


@dataclass(frozen=True, slots=True)
class Readable:
    """The samples that can be decoded, with their pixels and their names below the data's folder."""

    samples: tuple[Sample, ...]
    greys: tuple[GreyImage, ...]
    names: tuple[str, ...]

    @property
    def labels(self) -> list[str]:
        return [sample.label for sample in self.samples]


def check(data: Path, out: Path, on_progress: overlap.Progress = lambda *_: None) -> list[Finding]:
    """Looks a folder over and writes `check.json` and `report.html` into `out`. Raises SteelsightError."""
    labelled = catalog.read(data)
    root = data if data.is_dir() else data.parent
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
    facts = {"Pictures": f"{len(readable.samples):,}", "Classes": str(len(set(readable.labels)))}
    result = {"facts": facts, "findings": [asdict(each) for each in findings], "provenance": provenance()}
    results.write_json(out / "check.json", result)
    report.write_findings(out / "report.html", findings, title=f"Check of {root.name}", facts=facts)
    return findings


def _read(samples: Sequence[Sample], root: Path) -> tuple[Readable, list[str]]:
    kept, problems = [], []
    for sample in samples:
        try:
            kept.append((sample, images.decode(sample.path), splits.name_of(sample.path, root)))
        except ImageError as error:
            problems.append(str(error))
    columns = zip(*kept, strict=True) if kept else ((), (), ())
    return Readable(*(tuple(column) for column in columns)), problems


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
    largest = sorted(found, key=lambda each: -each.area)[:SHOWN]
    rows = tuple(
        (readable.names[each.first], readable.names[each.second], f"{each.area:,}", _laid(each)) for each in largest
    )
    return Finding("Overlap", words, bool(found), ("Picture", "shares with", "Pixels", "Second one laid"), rows)


def _laid(each: overlap.Overlap) -> str:
    turned = f", turned {90 * each.turn}°" if each.turn else ""
    mirrored, encoded = ", mirrored" if each.mirrored else "", "" if each.exact else ", re-encoded"
    return f"at ({each.dx}, {each.dy}){turned}{mirrored}{encoded}"


def _two_labels(readable: Readable, found: Sequence[overlap.Overlap]) -> Finding:
    labels, names = readable.labels, readable.names
    rows = tuple(
        (names[each.first], labels[each.first], names[each.second], labels[each.second], f"{each.area:,}")
        for each in found
        if labels[each.first] != labels[each.second]
    )
    words = "No pixels stand under two labels."
    if rows:
        words = (
            f"{len(rows)} pairs show the same pixels under two labels: look whether both defects are there, "
            "or one label is wrong."
        )
    columns = ("Picture", "Label", "Picture", "Label", "Pixels shared")
    return Finding("The same pixels under two labels", words, bool(rows), columns, rows[:SHOWN])


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
    units = [
        len({groups[n] if groups else n for n, each in enumerate(labels) if each == label}) for label in set(labels)
    ]
    count = min(FOLDS, *units) if units else 0
    if count < 2:
        return []
    return [entry.fold for entry in splits.assign(readable.names, labels, groups, count)]
