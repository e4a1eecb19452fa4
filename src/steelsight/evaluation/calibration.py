"""Makes confidences mean something, by pictures that the network has not learned from. Needs the `train` extra."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

Floats = npt.NDArray[np.floating]
Numbers = npt.NDArray[np.integer]

HOTTEST = 20.0
"""Temperatures are looked for between this and its inverse."""


def temperature(logits: Floats, truth: Numbers, weights: Floats | None = None) -> float:
    """What logits (pictures, classes) are to be divided by for the lowest log-loss (Guo et al. 2017, section 4.2).

    truth: numbers of the true classes. weights: how much each picture counts; all alike where None. Where every answer
    is right the loss falls for ever; then 1 is returned: nothing says how sure is too sure.
    """
    if (logits.argmax(1) == truth).all():
        return 1.0

    def loss(power: float) -> float:
        return log_loss(logits / math.exp(power), truth, weights)

    limit = math.log(HOTTEST)
    return math.exp(minimize_scalar(loss, bounds=(-limit, limit), method="bounded").x)


def log_loss(logits: Floats, truth: Numbers, weights: Floats | None = None) -> float:
    """The mean over the pictures, in nats."""
    return float(np.average(-log_softmax(logits, axis=1)[np.arange(len(truth)), truth], weights=weights))


def candidate_share(shares: Floats, truth: Numbers, coverage: float) -> float:
    """The share that a class needs in order to be a candidate, so that the true class is one in `coverage` of pictures.

    shares: scores that add up to 1, (pictures, classes). Split conformal prediction (Sadinle et al. 2019): it holds for
    new pictures like these, whatever the network. 0, every class, where there are too few pictures to say more.
    """
    of_truth = np.sort(shares[np.arange(len(truth)), truth])
    missed = math.floor((len(truth) + 1) * (1 - coverage) + 1e-9)
    return float(of_truth[missed - 1]) if missed else 0.0


def alarm_threshold(strangeness: Floats, false_alarms: float) -> float:
    """What the strangeness of known pictures exceeds in at most this share of new ones like them.

    Infinity where there are too few pictures to say.
    """
    alarms = math.floor((len(strangeness) + 1) * false_alarms + 1e-9)
    return float(np.sort(strangeness)[-alarms]) if alarms else math.inf
