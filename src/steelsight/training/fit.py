"""One run: network, loop, checkpoints. Killed at any moment, it goes on to the same weights with `resume`."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

import numpy as np
import timm
import torch
import torch.nn.functional as F
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

import steelsight.models  # noqa: F401  (registers the networks)
from steelsight.evaluation.results import HISTORY
from steelsight.models.counting import macs
from steelsight.models.grey import GreyNetwork
from steelsight.records import FloatArray, Sample, SteelsightError
from steelsight.training import recipe as recipes
from steelsight.training.batches import Batches, largest, steps_per_epoch
from steelsight.training.beside import Batch, beside, has_room, one_thread
from steelsight.training.engine import Learner, Part, averaging, predict, train_epoch
from steelsight.training.full_precision import keep_full_precision
from steelsight.training.memory import keep_memory
from steelsight.training.pictures import Pictures
from steelsight.training.recipe import Recipe

CHECKPOINT = "checkpoint.pt"
SMALL = 1000
"""MACs a pixel of a network that takes about as long to train on a picture as the picture takes to be changed."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The averaged weights of the chosen epoch, and every epoch's figures."""

    network: GreyNetwork
    history: tuple[dict[str, float], ...]
    best_epoch: int
    teacher_seconds: float = 0.0
    """What its teachers took to train."""

    @property
    def seconds(self) -> float:
        return sum(figures["seconds"] for figures in self.history)


@dataclass(slots=True)
class _State:
    """What a checkpoint holds besides the weights."""

    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_rank: tuple[float, float] = (-1.0, 0.0)
    best_weights: dict[str, Tensor] = field(default_factory=dict)


