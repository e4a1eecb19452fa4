"""Writes docs/benchmarks.md and its plot from the results: `python -m benchmarks.page`.

A test holds both equal to what this makes, so no figure in them is typed. Words around the tables come from speed.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import records, scatter
from benchmarks.figures import Figures, ratio, unrest
from benchmarks.records import BATCH, ENGINES, GROWTH, ROOT, SPEED, Accuracy, Speed, Times, Variant

from steelsight.evaluation.pages import around, row

PAGE, PLOT = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks" / "speed.svg"
WORDS = Path(__file__).with_name("speed.md")
MISSING = "not measured"
PACKAGES = ("python", "onnxruntime", "openvino", "torch", "timm")
NEEDED = 20 * 1.5 / 0.25e-3**2 / 200**2
"""Tiles of 200x200 pixels a second: a strip 1.5 m wide at 20 m/s, 0.25 mm a pixel."""
WAYS = (
    ("onnxruntime", "fp32"),
    ("onnxruntime", "int8"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("openvino", "int8"),
)
QUICK = "**A quick run, to try the commands: with so few calls these figures say nothing.**"


def make(speed: Speed, growth: Mapping[str, Any]) -> tuple[str, str]:
    """The page's text and the plot's; the plot is empty where no network has both accuracy and time."""
    figures = Figures(speed)
    points = _points(figures)
    sections = [
        _where(speed),
        _beside_peers(figures),
        _against_baseline(figures),
        _throughput(figures),
        _accuracies(figures, has_plot=bool(points)),
        *(_files(figures, int(cores)) for cores in speed.sections),
        _tried(figures),
        _growth(growth),
        _problems(speed),
    ]
    return around(WORDS, [section for section in sections if section]), scatter.draw(points) if points else ""


def _where(speed: Speed) -> str:
    facts = speed.provenance
    versions = ", ".join(f"{name} {facts[name]}" for name in PACKAGES)
    lines = [f"Measured on {facts['processor']}, {facts['cores']} cores, {facts['date']}; {versions}.", ""]
    spread = unrest([times for section in speed.sections.values() for times in section.times])
    if spread is not None:
        lines += [f"The middle half of the rounds spans {100 * spread:.0f} % of their median, for the usual file.", ""]
    return "\n".join([*lines, *([QUICK, ""] if speed.plan["is_quick"] else [])])


def _beside_peers(figures: Figures) -> str:
    """MillNet from the array to the answer against every other network alone."""
    networks = figures.speed.networks
    ours = {name: figures.times(Variant(name, size), "predict") for name, size in networks.presets.items()}
    rows = []
    for peer, own_size in networks.peers.items():
        for size in dict.fromkeys((*networks.presets.values(), own_size)):
            theirs = figures.times(figures.fastest(peer, size)[0])
            rows.append([*_named(f"`{peer}`", theirs), str(size), *(_ratio(theirs, each) for each in ours.values())])
    from_array = "; ".join(f"`{name}` {_milliseconds(each)} ms" for name, each in ours.items())
    return _section(
        "MillNet beside each network alone",
        "One picture, fp32, one core. From an array of 200x200 grey levels to the answer, by `Classifier.predict` in "
        f"ONNX Runtime: **{from_array}**. The others by their graph alone, in the engine that is faster for them: "
        "milliseconds, and how many times as long as MillNet takes for everything.",
        ["network", "file", "ms", "pixels", *(f"times `{name}`" for name in ours)],
        rows,
    )


def _against_baseline(figures: Figures) -> str:
    """Each line: a file, another one, and how many times as long that takes."""
    networks = figures.speed.networks
    name, size = networks.baseline, networks.sizes[networks.baseline]
    plain = (f"`{name}`, plain export", figures.times(Variant(name, size, "plain")))
    pairs = []
    for preset, side in networks.presets.items():
        in_float, reduced = (figures.times(each) for each in figures.fastest(preset, side))
        pairs.append(((f"`{preset}` from the array", figures.times(Variant(preset, side), "predict")), plain))
        pairs.append(((f"`{preset}` in reduced precision", reduced), (f"`{preset}` in fp32", in_float)))
    timed = [times for each in figures.fastest(name, size) if (times := figures.times(each))]
    pairs.append(((f"`{name}`, its best file", min(timed, key=lambda each: each.median, default=None)), plain))
    return _section(
        f"Against plain `{name}`",
        "One picture, one core; the fastest files.",
        ["this", "file", "ms", "against", "file", "ms", "times as fast"],
        [[*_named(*fast), *_named(*slow), _ratio(slow[1], fast[1])] for fast, slow in pairs],
    )


def _named(name: str, times: Times | None) -> list[str]:
    return [name, "", MISSING] if times is None else [name, _file(times.variant), _number(times.median)]


def _throughput(figures: Figures) -> str:
    """Tiles a second on two cores, for everything that was scanned."""
    if "2" not in figures.speed.sections:
        return ""
    tiles = figures.speed.plan["tiles"]
    through = [each for each in figures.speed.sections["2"].times if each.pictures == tiles]
    rows = []
    for each in sorted(through, key=lambda each: (each.variant.network, each.way, each.median)):
        rate = 1000 * tiles / each.median
        cells = [f"`{each.variant.network}`", f"`{each.way}`", _file(each.variant), f"{rate:,.0f}"]
        rows.append([*cells, f"{rate / NEEDED:.2f}"])
    return _section(
        "How much steel two cores get through",
        f"A hot strip 1.5 m wide at 20 m/s, 0.25 mm a pixel, is {NEEDED:,.0f} tiles of 200x200 pixels a second. "
        f"`predict` takes a list of {tiles} arrays, `scan` one strip of as many pixels, both from memory.",
        ["network", "way", "file", "tiles a second", "times what the strip needs"],
        rows,
    )


def _points(figures: Figures) -> list[scatter.Point]:
    points = []
    for each in figures.speed.accuracies:
        times = figures.times(Variant(each.network, each.size))
        if times:
            percents = (100 * value for value in (each.accuracy, each.low, each.high))
            points.append(scatter.Point(f"{each.network}, {each.size} px", times.median, *percents))
    return points


def _accuracies(figures: Figures, *, has_plot: bool) -> str:
    words = (
        "Leak-free accuracy comes from [studies/results](../studies/results), as they stand now, at the size that was "
        "trained, with the 95 % interval. The plot has the milliseconds at that size: ONNX Runtime, fp32, one core, "
        "one picture."
    )
    plot = f"\n\n![accuracy against milliseconds]({PLOT.relative_to(PAGE.parent)})" if has_plot else ""
    rows = []
    for name, size in figures.speed.networks.sizes.items():
        counted = figures.counted(name, size)
        cost = [str(size), f"{counted.parameters:,}", _number(counted.macs / 1e6)]
        found = [_accuracy(each) for each in figures.speed.accuracies if each.network == name]
        rows.append([f"`{name}`", *cost, "; ".join(found) or MISSING])
    heads = ["network", "pixels", "parameters", "M MACs", "leak-free accuracy, %"]
    return _section("Accuracy beside cost", words + plot, heads, rows)


def _accuracy(found: Accuracy) -> str:
    accuracy, low, high = (100 * value for value in (found.accuracy, found.low, found.high))
    cells = "1 cell" if found.cells == 1 else f"{found.cells} cells"
    folds = found.protocol.removeprefix("neu-cls-")
    return f"{accuracy:.2f} ({low:.2f} to {high:.2f}; {found.size} pixels, recipe {found.recipe}, {cells} of {folds})"


def _files(figures: Figures, cores: int) -> str:
    """The fastest files of every network on so many cores."""
    rows = [
        [f"`{name}`", *(_measured(figures, variant, cores) if variant else [MISSING])]
        for name, size in figures.speed.networks.sizes.items()
        for variant in figures.fastest(name, size)
    ]
    heads = ["network", "file", "median", "p95", "p99", "floor", "times the floor", f"of {BATCH}"]
    return _section(
        "One core" if cores == 1 else "Two cores",
        f"The fastest file in fp32 and in reduced precision. Milliseconds of one picture, and a picture of {BATCH}.",
        [*heads, "start, ms", "memory, MB", "file, MB"],
        [[*cells, *[""] * (len(heads) + 3 - len(cells))] for cells in rows],
    )


def _measured(figures: Figures, variant: Variant, cores: int) -> list[str]:
    one, many = (figures.times(variant, pictures=pictures, cores=cores) for pictures in (1, BATCH))
    start, floor = figures.start(variant, cores), figures.floor(variant, cores)
    return [
        _file(variant),
        *(_number(getattr(one, name, None)) for name in ("median", "p95", "p99")),
        _number(floor),
        _number(one.median / floor if one and floor else None),
        _number(many.median / BATCH if many else None),
        *(_number(getattr(start, name, None)) for name in ("milliseconds", "memory_megabytes", "file_megabytes")),
    ]


def _tried(figures: Figures) -> str:
    if "1" not in figures.speed.sections:
        return ""
    tried = {each.variant: each.median for each in figures.speed.sections["1"].tried}
    rows = [
        [f"`{name}`", *(_number(tried.get(Variant(name, size, *way))) for way in WAYS)]
        for name, size in figures.speed.networks.sizes.items()
    ]
    return _section(
        "Every engine and precision",
        "A few calls of each, one core, one picture, milliseconds: only to find the fastest files.",
        ["network", *(f"{ENGINES[engine]} {precision}" for engine, precision in WAYS)],
        rows,
    )


def _growth(growth: Mapping[str, Any]) -> str:
    measured = growth["measured"]
    rows = [
        [
            f"{each['images']:,}",
            _number(each["seconds"]),
            _number(1000 * each["seconds"] / each["images"]),
            _number(each["peak_megabytes"]),
        ]
        for each in measured
    ]
    words = f"`steelsight inspect` with {growth['about']['model']}, from a cold start to the finished report."
    if len(measured) > 1:
        more, longer, larger = (
            _number(measured[-1][name] / measured[-2][name]) for name in ("images", "seconds", "peak_megabytes")
        )
        words += f" The last step: {more} times the pictures, {longer} times the time, {larger} times the memory."
    return _section(
        "How `inspect` grows",
        f"{QUICK} {words}" if growth["is_quick"] else words,
        ["pictures", "seconds", "ms a picture", "memory at the peak, MB"],
        rows,
    )


def _problems(speed: Speed) -> str:
    problems = [f"* {problem}" for problem in speed.all_problems]
    return "\n".join(["## What failed", "", *problems, ""]) if problems else ""


def _section(title: str, words: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [row(heads), row(["---"] * len(heads)), *(row(cells) for cells in rows)]
    return "\n".join([f"## {title}", "", words, "", *lines, ""])


def _file(variant: Variant) -> str:
    return f"{ENGINES[variant.engine]} {variant.precision}"


def _ratio(slow: Times | None, fast: Times | None) -> str:
    return MISSING if slow is None or fast is None else f"**{_number(ratio(slow, fast))}**"


def _milliseconds(times: Times | None) -> str:
    return MISSING if times is None else _number(times.median)


def _number(value: float | None) -> str:
    """Three digits, more where the number has them before its point."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main() -> None:
    text, plot = make(records.load(SPEED), json.loads(GROWTH.read_text(encoding="utf-8")))
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    if plot:
        PLOT.write_text(plot, encoding="utf-8")


if __name__ == "__main__":
    main()
