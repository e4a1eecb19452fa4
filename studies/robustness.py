"""Writes docs/robustness.md and its plots from the committed results: `python studies/robustness.py`.

A test holds the page equal to what this makes, so no figure in it is typed. Words around the tables: robustness.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from steelsight import report
from steelsight.evaluation.pages import around, row
from steelsight.records import Certainty, HarshScores

ROOT = Path(__file__).parents[1]
RESULTS, DOCS = ROOT / "studies" / "results", ROOT / "docs"
PAGE, PLOTS = DOCS / "robustness.md", DOCS / "robustness"
MODELS = {
    "millnet_second_look": "MillNet",
    "millnet_likeness": "MillNet of one look",
    "millnet_24_taught": "MillNet-24, taught",
    "millnet": "MillNet-24",
    "millnet_line_second_look": "MillNet for a line",
    "millnet_line_likeness": "MillNet for a line of one look",
    "millnet_line": "MillNet-24 for a line",
    "pdmsnet": "PDMSNet",
}
FOREIGN = ("photographs", "drawn", "no steel", "clean")


def page() -> str:
    """The page's text."""
    sections = [*_harsh(_read("robustness")), *_calibration(_read("robustness")), *_unknown(_read("unknown"))]
    where = _where(_read("where"), _read("where", "-boxes"))
    return around(ROOT / "studies" / "robustness.md", [*sections, *_clean(RESULTS / "clean.json"), *where])


def plots() -> None:
    for name, found in _read("robustness").items():
        title = f"{MODELS[name]}, accuracy by kind and strength, %"
        report.write_harsh(PLOTS / f"{name}-harsh.svg", harsh_of(found), title)
        bins = found["calibration"]["calibrated"]["bins"]
        report.write_reliability(PLOTS / f"{name}-reliability.svg", bins, f"{MODELS[name]}, how often it is right")


def harsh_of(found: Mapping[str, Any]) -> HarshScores:
    held = found["harsh"]
    return HarshScores(
        held["images"],
        held["clean"],
        {kind: tuple(values) for kind, values in held["accuracy"].items()},
        tuple(held["never_trained_on"]),
        Certainty(**held["certainty"]),
    )


def _read(kind: str, what: str = "") -> dict[str, Any]:
    """What was measured, by network."""
    paths = {name: RESULTS / kind / f"{name}{what}.json" for name in MODELS}
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.exists()}


def _harsh(found: Mapping[str, Any]) -> list[str]:
    rows = []
    for name, each in found.items():
        harsh = harsh_of(each)
        low = min(harsh.accuracy, key=lambda kind: harsh.accuracy[kind][2])
        rows.append(
            [
                f"`{name}`, recipe {each['recipe']}",
                f"{harsh.images:,}",
                *(f"{100 * value:.2f}" for value in (harsh.clean, harsh.mean, harsh.mean_never_trained_on)),
                f"{harsh.worst} {100 * harsh.by_kind[harsh.worst]:.2f}",
                f"{low} {100 * harsh.accuracy[low][2]:.2f}",
            ]
        )
    words = (
        "Every picture in 18 kinds and five strengths: `steelsight evaluate MODEL DATA --harsh`; all folds by "
        "`python studies/harsh.py STUDY` and `python studies/pooled.py STUDY NETWORK`. Kinds with a star were "
        "never shown in training."
    )
    heads = ["network", "pictures", "clean, %", "harsh, mean, %", "of kinds never trained on, %"]
    plots = [f"![{name}: accuracy by kind and strength](robustness/{name}-harsh.svg)" for name in found]
    table = _table([*heads, "worst kind, mean of its strengths, %", "worst kind at strength 3, %"], rows)
    sheet = "![The 18 kinds at strength 4, on drawn steel](robustness/kinds.png)"
    return [_section("Harsh pictures", words, table, "\n".join(plots), sheet)] if found else []


