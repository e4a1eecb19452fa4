"""The page that puts what the papers print beside what was measured, made from the committed results alone.

Words come from FOLDER/reproduction.md, where `{{ studies }}` stands for the tables; figures come from FOLDER/results.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from steelsight.curves import charts_side_by_side
from steelsight.data import foldfile
from steelsight.data.foldfile import Assignment
from steelsight.evaluation import archive, studies
from steelsight.evaluation.archive import Kept
from steelsight.evaluation.comparison import compare
from steelsight.evaluation.studies import Network, Study
from steelsight.report import write_chart

GROUPS = "neu-cls-leak-free-495"
"""The fold file whose groups intervals and paired tests are over, whatever the protocol."""

NOT_RUN = "not run"
PLACE = "{{ studies }}"


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything the page is made from."""

    cells: Sequence[Kept]
    folds: Mapping[str, Sequence[Assignment]]
    group_of: Mapping[str, str]
    baselines: Mapping[str, Mapping[str, Sequence[float]]]
    measured: Mapping[str, Mapping[str, Any]]
    """Parameters, MACs and time of each network, as benchmarks/networks.py writes them."""


def write(folder: Path, page: Path) -> list[Path]:
    """Writes the page, and beside it `plots/`. Returns all files. Raises SteelsightError for damaged results."""
    text, plots = make(folder)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text, encoding="utf-8")
    (page.parent / "plots").mkdir(exist_ok=True)
    written = [page]
    for name, chart in plots.items():
        written.append(page.parent / "plots" / f"{name}.svg")
        write_chart(written[-1], chart)
    return written


def make(folder: Path) -> tuple[str, dict[str, Any]]:
    """The page's text, and its charts by name."""
    sources = _sources(folder)
    listed = [studies.load(folder, name) for name in studies.names(folder)]
    plots = {name: chart for study in listed for name, chart in _plots(study, sources).items()}
    sections = [
        _section(study, sources, [name for name in plots if name.startswith(f"{study.name}-")]) for study in listed
    ]
    words = (folder / "reproduction.md").read_text(encoding="utf-8")
    return words.replace(PLACE, "\n".join(sections)), plots


def _sources(folder: Path) -> Sources:
    folds = {path.stem: foldfile.read(path) for path in sorted((folder / "folds").glob("*.csv"))}
    results = folder / "results"
    return Sources(
        cells=archive.load(results),
        folds=folds,
        group_of={entry.image: entry.group for entry in folds[GROUPS]},
        baselines=json.loads((results / "baselines.json").read_text(encoding="utf-8"))["accuracies"],
        measured=_measured(results / "networks.json"),
    )


