"""The loop: one epoch of training, and predictions of a whole set. Plain values in, plain dicts out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from steelsight.records import FloatArray, SteelsightError
from steelsight.training.batches import steps_per_epoch
from steelsight.training.beside import Batch
from steelsight.training.pictures import Pictures
from steelsight.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Part:
    """Pictures with the numbers of their classes, and how much each class weighs in the loss."""

    pictures: Pictures
    targets: Tensor
    class_weights: Tensor


@dataclass(frozen=True, slots=True)
class Learner:
    """What training changes: the network, the average of its weights, and the optimizer's memory."""

    network: nn.Module
    average: AveragedModel
    optimizer: Optimizer


TAUGHT = 0.7
"""The teacher's share of the loss."""
WARMTH = 2.0
"""Temperature at which teacher and pupil are compared: what is not said aloud counts more."""


def distance(logits: Tensor, told: Tensor) -> Tensor:
    """How far answers are from a teacher's, both (batch, classes): Hinton and others, Distilling the knowledge in a
    neural network, 2015, section 2. Times the squared temperature, as there, so that its gradient is no smaller."""
    expected = F.softmax(told / WARMTH, 1)
    return WARMTH**2 * F.kl_div(F.log_softmax(logits / WARMTH, 1), expected, reduction="batchmean")


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """One cycle: half a cosine up to the peak over the warm-up, half a cosine down to nearly nothing after it."""
    warm = recipe.warmup * steps
    if step < warm:
        return recipe.learning_rate * (0.04 + 0.96 * (1 - math.cos(math.pi * step / warm)) / 2)
    return recipe.learning_rate * (1e-4 + (1 + math.cos(math.pi * (step - warm) / max(1.0, steps - warm))) / 2)


def train_epoch(
    fabric: Fabric,
    learner: Learner,
    part: Part,
    coming: Iterator[Batch],
    recipe: Recipe,
    epoch: int,
    *,
    on_step: Callable[[], None],
    teacher: nn.Module | None = None,
) -> dict[str, float]:
    """One pass over the training part, whose batches are the next that come.

    A teacher is asked about every picture as it is changed.

    Raises SteelsightError where the loss was not finite. To ask for it at every step would make a GPU wait.
    """
    learner.network.train()
    torch.manual_seed(_number(recipe.seed, epoch, fabric.global_rank))
    count = steps_per_epoch(len(part.pictures), recipe)
    first, steps = epoch * count, recipe.epochs * count
    losses = []
    for step, (numbers, grey) in enumerate(islice(coming, count), start=first):
        for group in learner.optimizer.param_groups:
            group["lr"] = learning_rate(recipe, step, steps)
        logits = learner.network(grey).float()
        target = fabric.to_device(part.targets[numbers])
        loss = F.cross_entropy(logits, target, part.class_weights, label_smoothing=recipe.label_smoothing)
        if teacher is not None:
            with torch.no_grad(), fabric.autocast():
                told = teacher(grey).float()
            loss = (1 - TAUGHT) * loss + TAUGHT * distance(logits, told)
        fabric.backward(loss)
        learner.optimizer.step()
        learner.optimizer.zero_grad()
        learner.average.update_parameters(learner.network)
        losses.append(loss.detach())
        on_step()
    train_loss = float(torch.stack(losses).mean())
    if not math.isfinite(train_loss):
        raise SteelsightError(
            f"Training diverged in epoch {epoch + 1}: the loss is not finite; lower learning_rate in the recipe."
        )
    return {
        "epoch": epoch + 1,
        "size": recipe.stage_of(epoch).size,
        "learning_rate": learning_rate(recipe, step, steps),
        "train_loss": train_loss,
    }


def averaging(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """Exponential average of weights and buffers that follows quickly at first, then with this decay."""

    @torch.no_grad()
    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        share = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        if averaged[0].is_floating_point():  # all of one call are of one type
            torch._foreach_lerp_(list(averaged), list(current), share)
        else:
            torch._foreach_copy_(list(averaged), list(current))

    return update


@torch.no_grad()
def predict(fabric: Fabric, network: nn.Module, pictures: Pictures, size: int, batch_size: int = 64) -> FloatArray:
    """Logits of every picture, shape (pictures, classes), in the run's precision."""
    network.eval()
    logits = []
    for start in range(0, len(pictures), batch_size):
        numbers = range(start, min(start + batch_size, len(pictures)))
        grey = fabric.to_device(pictures.batch(numbers, size)).float() / 255
        with fabric.autocast():
            logits.append(network(grey.contiguous(memory_format=torch.channels_last)).float().cpu())
    return torch.cat(logits).numpy()


def _number(*seeds: int) -> int:
    return int(np.random.SeedSequence(seeds).generate_state(1)[0])
