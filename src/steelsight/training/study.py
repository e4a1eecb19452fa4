"""Runs what is missing of a study, and keeps each cell as a JSON file that can be committed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from steelsight.evaluation import cells as on_disk
from steelsight.evaluation import results, studies
from steelsight.evaluation.archive import Key
from steelsight.evaluation.cells import Cell
from steelsight.evaluation.provenance import provenance
from steelsight.evaluation.studies import Network, Study
from steelsight.records import SteelsightError
from steelsight.training import jobs
from steelsight.training import recipe as recipes
from steelsight.training.crossval import prepare
from steelsight.training.jobs import Job, Say
from steelsight.training.recipe import Recipe

HISTORY = ("epoch", "size", "train_loss", "val_loss", "val_accuracy")


def run(
    folder: Path,
    name: str,
    data: Path,
    out: Path,
    say: Say,
    *,
    folds: Sequence[int] = (),
    seeds: Sequence[int] = (),
    networks: Sequence[str] = (),
    protocols: Sequence[str] = (),
) -> list[Key]:
    """Runs the missing cells of a study in `out` and keeps them in FOLDER/results. Returns those that failed.

    folds, seeds, networks, protocols: where given, only these are run now.

    A cell is missing where there is no result, or one by another recipe. One that fails, as by a diverging loss, is
    kept with its reason and not run again. Raises SteelsightError for a study that cannot be understood.
    """
    study = studies.narrowed(studies.load(folder, name), folds, seeds, networks, protocols)
    missing = [(network, key) for network, key in study.cells() if not _is_there(folder, study, network, key)]
    say(f"{study.title}: {len(missing)} of {len(study.cells())} cells are missing")
    found = [(key, _job(folder, study, network, key, out)) for network, key in missing]
    keys = {job.cell.folder: key for key, job in found}
    jobs.run(data, [job for _, job in found], say, lambda job: keep(folder, keys[job.cell.folder], job.cell))
    return [key for key, job in found if not job.cell.is_done]


def keep(folder: Path, key: Key, cell: Cell) -> None:
    """Writes a cell that has ended, well or not, into FOLDER/results."""
    target = folder / "results" / key.path
    target.parent.mkdir(parents=True, exist_ok=True)
    kept: dict[str, Any] = {"facts": {}, "scores": None, "problems": [cell.last_words], "provenance": provenance()}
    if cell.is_done:
        kept = json.loads((cell.folder / results.SCORES).read_text(encoding="utf-8"))
    history = [{name: _short(each[name]) for name in HISTORY if name in each} for each in _history(cell)]
    recipe = recipes.to_dict(recipes.load(cell.folder / "recipe.yaml"))
    target.write_text(_compact({**kept, "recipe": recipe, "history": history}), encoding="utf-8")


def recipe_of(folder: Path, study: Study, network: Network) -> Recipe:
    """The study's recipe with the network, and with what only this network has. Raises SteelsightError."""
    path = folder / "recipes" / f"{study.recipe}.yaml"
    recipe = replace(recipes.load(path), model=network.model, model_options=network.options)
    return recipes.from_dict({**recipes.to_dict(recipe), **network.changes}, str(path))


def _is_there(folder: Path, study: Study, network: Network, key: Key) -> bool:
    path = folder / "results" / key.path
    if not path.exists():
        return False
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))["recipe"]
    except (ValueError, KeyError, TypeError):
        raise SteelsightError(f"{path}: is not a result of a cell; delete it and run the study again.") from None
    # The seed is the cell's, not the recipe's.
    return bool({**kept, "seed": 0} == {**recipes.to_dict(recipe_of(folder, study, network)), "seed": 0})


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