def _measured(path: Path) -> Mapping[str, Mapping[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["networks"] if path.exists() else {}
    return found


def _section(study: Study, sources: Sources, plots: Sequence[str]) -> str:
    lines = [f"## {study.title}", "", *([study.about, ""] if study.about else []), _recipe_line(study, sources), ""]
    lines += [*_table(study, sources), "", *_failures(study, sources), *_comparisons(study, sources)]
    lines += [line for name in study.confusion for line in _confusions(study, name, sources)]
    lines += [line for name in plots for line in (f"![{name}](plots/{name}.svg)", "")]
    return "\n".join(lines)


def _recipe_line(study: Study, sources: Sources) -> str:
    done = [cell for cell in sources.cells if cell.key.recipe == study.recipe and cell.scores]
    sources_of = sorted({f"{c.provenance['processor']}, torch {c.provenance['torch']}" for c in done})
    where = f" Run on: {'; '.join(sources_of)}." if sources_of else ""
    return (
        f"Recipe [{study.recipe}](../studies/recipes/{study.recipe}.yaml), all from scratch; seeds "
        f"{', '.join(map(str, study.seeds))}; `steelsight study run {study.name}` runs what is missing.{where}"
    )


def _table(study: Study, sources: Sources) -> list[str]:
    protocols = sorted(study.protocols, key=lambda protocol: "published" not in protocol)
    heads = ["network", "printed, %", *(f"{_words(protocol)}, %" for protocol in protocols)]
    heads += ["parameters", "M MACs", "ms a picture", "times SqueezeNet's"]
    lines = [_row(heads), _row(["---"] * len(heads))]
    for network in study.networks:
        reached = [_reached(study, network, protocol, sources) for protocol in protocols]
        lines.append(_row([f"`{network.name}`", _printed_accuracy(network), *reached, *_costs(network, sources)]))
    for name in next(iter(sources.baselines.values())):
        reached = [_baseline(sources, protocol, name) for protocol in protocols]
        lines.append(_row([name, "", *reached, *[""] * 4]))
    return lines


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _words(protocol: str) -> str:
    name = protocol.removeprefix("neu-cls-")
    return {"published": "published folds", GROUPS.removeprefix("neu-cls-"): "**leak-free** folds"}.get(
        name, name.replace("-70-30", " 70/30")
    )


def _reached(study: Study, network: Network, protocol: str, sources: Sources) -> str:
    """Mean, deviation over cells, how many of them, and the interval; never a figure that was not measured."""
    cells = _of(study, network.name, protocol, sources)
    if not cells:
        return NOT_RUN
    pooled = archive.pool(cells, sources.folds[protocol], sources.group_of)
    accuracy, deviation = (100 * value for value in pooled.accuracy)
    low, high = 100 * pooled.interval.low, 100 * pooled.interval.high
    planned = len(study.folds) * len(study.seeds)
    count = f"{pooled.cells} of {_cells(planned)}" if pooled.cells < planned else _cells(planned)
    spread = f" ± {deviation:.2f}" if pooled.cells > 1 else ""
    return f"{accuracy:.2f}{spread} ({low:.2f} to {high:.2f}; {count})"


def _of(study: Study, network: str, protocol: str, sources: Sources) -> list[Kept]:
    cells = archive.of(sources.cells, network, protocol, study.recipe)
    return [cell for cell in cells if cell.key.fold in study.folds and cell.key.seed in study.seeds]


def _printed_accuracy(network: Network) -> str:
    printed = network.printed.get("test", network.printed)
    value = printed.get("accuracy", printed.get("top1"))
    if isinstance(value, list):
        return f"{value[0]:.2f} ± {value[1]:.2f}"
    return "" if value is None else f"{value:.2f}"


def _costs(network: Network, sources: Sources) -> list[str]:
    """Parameters and MACs, counted and printed, and time."""
    measured = sources.measured.get(network.name)
    if not measured:
        return ["not counted", "not counted", "not measured", "not measured"]
    counted = measured["at_printed_classes"]
    return [
        _parameters(counted["parameters"], network.printed),
        _macs(counted, network.printed),
        f"{measured['milliseconds']:.2f}",
        f"{measured['ratio']:.2f}",
    ]


def _parameters(counted: int, printed: Mapping[str, Any]) -> str:
    exact, in_millions = printed.get("params", printed.get("params_derived")), printed.get("params_m")
    if in_millions:
        return f"{counted:,} ({_against(counted / 1e6, in_millions)}, in M)"
    if exact:
        return f"{counted:,} ({'as' if counted == exact else exact} printed)"
    return f"{counted:,}"


def _macs(counted: Mapping[str, int], printed: Mapping[str, Any]) -> str:
    """Of one picture, in millions; paper 2 prints totals of batches, in G."""
    if "batch_macs_g" in printed:
        one, batch = counted["macs_paper_2"], printed["batch"]
        total = _against(batch * one / 1e9, printed["batch_macs_g"])
        return f"{one / 1e6:,.2f} ({total}, in G for {batch} pictures)"
    millions = counted["macs_paper_1"] / 1e6
    return f"{millions:,.2f}" + (f" ({_against(millions, printed['macs_m'])})" if "macs_m" in printed else "")


def _against(counted: float, printed: float) -> str:
    """What is printed, and whether the count rounds to it."""
    is_met = f"{counted:.2f}" == f"{printed:.2f}"
    return f"{printed:.2f} as printed" if is_met else f"printed {printed:.2f}"


def _baseline(sources: Sources, protocol: str, name: str) -> str:
    values = sources.baselines.get(protocol, {}).get(name)
    return f"{100 * mean(values):.2f}" if values else NOT_RUN


def _failures(study: Study, sources: Sources) -> list[str]:
    names = {network.name for network in study.networks}
    failed = [c for c in sources.cells if c.key.recipe == study.recipe and c.key.network in names and not c.scores]
    lines = [
        f"* `{cell.key.network}`, {cell.key.protocol}, fold {cell.key.fold}, seed {cell.key.seed} failed: "
        f"{' '.join(cell.problems)}"
        for cell in failed
    ]
    return [*lines, ""] if lines else []


def _comparisons(study: Study, sources: Sources) -> list[str]:
    lines = []
    for one, other in study.compare:
        for protocol in study.protocols:
            cells = {name: _of(study, name, protocol, sources) for name in (one, other)}
            ran = [{(cell.key.fold, cell.key.seed) for cell in found} for found in cells.values()]
            both = ran[0] & ran[1]
            if both:
                shares = [
                    archive.shares_right(
                        [c for c in found if (c.key.fold, c.key.seed) in both], sources.folds[protocol]
                    )
                    for found in cells.values()
                ]
                found = compare(shares[0], shares[1], sources.group_of)
                lines.append(f"* `{one}` against `{other}`, {_words(protocol)}, {_cells(len(both))}: {found.sentence}")
    return ["Paired, on the cells that both ran:", "", *lines, ""] if lines else []


def _confusions(study: Study, network: str, sources: Sources) -> list[str]:
    """All cells of a network together: a row for each true class, a column for each predicted one."""
    lines = []
    for protocol in study.protocols:
        scores = [cell.scores for cell in _of(study, network, protocol, sources) if cell.scores]
        if not scores:
            continue
        classes = scores[0]["classes"]
        counts = [
            [sum(each["confusion"][at][to] for each in scores) for to in range(len(classes))]
            for at in range(len(classes))
        ]
        lines += [
            f"Confusion matrix of `{network}`, {_words(protocol)}, {_cells(len(scores))}:",
            "",
        ]
        lines += [_row(["true class", *classes]), _row(["---"] * (len(classes) + 1))]
        lines += [_row([name, *map(str, row)]) for name, row in zip(classes, counts, strict=True)] + [""]
    return lines


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _plots(study: Study, sources: Sources) -> dict[str, Any]:
    """Training curves of the networks on the first cell that most of them ran."""
    for protocol in study.protocols:
        histories = {
            cell.key.network: cell.history
            for network in study.networks
            for cell in _of(study, network.name, protocol, sources)
            if (cell.key.fold, cell.key.seed) == (study.folds[0], study.seeds[0]) and cell.history
        }
        if len(histories) > 1:
            charts = charts_side_by_side(histories)
            return {f"{study.name}-{chart.title.lower().replace(' ', '-')}": chart for chart in charts}
    return {}
