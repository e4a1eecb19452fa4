"""What a model file needs to know when it should not judge: fitted on training pictures, held against held-out ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax
from sklearn.covariance import ledoit_wolf

from steelsight import images
from steelsight.data import foldfile
from steelsight.evaluation import cells as on_disk
from steelsight.evaluation.calibration import alarm_threshold, candidate_share, log_loss, temperature
from steelsight.models.grey import GreyNetwork, looks
from steelsight.models.strangeness import Strangeness
from steelsight.records import Card, FloatArray, GreyImage, Sample
from steelsight.runtime.classifier import CANDIDATE_SHARE, FURTHER, STRANGENESS, Classifier, load
from steelsight.runtime.confidence import DOUBT, MAP_TEMPERATURE, doubt
from steelsight.runtime.regions import lead_of_another
from steelsight.training.augment import augment
from steelsight.training.levels import BATCH, from_levels
from steelsight.training.recipe import DIRECTIONS, Augmentation, Recipe

FALSE_ALARMS = 0.01
"""Share of pictures of known classes that may be called unknown."""
FALSELY_FURTHER = 0.02
"""Share of pictures of one class that may be said to show another one as well."""
APART = 0.1
"""Between logits and the means of the class map, where likeness or a second look has a say in the former."""
COVERAGE = 0.99
"""Share of pictures whose true class is to be among the candidates."""
ENOUGH = 2
"""Pictures of a class for each direction that tell its spread; one with fewer borrows from all classes."""
POWERS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
"""Of the strangeness, by which a picture may be judged less surely."""
ROUGH_WEIGHT = 0.1
"""How much a roughly changed picture counts, beside 1 for one as it is, in how sure to be."""
ROUGH = Augmentation(
    rotation=18.0,
    scale=1.5,
    gain=3.0,
    brightness=0.3,
    ramp=0.5,
    gamma=2.2,
    vignette=0.7,
    blur=2.0,
    noise=0.1,
    shot_noise=0.18,
    dust=0.8,
    dead_pixels=0.03,
    share=0.35,
)
"""How pictures are changed that have a say in how sure to be: more roughly than in most recipes."""

Floats = npt.NDArray[np.float64]
Change = Callable[[GreyImage, int], GreyImage]
"""A picture and its number -> the picture to ask about."""


@dataclass(frozen=True, slots=True)
class Warmth:
    """How sure to be: the temperature, and the power of the strangeness that multiplies it."""

    temperature: float
    power: float

    def of(self, strangeness: npt.NDArray[np.floating]) -> Floats:
        """What the logits (..., classes) of pictures of this strangeness (...) are divided by, (..., 1)."""
        doubts: Floats = np.vectorize(doubt, otypes=[np.float64])(strangeness, self.power)
        return self.temperature * doubts[..., None]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What a model said of pictures that it has not learned from."""

    logits: FloatArray
    """Shape (pictures, classes)."""
    truth: npt.NDArray[np.int64]
    strangeness: FloatArray
    lead_of_another: FloatArray
    """How far a class but the best leads at most on the class map (`runtime.regions.lead_of_another`)."""
    map_means: FloatArray | None = None
    """Of the class map, shape (pictures, classes), where likeness or a second look made the logits others."""


def familiarity(
    network: GreyNetwork, training: Sequence[Sample], classes: Sequence[str], recipe: Recipe
) -> Strangeness:
    """Where the training pictures of each class lie in the network's features, and how widely; with the say in the
    class that the recipe gives it."""
    features = from_levels(network, training, recipe.size, looks).double().numpy()
    return fitted(features, _numbers(training, classes), recipe.directions, recipe.likeness)


def fitted(
    features: Floats, numbers: npt.NDArray[np.int64], count: int = DIRECTIONS, likeness: float = 0.0
) -> Strangeness:
    """Features of training pictures, (pictures, features), and the numbers of their classes -> what is familiar.

    Looked at are so many directions in which the pictures differ most, each feature in its own deviation. A class of
    few pictures borrows its spread from all classes.
    """
    deviation = features.std(0)
    scaled = features / np.where(deviation > 0, deviation, 1)
    _, principal = np.linalg.eigh(np.cov(scaled.T))
    directions = (principal / np.where(deviation > 0, deviation, 1)[:, None])[:, -count:]
    placed = features @ directions
    parts = [placed[numbers == number] for number in range(int(numbers.max()) + 1)]
    centres = np.stack([part.mean(0) for part in parts])
    common = ledoit_wolf(placed - centres[numbers], assume_centered=True)[0]
    spreads = [_spread(part - centre, common) for part, centre in zip(parts, centres, strict=True)]
    least = np.eye(len(common)) * (1e-6 * np.trace(common) / len(common) + 1e-12)
    along, middles, wide = (torch.from_numpy(value) for value in (directions, centres, np.stack(spreads) + least))
    return Strangeness(along, middles, wide, likeness)


def _spread(away: Floats, common: Floats) -> Floats:
    """The covariance of a class from how far its pictures are from its centre; of few pictures with that of all."""
    own = ledoit_wolf(away, assume_centered=True)[0] if len(away) > 1 else np.zeros_like(common)
    share = min(1.0, len(away) / (ENOUGH * away.shape[1]))
    return np.asarray(share * own + (1 - share) * common)