def _calibration(found: Mapping[str, Any]) -> list[str]:
    rows, sizes = [], []
    for name, each in found.items():
        for state, values in each["calibration"].items():
            for kind in ("clean", "harsh"):
                worth = values[kind]
                rows.append(
                    [
                        f"`{name}`, {state}",
                        kind,
                        *(f"{worth[key]:.4f}" for key in ("calibration_error", "brier", "log_loss")),
                    ]
                )
        held = each["candidates"]
        sizes.append(
            f"* `{name}`: asked for {100 * held['asked']:.0f} %, the true class was a candidate in "
            f"{100 * held['coverage']:.2f} % of the clean pictures; {held['mean_size']:.2f} candidates in the mean. "
            f"Temperatures of the folds: {_listed(each['temperatures'])}"
            + (f"; powers of the strangeness: {_listed(powers)}." if (powers := each.get("powers_of_doubt")) else ".")
        )
    words = (
        "From the clean pictures that the other folds held out; calibration error over 15 bins of equal width, all "
        "folds together. `calibrated`, as files are: one temperature divides the logits, times a power of the "
        "picture's strangeness where that exceeds 1; both have the least log-loss on those held-out pictures and, with "
        "a tenth of their weight, on the same roughly changed by the training's own code. `Classifier.candidates` "
        "gives the classes that a picture may be of."
    )
    plots = [f"![{name}: reliability](robustness/{name}-reliability.svg)" for name in found]
    table = _table(["network", "pictures", "calibration error", "Brier score", "log-loss"], rows)
    parts = (words, table, "\n".join(sizes), "\n".join(plots))
    return [_section("What a confidence is worth", *parts)] if found else []


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def _unknown(found: Mapping[str, Any]) -> list[str]:
    sections = []
    for name, each in found.items():
        strange = each["strange"]
        scores = list(next(iter(strange.values())))
        left_out = [kind for kind in strange if kind not in FOREIGN]
        rows = [
            [_kind(kind), _cells(strange[kind][scores[0]]), *_pair(strange[kind], scores)]
            for kind in (*FOREIGN, *left_out)
            if kind in strange
        ]
        if left_out:
            means = {
                score: {key: fmean(strange[kind][score][key] for kind in left_out) for key in ("auroc", "caught")}
                for score in scores
            }
            rows.append(["**mean of the classes left out**", "", *_pair(means, scores)])
        alarms = 100 * each["false_alarms_asked"]
        words = (
            f"{MODELS[name]}. Strange are pictures that are no steel (tiles of the photographs in scikit-image's "
            "wheel, drawn textures), windows of 96x96 pixels outside the masks, mirrored"
            + (", and those of a class that the network was not trained on" if left_out else "")
            + ". Area under the ROC curve against the known test pictures, and the share "
            f"caught at {alarms:g} % false alarms; the threshold comes from the pictures that networks of all six "
            f"classes held out in the other folds; means over the cells. `python studies/unknown.py {name} {name}`."
        )
        heads = ["strange pictures", "folds x seeds", *(f"{score}: AUROC, caught %" for score in scores)]
        sections.append(_section(f"What {MODELS[name]} does not know", words, _table(heads, rows)))
    return sections


def _cells(found: Mapping[str, Any]) -> str:
    by_seed = found["auroc_by_seed_and_fold"]
    return f"{len(next(iter(by_seed.values())))} x {len(by_seed)}"


def _kind(kind: str) -> str:
    named = {
        "photographs": "photographs",
        "drawn": "drawn textures",
        "no steel": "**photographs and drawn textures**",
        "clean": "steel beside the defects",
    }
    return named.get(kind, f"`{kind}`, left out of training")


def _pair(by_score: Mapping[str, Mapping[str, Any]], scores: Sequence[str]) -> list[str]:
    return [
        f"{by_score[score]['auroc']:.4f}, "
        + (f"{100 * by_score[score]['caught']:.1f}" if by_score[score]["caught"] else "not measured")
        for score in scores
    ]


def _clean(path: Path) -> list[str]:
    """What networks say of steel beside defects when they have learned from such steel, and when not."""
    if not path.exists():
        return []
    held = json.loads(path.read_text(encoding="utf-8"))
    words = (
        "Photographs of NEU show no clean steel alone. Here MillNet-24 learned it from squares beside NEU-DET's boxes, "
        f"of {held['least']} pixels a side or more, mirrored to the size of a photograph, and as many squares on "
        "defects (`clean_windows`; `python studies/clean.py DATA --runs RUNS`, all leak-free folds, seed 0). All below "
        "is of test parts; the second network, the same without such squares, knows no clean steel and calls it a "
        "defect. None of these files has a threshold for what is unknown. A network of the first kind is not shipped: "
        "what NEU-DET's boxes leave out is not always clean, of crazing least, and more photographs went wrong."
    )
    heads = ["`millnet`", "shown", "pictures", "right, %", "called clean, %"]
    rows = [
        [named, kind, f"{found['pictures']:,}", *(f"{found[said]:.2f}" for said in ("right", "clean"))]
        for way, named in (("with", "learned clean steel"), ("without", "did not"))
        for kind, found in _over_folds(held["folds"][way]).items()
    ]
    return [_section("Clean steel from beside the defects", words, _table(heads, rows))]


