"""The `train` command's work: labelled folder in, a run folder with one model file out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from lightning.fabric import Fabric
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from steelsight import report
from steelsight.curves import charts
from steelsight.data import catalog, grouping
from steelsight.data.naming import names_of
from steelsight.evaluation import gallery, results
from steelsight.evaluation.evaluate import evaluate
from steelsight.evaluation.provenance import provenance
from steelsight.images import decode, fingerprint
from steelsight.records import Card, Sample, Scores, SteelsightError
from steelsight.runtime.classifier import RUN_FILE, Classifier, load
from steelsight.training import recipe as recipes
from steelsight.training.boxes import FEWEST, learned_from_boxes
from steelsight.training.export import export, write_card
from steelsight.training.familiar import calibrated, changed_roughly, familiarity, held_out
from steelsight.training.fit import CHECKPOINT, Fitted, check_begun, fit, make_fabric, step_costs
from steelsight.training.parts import Parts, choose_parts, with_clean_steel
from steelsight.training.pictures import Pictures, readable
from steelsight.training.recipe import Recipe
from steelsight.training.teachers import Together, check_teacher

GROUPS = "groups.csv"
WINDOWS = "windows"
TEACHER = "teacher"


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run came to. `scores` are of the test part, else of the validation part, else None."""

    model: Path
    scores: Scores | None
    scored_on: str
    problems: tuple[str, ...]


def train(
    data: Path,
    recipe: Recipe,
    out: Path,
    console: Console,
    *,
    folds: Path | None = None,
    fold: int = 0,
    resume: bool = False,
    look_for_overlap: bool = True,
) -> Trained | None:
    """Trains on DATA and fills `out`. In a run of several processes all but the first return None.

    Without a fold file, pictures that share pixels are kept in one part, unless `look_for_overlap` is False.

    Raises SteelsightError where the data or the folder do not allow it.
    """
    labelled = catalog.read(data)
    samples, fingerprints, unreadable = readable(labelled.samples)
    root = catalog.root_of(data)
    _prepare(out, recipe, resume)
    fabric = make_fabric(recipe)
    groups = _groups(samples, root, out, console, fabric) if look_for_overlap and folds is None else None
    parts, remarks = choose_parts(samples, root, recipe, folds, fold, groups)
    if recipe.clean_windows:
        parts = with_clean_steel(parts, recipe.clean_windows, out.resolve() / WINDOWS, fabric)
    if fabric.is_global_zero:
        console.print(_summary(parts, recipe), markup=False, soft_wrap=True)
    fitted = _fit(parts, recipe, out, fabric, console, resume=resume)
    if not fabric.is_global_zero:
        return None
    known = dict(zip((sample.path for sample in samples), fingerprints, strict=True))
    learned_from = tuple(sorted({known.get(s.path) or fingerprint(decode(s.path)) for s in parts.training}))
    trained = _finish(fitted, parts, recipe, out, learned_from)
    return replace(trained, problems=(*labelled.problems, *unreadable, *remarks))


def _groups(samples: Sequence[Sample], root: Path, out: Path, console: Console, fabric: Fabric) -> list[str]:
    """Groups of overlapping pictures, looked for by the first process and kept in the run's folder."""
    paths = [sample.path for sample in samples]
    names = names_of(paths, root)
    if fabric.is_global_zero:
        with _progress(console, quiet=False) as progress:
            task = progress.add_task("looking for overlap", total=None, facts="")
            grouping.find_or_read(
                paths,
                names,
                out / GROUPS,
                lambda what, done, total: progress.update(task, completed=done, total=total, facts=what),
            )
    fabric.barrier()
    return grouping.read(out / GROUPS, names)


