"""A study: which networks are trained under which protocols, and where their results lie. Definitions are YAML files.

FOLDER/NAME.yaml is a study, FOLDER/recipes/NAME.yaml what its networks are trained by, FOLDER/folds/NAME.csv a
protocol, FOLDER/results holds what came out (see `archive`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from steelsight.data import foldfile
from steelsight.evaluation.archive import Kept, Key
from steelsight.records import SteelsightError

GROUPS = "neu-cls-leak-free-495"
"""The fold file whose groups intervals and paired tests are over, whatever the protocol."""

FIELDS = {
    *("title", "about", "page", "open", "recipe", "protocols", "folds", "seeds"),
    *("printed", "networks", "compare", "confusion"),
}

PAGES = ("reproduction", "choices", "robustness")


@dataclass(frozen=True, slots=True)
class Network:
    """A row of a study's table: what timm calls the network, with its options, and what the paper prints of it."""

    name: str
    model: str
    options: Mapping[str, Any]
    changes: Mapping[str, Any]
    """What this network has in its recipe that the others have not."""
    printed: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Study:
    """A table of a paper, as it is to be run."""

    name: str
    title: str
    about: str
    recipe: str
    protocols: tuple[str, ...]
    folds: tuple[int, ...]
    seeds: tuple[int, ...]
    networks: tuple[Network, ...]
    compare: tuple[tuple[str, str], ...] = ()
    """Pairs of networks that are to be compared on the same folds, the first one against the second."""
    confusion: tuple[str, ...] = ()
    """Networks whose confusion matrix is shown."""
    page: str = PAGES[0]
    """Where it is shown: what reproduces the papers, or the `choices` made on validation parts."""
    is_open: bool = False
    """Whether networks that the definition does not name may join, by `study run --network`."""

    def cells(self) -> list[tuple[Network, Key]]:
        """Every cell, ordered so that whenever a run is stopped, the networks have been seen on the same folds."""
        return [
            (network, Key(self.recipe, network.name, protocol, fold, seed))
            for seed in self.seeds
            for protocol in self.protocols
            for fold in self.folds
            for network in self.networks
        ]