def as_it_is(grey: GreyImage, _: int) -> GreyImage:
    return grey


def changed_roughly(grey: GreyImage, number: int) -> GreyImage:
    """A picture as ROUGH changes it; the number seeds what is drawn."""
    levels = torch.tensor(grey)[None, None].float() / 255
    return np.asarray((augment(levels, ROUGH, 0, 0, [number])[0, 0] * 255).round().byte())


def held_out(classifier: Classifier, samples: Sequence[Sample], change: Change = as_it_is) -> HeldOut:
    """The classifier's answers on labelled pictures, which must be readable and of its classes.

    change: what is done first to each picture, given with its number.
    """
    logits, means, strangeness, leads = [], [], [], list[float]()
    for start in range(0, len(samples), BATCH):
        paths = [sample.path for sample in samples[start : start + BATCH]]
        output = classifier.judged([change(images.decode(path), number) for number, path in enumerate(paths, start)])
        logits.append(output.logits)
        means.append(output.class_maps.mean((2, 3)))
        strangeness.append(np.zeros(len(output.logits)) if output.strangeness is None else output.strangeness)
        best = output.logits.argmax(1)
        leads += [lead_of_another(each, number) for each, number in zip(output.class_maps, best, strict=True)]
    truth = _numbers(samples, classifier.classes)
    said, of_map = np.concatenate(logits), np.concatenate(means)
    apart = np.abs(said - of_map).max() > APART
    lead = np.array(leads, np.float32)
    return HeldOut(said, truth, np.concatenate(strangeness), lead, of_map if apart else None)


def held_out_by_cells(cells: Path, samples: Sequence[Sample], root: Path, change: Change = as_it_is) -> HeldOut:
    """What the finished cells of a cross-validation said of their test parts, together."""
    assigned, _ = foldfile.match_samples(samples, root, cells / on_disk.FOLDS)
    return together(
        [
            held_out(
                load(cell.folder),
                [s for s, entry in zip(samples, assigned, strict=True) if entry.fold == cell.fold],
                change,
            )
            for cell in on_disk.done(cells)
        ]
    )


def together(parts: Sequence[HeldOut]) -> HeldOut:
    """The answers of all parts, one after the other."""
    means = [part.map_means for part in parts if part.map_means is not None]
    return HeldOut(
        np.concatenate([part.logits for part in parts]),
        np.concatenate([part.truth for part in parts]),
        np.concatenate([part.strangeness for part in parts]),
        np.concatenate([part.lead_of_another for part in parts]),
        np.concatenate(means) if len(means) == len(parts) else None,
    )


def calibrated(card: Card, found: HeldOut, rough: HeldOut) -> Card:
    """The card with the temperature and the thresholds that held-out pictures ask for.

    found: pictures as they are. rough: the same, changed roughly, which have a say in how sure to be.
    """
    warmth = warmth_for(found, rough)
    shares = softmax(found.logits / warmth.of(found.strangeness), axis=1)
    thresholds = {
        DOUBT: warmth.power,
        CANDIDATE_SHARE: candidate_share(shares, found.truth, COVERAGE),
        STRANGENESS: alarm_threshold(found.strangeness, FALSE_ALARMS),
        FURTHER: alarm_threshold(found.lead_of_another, FALSELY_FURTHER),
        **_for_the_map(found, rough),
    }
    known = {name: value for name, value in thresholds.items() if np.isfinite(value) and value > 0}
    return replace(card, temperature=warmth.temperature, thresholds=known)


def warmth_for(found: HeldOut, rough: HeldOut) -> Warmth:
    """The temperature, and the power of POWERS, with which held-out pictures have the least log-loss: those as they are
    and, with a tenth of their weight, the same changed roughly.

    Of pictures as they are a good network gets so few wrong that they alone allow any certainty.
    """
    both, weights = together([found, rough]), _weights(found, rough)

    def best_at(power: float) -> Warmth:
        return Warmth(temperature(both.logits / Warmth(1.0, power).of(both.strangeness), both.truth, weights), power)

    def loss(warmth: Warmth) -> float:
        return log_loss(both.logits / warmth.of(both.strangeness), both.truth, weights)

    return min(map(best_at, POWERS), key=loss)


def _for_the_map(found: HeldOut, rough: HeldOut) -> dict[str, float]:
    """The class map's own temperature, found as the logits' is, where these are others."""
    both = together([found, rough])
    if both.map_means is None:
        return {}
    return {MAP_TEMPERATURE: temperature(both.map_means, both.truth, _weights(found, rough))}


def _weights(found: HeldOut, rough: HeldOut) -> Floats:
    """How much each picture counts, those as they are first."""
    return np.repeat([1.0, ROUGH_WEIGHT], [len(found.truth), len(rough.truth)])


def _numbers(samples: Sequence[Sample], classes: Sequence[str]) -> npt.NDArray[np.int64]:
    return np.array([classes.index(sample.label) for sample in samples], np.int64)
