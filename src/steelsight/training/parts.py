"""Who learns, who chooses the epoch, and who is looked at once at the end."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lightning.fabric import Fabric

from steelsight.data import foldfile, splits
from steelsight.records import UNKNOWN, Sample, SteelsightError
from steelsight.training import windows
from steelsight.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Parts:
    """Who learns, who chooses the epoch, who is looked at once at the end; and what that is called."""

    root: Path
    training: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    test: tuple[Sample, ...]
    protocol: str
    clean: tuple[Sample, ...] = ()
    """Windows of clean steel from the pictures of the test part, which are looked at by themselves."""

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(sorted({sample.label for sample in self.training}))


def choose_parts(
    samples: Sequence[Sample],
    root: Path,
    recipe: Recipe,
    folds: Path | None,
    fold: int,
    overlap_groups: Sequence[str] | None = None,
) -> tuple[Parts, list[str]]:
    """Parts by fold file, else by the folder's own train/val/test, else all for training; with a validation part.

    Returns the parts and remarks for the user. Raises SteelsightError where there is nothing to tell apart.
    """
    groups = dict(zip((s.path for s in samples), overlap_groups, strict=True)) if overlap_groups else {}
    test: list[Sample] = []
    validation = [sample for sample in samples if sample.part == "val"]
    training = [sample for sample in samples if sample.part in (None, "train")]
    protocol, remarks = "all pictures", list[str]()
    if folds is not None:
        assigned, remarks = foldfile.match_samples(samples, root, folds)
        foldfile.check_fold(fold, assigned, folds)
        if any(entry.group for entry in assigned):
            groups = {s.path: e.group or str(s.path) for s, e in zip(samples, assigned, strict=True)}
        test = [s for s, e in zip(samples, assigned, strict=True) if e.fold == fold]
        used = [(s, e) for s, e in zip(samples, assigned, strict=True) if e.fold != foldfile.UNUSED]
        samples = [sample for sample, _ in used]
        training, validation = [sample for sample, entry in used if entry.fold != fold], []
        protocol = f"{folds.stem}, fold {fold}"
    elif any(sample.part for sample in samples):
        test = [sample for sample in samples if sample.part == "test"]
        protocol = "the folder's own parts"
    counts = {label: sum(s.label == label for s in training) for label in sorted({s.label for s in samples})}
    _check_classes(counts, root)
    remarks += [
        f"Class {label} has a single training picture, so nothing is known of how well it is recognised; add pictures."
        for label, count in counts.items()
        if count == 1
    ]
    if not validation:
        in_groups = [groups[s.path] for s in training] if groups else None
        kept, held = splits.hold_out([s.label for s in training], in_groups, recipe.validation_share, recipe.seed)
        training, validation = [training[n] for n in kept], [training[n] for n in held]
    return Parts(root, tuple(training), tuple(validation), tuple(test), protocol), remarks


def with_clean_steel(parts: Parts, least: int, folder: Path, fabric: Fabric) -> Parts:
    """The parts with clean steel from beside the boxes of their own pictures, and as many windows on defects.

    Raises SteelsightError where the training part has no such steel, and where the folder cannot be written.
    """
    label = windows.clean_label((*parts.training, *parts.validation, *parts.test))
    training, validation, test = (
        windows.find(samples, label, least, folder / name)
        for name, samples in (("training", parts.training), ("validation", parts.validation), ("test", parts.test))
    )
    if not training[0]:
        raise SteelsightError(
            f"{parts.root}: no training picture has boxes of its class that leave a square of {least} pixels beside "
            "them, as clean_windows asks; give boxes (IMAGES and ANNOTATIONS), or set clean_windows to 0."
        )
    if fabric.is_global_zero:
        try:
            shutil.rmtree(folder, ignore_errors=True)  # what another run left, with other parts
            windows.write([*training[0], *training[1], *validation[0], *validation[1], *test[0]])
        except OSError as error:
            reason = error.strerror or error
            raise SteelsightError(f"{folder}: cannot be written ({reason}); give another --out.") from None
    fabric.barrier()
    return replace(
        parts,
        training=(*parts.training, *(each.sample for found in training for each in found)),
        validation=(*parts.validation, *(each.sample for found in validation for each in found)),
        clean=tuple(each.sample for each in test[0]),
    )


def _check_classes(counts: dict[str, int], root: Path) -> None:
    if len(counts) < 2:
        raise SteelsightError(f"{root}: has only the class {next(iter(counts))}; a classifier needs two or more.")
    if UNKNOWN in counts:
        raise SteelsightError(
            f"{root}: a class cannot be called {UNKNOWN}, which means none of the classes; rename it."
        )
    for label, count in counts.items():
        if count == 0:
            raise SteelsightError(
                f"{root}: class {label} has no training picture; add some or remove its test pictures."
            )