def names(folder: Path) -> list[str]:
    """The studies in a folder."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load(folder: Path, name: str) -> Study:
    """A study by its name. Raises SteelsightError where there is none, or it cannot be understood."""
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = names(folder)
        near = get_close_matches(name, known, n=3, cutoff=0.4) or known
        raise SteelsightError(f"{path}: there is no such study; " + (f"there are {', '.join(near)}." if near else "."))
    values = read_yaml(path)
    unknown = set(values) - FIELDS
    if unknown:
        raise SteelsightError(f"{path}: does not know {_listed(unknown)}; the names are {_listed(FIELDS)}.")
    published = read_yaml(folder / "published.json")  # JSON is YAML
    try:
        printed = _inside(published, values.get("printed"), path)
        study = Study(
            name=name,
            title=str(values["title"]),
            about=str(values.get("about", "")).strip(),
            recipe=str(values["recipe"]),
            protocols=_each(str, values["protocols"]),
            folds=_each(int, values["folds"]),
            seeds=_each(int, values["seeds"]),
            networks=tuple(
                _network(str(key), each or {}, printed, published, path) for key, each in values["networks"].items()
            ),
            compare=tuple((str(one), str(other)) for one, other in values.get("compare", ())),
            confusion=_each(str, values.get("confusion", [])),
            page=str(values.get("page", PAGES[0])),
            is_open=bool(values.get("open", False)),
        )
        if study.page not in PAGES:
            raise ValueError(f"page is {study.page}, not {' or '.join(PAGES)}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SteelsightError(f"{path}: is not a study ({error!r}); copy another one and change it.") from None
    networks = {network.name for network in study.networks}
    foreign = {each for pair in study.compare for each in pair} | set(study.confusion)
    if foreign - networks:
        raise SteelsightError(f"{path}: names {_listed(foreign - networks)}, which is none of its networks.")
    return study


def load_all(folder: Path) -> list[Study]:
    """The studies in a folder, by name. Raises SteelsightError."""
    return [load(folder, name) for name in names(folder)]


def _each(kind: type[Any], values: Any) -> tuple[Any, ...]:
    """A list of different things of one kind. Raises TypeError or ValueError."""
    if not isinstance(values, list) or not all(type(value) is kind for value in values):
        raise TypeError(f"expected a list of {kind.__name__}, found {values!r}")
    if len(set(values)) < len(values):
        raise ValueError(f"{values!r} names something twice")
    return tuple(values)


def narrowed(
    study: Study, folds: Sequence[int], seeds: Sequence[int], networks: Sequence[str], protocols: Sequence[str]
) -> Study:
    """A part of a study; what is empty stays as it is. Raises SteelsightError for what the study does not have.

    An open study takes in networks that it does not name.
    """
    if study.is_open:
        study = _joined(study, networks)
    known = {network.name: network for network in study.networks}
    for asked, names in (
        (networks, list(known)),
        (protocols, study.protocols),
        (folds, study.folds),
        (seeds, study.seeds),
    ):
        for each in asked:
            if each not in names:
                near = get_close_matches(str(each), list(map(str, names)), n=3, cutoff=0.4) or names
                raise SteelsightError(f"{study.name}: has no {each}; it has {', '.join(map(str, near))}.")
    return replace(
        study,
        folds=tuple(folds) or study.folds,
        seeds=tuple(seeds) or study.seeds,
        networks=tuple(known[name] for name in networks) or study.networks,
        protocols=tuple(protocols) or study.protocols,
    )


def with_guests(folder: Path, study: Study, others: Sequence[Study], cells: Sequence[Kept]) -> Study:
    """An open study with the networks that have joined it: those with results of its own that no other study names.

    Raises SteelsightError where a file that the study needs is missing.
    """
    if not study.is_open:
        return study
    named = {network.name for each in others if each.recipe == study.recipe for network in each.networks}
    ran = sorted({cell.key.network for cell in cells if cell.key.recipe == study.recipe} - named)
    open_to_all = _joined(study, ran)
    guests = [
        network.name
        for network in open_to_all.networks
        if any(results_of(folder, open_to_all, network, protocol, cells) for protocol in study.protocols)
    ]
    return _joined(study, guests)


def _joined(study: Study, names: Sequence[str]) -> Study:
    known = {network.name for network in study.networks}
    guests = tuple(Network(name, name, {}, {}, {}) for name in names if name not in known)
    return replace(study, networks=(*study.networks, *guests))


def definition_of(folder: Path, study: Study, network: Network, protocol: str) -> dict[str, Any]:
    """All that a result depends on: the network, the recipe's file and who is in which fold.

    Results of another definition are stale. Raises SteelsightError where a file is missing.
    """
    folds = "".join(f"{entry.image},{entry.fold}\n" for entry in foldfile.read(folder / "folds" / f"{protocol}.csv"))
    return {
        "model": network.model,
        "options": dict(network.options),
        "changes": dict(network.changes),
        "recipe": read_yaml(folder / "recipes" / f"{study.recipe}.yaml"),
        "folds": hashlib.sha256(folds.encode()).hexdigest(),
    }


def results_of(folder: Path, study: Study, network: Network, protocol: str, cells: Sequence[Kept]) -> list[Kept]:
    """The cells that belong to a row and column of a study's table and are not stale, failed ones as well."""
    wanted = {key for each, key in study.cells() if each == network and key.protocol == protocol}
    definition = definition_of(folder, study, network, protocol)
    return [cell for cell in cells if cell.key in wanted and cell.definition == definition]


def group_of(folder: Path) -> dict[str, str]:
    """The group of every picture, from the fold file GROUPS. Raises SteelsightError."""
    return {entry.image: entry.group for entry in foldfile.read(folder / "folds" / f"{GROUPS}.csv")}


def read_yaml(path: Path) -> dict[str, Any]:
    """The names and values of a YAML file. Raises SteelsightError."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SteelsightError(f"{path}: cannot be read as YAML ({str(error).splitlines()[0]}).") from None
    if not isinstance(values, dict):
        raise SteelsightError(f"{path}: expected names with values.")
    return values


def _network(
    name: str, values: Mapping[str, Any], printed: Mapping[str, Any], published: Mapping[str, Any], path: Path
) -> Network:
    if not isinstance(values, Mapping) or set(values) - {"model", "options", "changes", "printed"}:
        raise SteelsightError(f"{path}: {name} is {values!r}; a network has model, options, changes and printed alone.")
    options, changes = dict(values.get("options", {})), dict(values.get("changes", {}))
    if {"model", "model_options"} & changes.keys():
        raise SteelsightError(f"{path}: {name} changes its model; say model and options instead.")
    row = values.get("printed", name if name in printed else None)
    found = {} if row is None else printed[row] if row in printed else _inside(published, str(row), path)
    return Network(name, str(values.get("model", name)), options, changes, found)


def _inside(published: Mapping[str, Any], place: str | None, path: Path) -> Mapping[str, Any]:
    """What published.json holds at a place such as pdmsnet.networks."""
    found: Any = published if place else {}
    for part in place.split(".") if place else ():
        if not isinstance(found, Mapping) or part not in found:
            raise SteelsightError(f"{path}: published.json has no {place}.")
        found = found[part]
    return dict(found)


def _listed(names: Sequence[str] | set[str]) -> str:
    return ", ".join(sorted(names))
