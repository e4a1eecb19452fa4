"""Every fold and seed of a protocol, cell by cell. A cell that is finished is not run again; one that was stopped goes
on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from steelsight.data import foldfile
from steelsight.evaluation import cells as on_disk
from steelsight.evaluation.cells import Summary
from steelsight.records import SteelsightError
from steelsight.training import jobs
from steelsight.training import recipe as recipes
from steelsight.training.jobs import Job, Say
from steelsight.training.recipe import Recipe


def crossval(
    data: Path,
    recipe: Recipe,
    folds: Path,
    seeds: Sequence[int],
    out: Path,
    say: Say,
    *,
    against: Path | None = None,
    side_by_side: int | None = None,
) -> Summary:
    """Runs the missing cells in `out` and sums all of them up, beside those in the folder `against`, if given.

    side_by_side: how many cells run at a time, as `jobs.run` takes it.

    Raises SteelsightError where none could be run.
    """
    numbers = foldfile.tested(foldfile.read(folds))
    if not numbers:
        raise SteelsightError(f"{folds}: has no fold to test; make one with `steelsight data split`.")
    if against:
        on_disk.check_same_folds(against, folds)
    cells = [on_disk.cell(out, fold, seed) for seed in seeds for fold in numbers]
    kept = prepare(out, recipe, folds)
    missing = [Job(cell.name, cell, kept, folds) for cell in cells if not cell.is_done]
    jobs.run(data, missing, say, side_by_side=side_by_side)
    if not any(cell.is_done for cell in cells):
        raise SteelsightError(f"{out}: no cell could be run; {cells[0].last_words}")
    say("Summing up, with the baselines on the same folds")
    summary = on_disk.sum_up(data, folds, cells, against)
    facts = {"Network": recipe.model, "Folds": folds.stem}
    on_disk.write(out, summary, cells, data, f"{recipe.model} on {data.name}", facts)
    return summary


def prepare(out: Path, recipe: Recipe, folds: Path) -> Path:
    """Keeps recipe and folds beside the cells, so that cells of another recipe or other folds are never mixed in.

    Returns the recipe's file.
    """
    kept, copy = out / "recipe.yaml", out / on_disk.FOLDS
    try:
        out.mkdir(parents=True, exist_ok=True)
        is_other = kept.exists() and recipes.load(kept) != recipe
        if is_other or (copy.exists() and foldfile.read(copy) != foldfile.read(folds)):
            raise SteelsightError(f"{out}: holds cells of another recipe or other folds; give another --out.")
        recipes.save(recipe, kept)
        foldfile.write(foldfile.read(folds), copy)
        return kept
    except OSError as error:
        raise SteelsightError(f"{out}: cannot be written ({error.strerror}); give another --out.") from None
