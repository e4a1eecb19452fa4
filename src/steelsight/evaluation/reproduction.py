"""The page that puts what the papers print beside what was measured, made from the committed results alone.

Words come from FOLDER/reproduction.md, where `{{ studies }}` stands for the tables; figures come from FOLDER/results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from steelsight.curves import charts_side_by_side
from steelsight.data import foldfile
from steelsight.data.foldfile import Assignment
from steelsight.evaluation import archive, pages, studies
from steelsight.evaluation.archive import Kept
from steelsight.evaluation.comparison import compare
from steelsight.evaluation.studies import Network, Study
from steelsight.records import SteelsightError
from steelsight.report import write_chart

NOT_RUN = "not run"
PAGE = "reproduction"


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything the page is made from."""

    results: Mapping[tuple[str, str, str], Sequence[Kept]]
    """Cells that are not stale, failed ones as well, by study, network and protocol."""
    folds: Mapping[str, Sequence[Assignment]]
    group_of: Mapping[str, str]
    baselines: Mapping[str, Mapping[str, Sequence[float]]]
    measured: Mapping[str, Mapping[str, Any]]
    """Parameters, MACs and time of each network, as benchmarks/networks.py writes them."""


def write(folder: Path, out: Path) -> list[Path]:
    """Writes OUT/reproduction.md and OUT/plots. Returns all files. Raises SteelsightError for damaged results."""
    text, plots = make(folder)
    written = [pages.write(out / f"{PAGE}.md", text)]
    for name, chart in plots.items():
        written.append(out / "plots" / f"{name}.svg")
        write_chart(written[-1], chart)
    return written


def make(folder: Path) -> tuple[str, dict[str, Any]]:
    """The page's text, and its charts by name."""
    cells = archive.load(folder / "results")
    everything = studies.load_all(folder)
    listed = [studies.with_guests(folder, study, everything, cells) for study in everything if study.page == PAGE]
    sources = _sources(folder, listed, cells)
    plots = {name: chart for study in listed for name, chart in _plots(study, sources).items()}
    sections = [
        _section(study, sources, [name for name in plots if name.startswith(f"{study.name}-")]) for study in listed
    ]
    return pages.around(folder / f"{PAGE}.md", sections), plots


def _sources(folder: Path, listed: Sequence[Study], cells: Sequence[Kept]) -> Sources:
    folds = {path.stem: foldfile.read(path) for path in sorted((folder / "folds").glob("*.csv"))}
    results = folder / "results"
    return Sources(
        results={
            (study.name, network.name, protocol): studies.results_of(folder, study, network, protocol, cells)
            for study in listed
            for network in study.networks
            for protocol in study.protocols
        },
        folds=folds,
        group_of=studies.group_of(folder),
        baselines=_inside(results / "baselines.json", "accuracies"),
        measured=_inside(results / "networks.json", "networks"),
    )


def _inside(path: Path, name: str) -> Mapping[str, Mapping[str, Any]]:
    """What a JSON file of results holds under a name; nothing where there is no such file."""
    if not path.exists():
        return {}
    found = studies.read_yaml(path).get(name)  # JSON is YAML
    if not isinstance(found, Mapping):
        raise SteelsightError(f"{path}: has no {name}; delete the file and measure again.")
    return found


def _section(study: Study, sources: Sources, plots: Sequence[str]) -> str:
    lines = [f"## {study.title}", "", *([study.about, ""] if study.about else []), _recipe_line(study, sources), ""]
    lines += [*_table(study, sources), "", *_failures(study, sources), *_comparisons(study, sources)]
    lines += [line for name in study.confusion for line in _confusions(study, name, sources)]
    lines += [line for name in plots for line in (f"![{name}](plots/{name}.svg)", "")]
    return "\n".join(lines)


def _recipe_line(study: Study, sources: Sources) -> str:
    done = [
        cell for each in study.networks for protocol in study.protocols for cell in _of(study, each, protocol, sources)
    ]
    machines = sorted({f"{_chip(cell.provenance)}, torch {cell.provenance['torch']}" for cell in done})
    where = f" Run on: {'; '.join(machines)}." if machines else ""
    return (
        f"Recipe [{study.recipe}](../studies/recipes/{study.recipe}.yaml), all from scratch; seeds "
        f"{', '.join(map(str, study.seeds))}; `steelsight study run {study.name}` runs what is missing.{where}"
    )


def _chip(provenance: Mapping[str, str]) -> str:
    """What it was trained on."""
    return provenance.get("gpu", provenance["processor"])


def _table(study: Study, sources: Sources) -> list[str]:
    protocols = sorted(study.protocols, key=lambda protocol: "published" not in protocol)
    heads = ["network", "printed, %", *(f"{_words(protocol)}, %" for protocol in protocols)]
    heads += ["parameters", "M MACs", "ms a picture", "times SqueezeNet's"]
    lines = [pages.row(heads), pages.row(["---"] * len(heads))]
    for network in study.networks:
        reached = [_reached(study, network, protocol, sources) for protocol in protocols]
        lines.append(pages.row([f"`{network.name}`", _printed_accuracy(network), *reached, *_costs(network, sources)]))
    for name in next(iter(sources.baselines.values()), ()):
        reached = [_baseline(study, sources, protocol, name) for protocol in protocols]
        lines.append(pages.row([name, "", *reached, *[""] * 4]))
    return lines


