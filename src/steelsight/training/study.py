"""Runs what is missing of a study, and keeps each cell as a JSON file that can be committed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from steelsight.data import catalog
from steelsight.evaluation import archive, results, studies
from steelsight.evaluation import cells as on_disk
from steelsight.evaluation.archive import Kept, Key
from steelsight.evaluation.cells import Cell
from steelsight.evaluation.provenance import provenance
from steelsight.evaluation.studies import Network, Study
from steelsight.training import jobs
from steelsight.training import recipe as recipes
from steelsight.training.crossval import prepare
from steelsight.training.fit import check_name
from steelsight.training.jobs import Job, Say
from steelsight.training.recipe import Recipe

GAVE_UP = 2
"""The exit code with which `train` says in a sentence why nothing could be done."""

HISTORY = ("epoch", "size", "train_loss", "val_loss", "val_accuracy")


def run(
    folder: Path,
    names: Sequence[str],
    data: Path,
    out: Path,
    say: Say,
    *,
    folds: Sequence[int] = (),
    seeds: Sequence[int] = (),
    networks: Sequence[str] = (),
    protocols: Sequence[str] = (),
    side_by_side: int | None = None,
) -> list[Key]:
    """Runs the missing cells of studies in `out` and keeps them in FOLDER/results. Returns those that failed.

    A cell of several studies runs once. The first seeds come first, and of them the first protocol of every study.

    folds, seeds, networks, protocols: where given, only these are run now. side_by_side: how many at a time, as
    `jobs.run` takes it.

    A cell is missing where there is no result, or one of another definition. One that `train` gives up with a sentence,
    as when the loss diverges, is kept with that sentence and not run again; one that dies otherwise stays missing.
    Raises SteelsightError for a study or data that cannot be used.
    """
    asked = [studies.narrowed(studies.load(folder, name), folds, seeds, networks, protocols) for name in names]
    for model in {network.model for study in asked for network in study.networks}:
        check_name(model)
    catalog.read(data)
    kept = archive.load(folder / "results")
    found: dict[Key, tuple[Study, Network]] = {}
    for study in asked:
        missing = _missing(folder, study, kept)
        say(f"{study.title}: {len(missing)} of {len(study.cells())} cells are missing")
        found = {key: (study, network) for key, network in missing.items()} | found
    order = sorted(found, key=lambda key: (key.seed, found[key][0].protocols.index(key.protocol), key.fold))
    waiting = {_job(folder, *found[key], key, out): key for key in order}

    def on_end(job: Job, code: int) -> None:
        key = waiting[job]
        if job.cell.is_done or code == GAVE_UP:
            keep(folder, key, job.cell, studies.definition_of(folder, *found[key], key.protocol))

    jobs.run(data, list(waiting), say, on_end, side_by_side)
    return [key for job, key in waiting.items() if not job.cell.is_done]


def _missing(folder: Path, study: Study, kept: Sequence[Kept]) -> dict[Key, Network]:
    there = {
        cell.key
        for network in study.networks
        for protocol in study.protocols
        for cell in studies.results_of(folder, study, network, protocol, kept)
    }
    return {key: network for network, key in study.cells() if key not in there}


def keep(folder: Path, key: Key, cell: Cell, definition: dict[str, Any]) -> None:
    """Writes a cell that has ended, well or not, into FOLDER/results."""
    target = folder / "results" / key.path
    target.parent.mkdir(parents=True, exist_ok=True)
    kept: dict[str, Any] = {"facts": {}, "scores": None, "problems": [cell.last_words], "provenance": provenance()}
    if cell.is_done:
        kept = json.loads((cell.folder / results.SCORES).read_text(encoding="utf-8"))
    history = [{name: _short(each[name]) for name in HISTORY if name in each} for each in _history(cell)]
    target.write_text(_compact({**kept, "definition": definition, "history": history}), encoding="utf-8")


def recipe_of(folder: Path, study: Study, network: Network) -> Recipe:
    """The study's recipe with the network, and with what only this network has. Raises SteelsightError."""
    path = folder / "recipes" / f"{study.recipe}.yaml"
    recipe = replace(recipes.load(path), model=network.model, model_options=network.options)
    return recipes.from_dict({**recipes.to_dict(recipe), **network.changes}, str(path))


def _job(folder: Path, study: Study, network: Network, key: Key, out: Path) -> Job:
    place = out / study.recipe / network.name / key.protocol
    folds = folder / "folds" / f"{key.protocol}.csv"
    kept = prepare(place, recipe_of(folder, study, network), folds)
    cell = on_disk.cell(place, key.fold, key.seed)
    return Job(f"{network.name}, {key.protocol}, {cell.name}", cell, kept, folds)


def _history(cell: Cell) -> Sequence[dict[str, float]]:
    try:
        return results.read_history(cell.folder)
    except ValueError:
        return []


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _compact(kept: dict[str, Any]) -> str:
    """JSON with an epoch a line, so that a change of a result can be read."""
    text = json.dumps({**kept, "history": []}, indent=1, ensure_ascii=False)
    epochs = ",\n".join(f"  {json.dumps(each)}" for each in kept["history"])
    return text.replace('"history": []', f'"history": [\n{epochs}\n ]') + "\n"