def make_fabric(recipe: Recipe) -> Fabric:
    """Devices as they are found: one or several GPUs, the CPU, or the processes that `torchrun` started."""
    for chatty in ("lightning.fabric", "lightning.pytorch"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    on_gpu = torch.cuda.is_available()
    precision: Any = recipe.precision
    if precision == "auto":
        has_bf16 = torch.cuda.is_bf16_supported() if on_gpu else torch.cpu._is_avx512_bf16_supported()
        precision = "bf16-mixed" if has_bf16 else "32-true"
    fabric = Fabric(
        accelerator="cuda" if on_gpu else "cpu",
        devices="auto" if on_gpu and processes == 1 else int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        num_nodes=processes // int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        strategy="ddp" if processes > 1 else "auto",
        precision=precision,
    )
    fabric.launch()
    return fabric


def check_name(model: str) -> None:
    """Raises SteelsightError with the nearest names where timm knows no such network."""
    if not timm.is_model(model.split(".", maxsplit=1)[0]):
        near = ", ".join(get_close_matches(model, timm.list_models(), n=5, cutoff=0.5)) or "none"
        raise SteelsightError(f"There is no network called {model}; the nearest names: {near}.")


def create_network(recipe: Recipe, classes: int) -> GreyNetwork:
    """The recipe's network by way of timm, one grey channel unless it says otherwise. Raises SteelsightError."""
    options = {"in_chans": 1, **recipe.model_options}
    check_name(recipe.model)
    try:
        return GreyNetwork(timm.create_model(recipe.model, num_classes=classes, **options), int(options["in_chans"]))
    except (TypeError, ValueError, AssertionError) as error:
        reason = str(error).rstrip(".")
        raise SteelsightError(f"{recipe.model} cannot be made with {options}: {reason}.") from None


def fit(
    training: Sequence[Sample],
    validation: Sequence[Sample],
    classes: Sequence[str],
    recipe: Recipe,
    out: Path,
    *,
    fabric: Fabric | None = None,
    resume: bool = False,
    teacher: nn.Module | None = None,
    on_step: Callable[[], None] = lambda: None,
    on_epoch: Callable[[dict[str, float]], None] = lambda _: None,
    on_resume: Callable[[int], object] = lambda _: None,
) -> Fitted:
    """Trains in `out`, writing a checkpoint and the log after every epoch.

    The chosen epoch is the one of the last stage with the best mean recall on the validation part, then the lowest
    log-loss; without a validation part it is the last. teacher: the network to learn from, where the recipe has one.
    Raises SteelsightError if the loss diverges, and if the checkpoint is of another recipe or other pictures.
    """
    keep_memory()
    fabric = fabric or make_fabric(recipe)
    plain = _make_learner(recipe, len(classes), fabric)
    averaged = cast(GreyNetwork, plain.average.module)
    wrapped, optimizer = fabric.setup(plain.network, plain.optimizer)
    learner = Learner(wrapped, plain.average, optimizer)
    weights = _class_weights(_targets(training, classes), len(classes), recipe.balance_classes)
    parts = [
        Part(Pictures(part), _targets(part, classes), fabric.to_device(weights)) for part in (training, validation)
    ]
    run = {
        "recipe": recipes.to_dict(recipe),
        "classes": list(classes),
        "pictures": [sample.path.name for sample in training],
    }
    shares_the_work = is_prepared_beside(averaged, recipe, fabric, teacher)
    if teacher is not None:
        teacher = teacher.to(fabric.device).to(memory_format=torch.channels_last).eval()
    state = _State()
    if resume and (out / CHECKPOINT).exists():
        state = _load(out / CHECKPOINT, plain, run)
        on_resume(state.epoch * steps_per_epoch(len(training), recipe))
    with closing(_coming(parts[0].pictures, recipe, state.epoch, fabric, shares_the_work)) as coming:
        for epoch in range(state.epoch, recipe.epochs):
            started = time.monotonic()
            with one_thread() if shares_the_work else nullcontext():
                figures = train_epoch(
                    fabric, learner, parts[0], coming, recipe, epoch, on_step=on_step, teacher=teacher
                )
            if validation:
                logits = predict(fabric, averaged, parts[1].pictures, int(figures["size"]))
                figures |= _validate(logits, parts[1].targets, weights)
            figures["seconds"] = round(time.monotonic() - started, 2)
            _choose(state, figures, averaged, recipe)
            if fabric.is_global_zero:
                _save(out, plain, state, run)
            on_epoch(figures)
            fabric.barrier()
    averaged.load_state_dict(state.best_weights)
    return Fitted(averaged.cpu().eval(), tuple(state.history), state.best_epoch)


def _coming(
    pictures: Pictures, recipe: Recipe, first_epoch: int, fabric: Fabric, shares_the_work: bool
) -> Generator[Batch, None, None]:
    """This process's part of all batches from an epoch on."""
    batches = Batches(pictures, recipe, first_epoch, fabric.device, fabric.global_rank, fabric.world_size)
    return beside(batches, largest(recipe)) if shares_the_work else iter(batches)


def is_prepared_beside(network: GreyNetwork, recipe: Recipe, fabric: Fabric, teacher: nn.Module | None = None) -> bool:
    """Whether one core prepares the pictures and another trains: for networks that cost about as much as that does.

    Larger ones train faster on all cores. A teacher only answers, which is a third of what a step of training takes.
    """
    if fabric.device.type != "cpu" or torch.get_num_threads() == 1 or not has_room(largest(recipe)):
        return False
    shape = (1, recipe.size, recipe.size)
    try:
        cost = macs(network, shape) + (macs(teacher, shape) / 3 if teacher is not None else 0)
    except (RuntimeError, NotImplementedError):  # a network that cannot do without numbers
        return False
    return cost <= SMALL * recipe.size**2


def _make_learner(recipe: Recipe, classes: int, fabric: Fabric) -> Learner:
    torch.manual_seed(recipe.seed)
    network = create_network(recipe, classes).to(memory_format=torch.channels_last)
    average = AveragedModel(network, multi_avg_fn=averaging(recipe.average_decay), use_buffers=True)
    groups = _parameter_groups(network, recipe.weight_decay)
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)
    keep_full_precision(network)
    average.module.to(fabric.device)  # its count stays on the processor, where it is asked for at every step
    return Learner(network, average, optimizer)


def step_costs(count: int, recipe: Recipe) -> list[float]:
    """Relative cost of every step of a run, its teachers' first, for a progress bar that knows the time left."""
    steps = steps_per_epoch(count, recipe)
    first = [cost for teacher in recipes.teachers_of(recipe) for cost in step_costs(count, teacher)]
    return [*first, *(float(stage.size**2) for stage in recipe.stages for _ in range(stage.epochs * steps))]