def _prepare(out: Path, recipe: Recipe, resume: bool) -> None:
    places = (out, out / TEACHER, *out.glob(f"{TEACHER}-[0-9]*"))
    begun = any((place / CHECKPOINT).exists() for place in places)
    if begun and not resume:
        raise SteelsightError(f"{out}: already holds a run; go on with it by --resume, or give another --out.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        recipes.save(recipe, out / "recipe.yaml")
        for number in range(len(recipes.teachers_of(recipe))):
            _teachers_place(out, number).mkdir(exist_ok=True)
    except OSError as error:
        raise SteelsightError(f"{out}: cannot be written ({error.strerror}); give another --out.") from None


def _teachers_place(out: Path, number: int) -> Path:
    return out / (f"{TEACHER}-{number + 1}" if number else TEACHER)


def _fit(parts: Parts, recipe: Recipe, out: Path, fabric: Fabric, console: Console, *, resume: bool) -> Fitted:
    costs = step_costs(len(parts.training), recipe)
    steps = iter(costs)
    with _progress(console, quiet=not fabric.is_global_zero) as progress:
        task = progress.add_task("training", total=sum(costs), facts="")

        def by(who: str, recipe: Recipe, place: Path, teacher: nn.Module | None) -> Fitted:
            return fit(
                parts.training,
                parts.validation,
                parts.classes,
                recipe,
                place,
                fabric=fabric,
                resume=resume,
                teacher=teacher,
                on_step=lambda: progress.advance(task, next(steps)),
                on_epoch=lambda figures: progress.update(task, facts=who + _epoch_line(figures, recipe)),
                on_resume=lambda done: progress.advance(task, sum(islice(steps, done))),
            )

        if not recipe.teacher:
            return by("", recipe, out, None)
        check_begun(out, recipe)  # before teachers are trained for it
        check_teacher(recipe, len(parts.classes))
        teachers = []
        for number, each in enumerate(recipes.teachers_of(recipe)):
            who = f"teacher {number + 1} of {recipe.teachers}, " if recipe.teachers > 1 else "teacher, "
            teachers.append(by(who, each, _teachers_place(out, number), None))
            weights = fabric.broadcast(teachers[-1].network.state_dict())  # each process has an average of its own
            teachers[-1].network.load_state_dict(weights)
        found = by("", recipe, out, Together([teacher.network for teacher in teachers]))
        return replace(found, teacher_seconds=sum(teacher.seconds for teacher in teachers))


def _finish(fitted: Fitted, parts: Parts, recipe: Recipe, out: Path, learned_from: tuple[str, ...]) -> Trained:
    """Exports, then scores the file itself: what is reported is what will run."""
    card = _card(fitted, parts, recipe, learned_from)
    everything = Pictures([*parts.training, *parts.validation, *parts.test])
    strangeness = familiarity(fitted.network, parts.training, parts.classes, recipe)
    boxes = learned_from_boxes(fitted.network, parts.training, parts.classes, recipe.size)
    difference = export(fitted.network, card, out / RUN_FILE, everything, strangeness, boxes)
    if parts.validation:
        _calibrate(out / RUN_FILE, parts.validation)
    scored_on, scored = ("test part", parts.test) if parts.test else ("validation part", parts.validation)
    classifier = load(out / RUN_FILE)
    found = evaluate(classifier.predict, scored, parts.classes, parts.root) if scored else None
    facts = {
        "Network": f"{recipe.model}, {recipe.size} pixels",
        "Protocol": parts.protocol,
        "Pictures": f"{len(parts.training)} training, {len(parts.validation)} validation, {len(parts.test)} test",
        "Chosen epoch": f"{fitted.best_epoch} of {recipe.epochs}",
        "Minutes": f"{(fitted.seconds + fitted.teacher_seconds) / 60:.1f}",
        "Regions": _regions_by(classifier, parts.training),
        **_clean_steel(classifier, parts.clean),
        "Scored on": f"{scored_on}, the exported file",
        "File against network": f"all decisions equal on {len(everything)} pictures, logits within {difference:.1e}",
    }
    results.write(out, found, facts, card.provenance)
    if found:
        wrong = [mistake.image for mistake in found.scores.mistakes]
        report.write_scores(
            out / "report.html",
            found.scores,
            title=f"{recipe.model} on {parts.root.name}",
            facts=facts,
            charts=charts(fitted.history),
            pictures=gallery.thumbnails(classifier, wrong, parts.root),
        )
    return Trained(out / RUN_FILE, found.scores if found else None, scored_on, ())


def _clean_steel(classifier: Classifier, shown: Sequence[Sample]) -> dict[str, str]:
    """What the file says of clean steel that it has not learned, where there is some."""
    if not shown:
        return {}
    said = [prediction.label for prediction in classifier.predict([sample.path for sample in shown])]
    right = sum(label == sample.label for label, sample in zip(said, shown, strict=True))
    return {"Clean steel": f"{right} of {len(shown)} windows beside the boxes of test pictures are called it"}


def _regions_by(classifier: Classifier, training: Sequence[Sample]) -> str:
    """What a file finds regions in."""
    output = classifier.output([np.zeros(classifier.card.size, np.uint8)])
    if output.inside is not None:
        return "learned from the boxes of training pictures"
    found = "the class map" if output.features is None else "what stands out from the rest of the picture"
    if not any(sample.boxes for sample in training):
        return found
    return f"{found}; to learn from boxes takes {FEWEST} training pictures of each class that are not all box"


def _card(fitted: Fitted, parts: Parts, recipe: Recipe, learned_from: tuple[str, ...]) -> Card:
    return Card(
        model=recipe.model,
        classes=parts.classes,
        size=(recipe.size, recipe.size),
        protocol=parts.protocol,
        training_images=learned_from,
        second_look=recipe.second_look,
        provenance={
            **provenance(),
            "threads": str(torch.get_num_threads()),
            **({"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}),
            "seed": str(recipe.seed),
            "epoch": f"{fitted.best_epoch} of {recipe.epochs}",
        },
    )


def _calibrate(path: Path, validation: Sequence[Sample]) -> None:
    """Puts on the file's card what held-out pictures ask for."""
    written = load(path)
    found, rough = held_out(written, validation), held_out(written, validation, changed_roughly)
    write_card(path, calibrated(written.card, found, rough))


def _summary(parts: Parts, recipe: Recipe) -> str:
    return (
        f"{recipe.model}: {len(parts.classes)} classes, {len(parts.training)} training pictures, "
        f"{len(parts.validation)} for choosing the epoch, {len(parts.test)} test pictures ({parts.protocol}), "
        f"{recipe.epochs} epochs, seed {recipe.seed}"
    )


def _epoch_line(figures: dict[str, float], recipe: Recipe) -> str:
    accuracy = f", validation {100 * figures['val_accuracy']:.1f} %" if "val_accuracy" in figures else ""
    return f"epoch {figures['epoch']:.0f}/{recipe.epochs}, loss {figures['train_loss']:.3f}{accuracy}"


def _progress(console: Console, quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[facts]}"),
        console=console,
        disable=quiet,
    )