def _over_folds(by_fold: Mapping[str, Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, float]]:
    """By what was shown: pictures, and per cent of them; a square of clean steel is right where it is called clean."""
    found = {}
    for kind in next(iter(by_fold.values())):
        sums = {key: sum(each[kind][key] for each in by_fold.values()) for key in ("pictures", "right", "clean")}
        shares = {key: 100 * count / sums["pictures"] for key, count in sums.items()}
        found[kind] = {**shares, "pictures": sums["pictures"]}
    return found


def _where(found: Mapping[str, Any], from_boxes: Mapping[str, Any]) -> list[str]:
    sheet = (
        "![Regions and heat on drawn steel](robustness/shown.png)\n\nThe three strongest regions, red the first, and "
        "the heat below, on drawn steel that the model has not learned (`python studies/shown.py`)."
    )
    return [*(_place(name, each, from_boxes[name]) for name, each in found.items()), sheet + "\n"] if found else []


def _place(name: str, each: Mapping[str, Any], from_boxes: Mapping[str, Any]) -> str:
    words = (
        f"Regions of {MODELS[name]} against NEU-DET's boxes of the same pictures, of the predicted class, means "
        "over the classes: the place to look at first lies in a box; the strongest region overlaps one by 0.3 and by "
        f"0.5 (intersection over union); average precision over all boxes. `python studies/where.py {name} {name}`. "
        "The networks learned from labels of whole pictures alone, and their answers are the same in all rows. In the "
        "first row a file has learned besides, from NEU-DET's boxes of its own training pictures, which places are "
        "inside (`python studies/again.py CELLS DATA --boxes`); shipped files have learned it from those of all "
        "pictures, and `steelsight train` does where a folder has boxes. Without boxes regions come from what differs "
        "in the early features. The few constants of `runtime/regions.py` were chosen by the boxes of validation "
        "parts; nothing was chosen by masks."
    )
    several = from_boxes["several"]
    further = (
        f"{several['pictures']} pictures have a box of another class too; a region of that class was shown besides in "
        f"{100 * several['found']:.1f} % of them, and one of a class without a box in {100 * several['falsely']:.1f} % "
        "of the others. Another class is shown where it leads on the class map by more than it does in two of 100 "
        "pictures that the models of the other folds held out."
    )
    tables = (_by_way(name, each, from_boxes), _by_class(each, from_boxes))
    return _section(f"Where {MODELS[name]} looks", words, *tables, further)


def _by_way(name: str, each: Mapping[str, Any], from_boxes: Mapping[str, Any]) -> str:
    """A row for each way to find regions."""
    ways = {
        f"`{name}`, learned from the boxes of its training pictures": from_boxes["model"],
        f"`{name}` without boxes, constants chosen by boxes of validation parts": each["model"],
        f"`{name}` without boxes, the class map alone": each["class_map_alone"],
        **each["baselines"],
    }
    rows = [
        [
            way,
            *(f"{100 * values['macro'][key]:.1f}" for key in ("pointing", "overlap_30", "overlap_50")),
            *(f"{100 * values['average_precision'][least]['macro']:.1f}" for least in ("0.3", "0.5")),
        ]
        for way, values in ways.items()
    ]
    heads = ["regions", "pointing, %", "overlap 0.3, %", "overlap 0.5, %", "AP at 0.3", "AP at 0.5"]
    return _table(heads, rows)


def _by_class(each: Mapping[str, Any], from_boxes: Mapping[str, Any]) -> str:
    """A row for each class, learned from boxes, beside what is found without."""
    rows = [
        [
            f"`{label}`",
            *(f"{100 * from_boxes['model'][key][label]:.1f}" for key in ("pointing", "overlap_30", "overlap_50")),
            f"{100 * each['model']['pointing'][label]:.1f}",
            *(_share(way["mask_overlap"].get(label)) for way in (from_boxes, each)),
        ]
        for label in from_boxes["model"]["pointing"]
    ]
    masks = ["pointing without boxes, %", "pixels against masks, %", "the same without boxes, %"]
    heads = ["class, learned from boxes", "pointing, %", "overlap 0.3, %", "overlap 0.5, %", *masks]
    return _table(heads, rows)


def _share(value: float | None) -> str:
    return "no masks" if value is None else f"{100 * value:.1f}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join([row(heads), row(["---"] * len(heads)), *map(row, rows)])


def _section(title: str, *parts: str) -> str:
    return "\n\n".join([f"## {title}", *parts]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    plots()