def _words(protocol: str) -> str:
    name = protocol.removeprefix("neu-cls-")
    return {"published": "published folds", studies.GROUPS.removeprefix("neu-cls-"): "**leak-free** folds"}.get(
        name, name.replace("-70-30", " 70/30")
    )


def _reached(study: Study, network: Network, protocol: str, sources: Sources) -> str:
    """Mean, deviation over cells, how many of them, and the interval; never a figure that was not measured."""
    cells = _of(study, network, protocol, sources)
    if not cells:
        return NOT_RUN
    pooled = archive.pool(cells, sources.folds[protocol], sources.group_of)
    accuracy, deviation = (100 * value for value in pooled.accuracy)
    low, high = 100 * pooled.interval.low, 100 * pooled.interval.high
    count = _cells(pooled.cells)
    if pooled.cells < len(study.folds) * len(study.seeds):
        count = f"only {_which(cells)}"
    spread = f" ± {deviation:.2f}" if pooled.cells > 1 else ""
    return f"{accuracy:.2f}{spread} ({low:.2f} to {high:.2f}; {count})"


def _which(cells: Sequence[Kept]) -> str:
    """Folds and seeds in few words, as "folds 0, 1, 2 of seed 0, fold 0 of seed 1"."""
    folds_of = {seed: sorted(c.key.fold for c in cells if c.key.seed == seed) for seed in {c.key.seed for c in cells}}
    return ", ".join(
        f"fold{'s' if len(folds) > 1 else ''} {', '.join(map(str, folds))} of seed {seed}"
        for seed, folds in sorted(folds_of.items())
    )


def _of(study: Study, network: Network, protocol: str, sources: Sources) -> list[Kept]:
    """The cells that have scores."""
    return [cell for cell in sources.results[study.name, network.name, protocol] if cell.scores]


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
        said = "derived" if "params_derived" in printed else "printed"
        return f"{counted:,} ({'as' if counted == exact else f'{exact:,}'} {said})"
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


def _baseline(study: Study, sources: Sources, protocol: str, name: str) -> str:
    """Over the study's folds."""
    values = sources.baselines.get(protocol, {}).get(name)
    return f"{100 * mean(values[fold] for fold in study.folds):.2f}" if values else NOT_RUN


def _failures(study: Study, sources: Sources) -> list[str]:
    lines = [
        f"* `{cell.key.network}`, {cell.key.protocol}, fold {cell.key.fold}, seed {cell.key.seed} failed: "
        f"{' '.join(cell.problems)}"
        for network in study.networks
        for protocol in study.protocols
        for cell in sources.results[study.name, network.name, protocol]
        if not cell.scores
    ]
    return [*lines, ""] if lines else []


def _comparisons(study: Study, sources: Sources) -> list[str]:
    known = {network.name: network for network in study.networks}
    lines = []
    for one, other in study.compare:
        for protocol in study.protocols:
            first, second = (_of(study, known[name], protocol, sources) for name in (one, other))
            both = {(c.key.fold, c.key.seed) for c in first} & {(c.key.fold, c.key.seed) for c in second}
            if both:
                shares = [
                    archive.shares_right(
                        [c for c in cells if (c.key.fold, c.key.seed) in both], sources.folds[protocol]
                    )
                    for cells in (first, second)
                ]
                found = compare(shares[0], shares[1], sources.group_of)
                lines.append(f"* `{one}` against `{other}`, {_words(protocol)}, {_cells(len(both))}: {found.sentence}")
    return ["Paired, on the cells that both ran:", "", *lines, ""] if lines else []


def _confusions(study: Study, name: str, sources: Sources) -> list[str]:
    """All cells of a network together: a row for each true class, a column for each predicted one."""
    network = next(each for each in study.networks if each.name == name)
    lines = []
    for protocol in study.protocols:
        cells = _of(study, network, protocol, sources)
        if not cells:
            continue
        classes, counts = archive.confusion(cells)
        lines += [f"Confusion matrix of `{name}`, {_words(protocol)}, {_cells(len(cells))}:", ""]
        lines += [pages.row(["true class", *classes]), pages.row(["---"] * (len(classes) + 1))]
        lines += [pages.row([label, *map(str, row)]) for label, row in zip(classes, counts, strict=True)] + [""]
    return lines


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _plots(study: Study, sources: Sources) -> dict[str, Any]:
    """Training curves on the first fold and seed, under the first protocol that two networks have run; by file name."""
    fold, seed = study.folds[0], study.seeds[0]
    for protocol in study.protocols:
        histories = {
            network.name: cell.history
            for network in study.networks
            for cell in _of(study, network, protocol, sources)
            if (cell.key.fold, cell.key.seed) == (fold, seed) and cell.history
        }
        if len(histories) > 1:
            where = f"{study.name}-{protocol}-fold-{fold}-seed-{seed}"
            charts = charts_side_by_side(histories)
            return {f"{where}-{chart.title.lower().replace(' ', '-')}": chart for chart in charts}
    return {}