def _choose(state: _State, figures: dict[str, float], averaged: torch.nn.Module, recipe: Recipe) -> None:
    state.epoch = int(figures["epoch"])
    state.history.append(figures)
    last_stage = state.epoch > recipe.epochs - recipe.stages[-1].epochs
    rank = (figures.get("val_recall", 0.0), -figures.get("val_loss", 0.0))
    if last_stage and (rank > state.best_rank or "val_loss" not in figures):
        state.best_epoch, state.best_rank = state.epoch, rank
        state.best_weights = {name: value.detach().cpu().clone() for name, value in averaged.state_dict().items()}


def _validate(logits: FloatArray, targets: Tensor, weights: Tensor) -> dict[str, float]:
    scores = torch.from_numpy(logits)
    correct = (scores.argmax(1) == targets).float()
    recalls = [float(correct[targets == number].mean()) for number in torch.unique(targets)]
    return {
        "val_loss": float(F.cross_entropy(scores, targets, weights)),
        "val_accuracy": float(correct.mean()),
        "val_recall": float(np.mean(recalls)),
    }


def _targets(samples: Sequence[Sample], classes: Sequence[str]) -> Tensor:
    return torch.tensor([classes.index(sample.label) for sample in samples], dtype=torch.long)


def _class_weights(targets: Tensor, classes: int, balance: bool) -> Tensor:
    if not balance:
        return torch.ones(classes)
    counts = torch.bincount(targets, minlength=classes).float().clamp(min=1)
    return len(targets) / (classes * counts)


def _parameter_groups(network: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    weights = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _save(out: Path, learner: Learner, state: _State, run: dict[str, Any]) -> None:
    """Writes beside and renames, so that a kill leaves the old checkpoint or the new one."""
    held = {
        "network": learner.network.state_dict(),
        "average": learner.average.state_dict(),
        "optimizer": learner.optimizer.state_dict(),
        "epoch": state.epoch,
        "history": state.history,
        "best_epoch": state.best_epoch,
        "best_rank": list(state.best_rank),
        "best_weights": state.best_weights,
        "run": json.dumps(run),
    }
    try:
        torch.save(held, out / f"{CHECKPOINT}.new")
        (out / f"{CHECKPOINT}.new").replace(out / CHECKPOINT)
        (out / f"{HISTORY}.new").write_text("".join(json.dumps(figures) + "\n" for figures in state.history))
        (out / f"{HISTORY}.new").replace(out / HISTORY)
    except (OSError, RuntimeError):  # torch reports a full disk as RuntimeError
        raise SteelsightError(
            f"{out}: the checkpoint of epoch {state.epoch} cannot be written; make room and go on with --resume."
        ) from None


def check_begun(out: Path, recipe: Recipe) -> None:
    """Raises SteelsightError where a run in `out` was begun by another recipe."""
    if (out / CHECKPOINT).exists():
        _read(out / CHECKPOINT, {"recipe": recipes.to_dict(recipe)})


def _load(path: Path, learner: Learner, run: dict[str, Any]) -> _State:
    held = _read(path, run)
    learner.network.load_state_dict(held["network"])
    learner.average.load_state_dict(held["average"])
    learner.optimizer.load_state_dict(held["optimizer"])
    return _State(held["epoch"], held["history"], held["best_epoch"], tuple(held["best_rank"]), held["best_weights"])


def _read(path: Path, run: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint of the same run, as far as `run` says what it is."""
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
        before = json.loads(held["run"])
        learned = recipes.to_dict(
            recipes.from_dict(before["recipe"], str(path))
        )  # of an older version, with what is new
    except Exception:  # a damaged file raises nearly anything
        raise SteelsightError(f"{path}: the checkpoint is damaged; start anew with another --out.") from None
    changed = [
        name for name in run["recipe"] if run["recipe"][name] != learned[name] and name not in recipes.OF_THE_FILE
    ]
    changed += [name for name in ("classes", "pictures") if name in run and run[name] != before[name]]
    if changed:
        raise SteelsightError(
            f"{path}: the run was started with other {', '.join(changed)}; "
            "resume it with the same, or give another --out."
        )
    return dict(held)
