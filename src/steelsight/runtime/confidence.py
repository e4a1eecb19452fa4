"""What logits are worth: shares of the classes that add up to 1, less sure the stranger a picture is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from steelsight.records import Card, FloatArray

DOUBT = "doubt"
"""On the card: the power of the strangeness by which a picture is judged less surely; see `doubt`."""

MAP_TEMPERATURE = "map_temperature"
"""On the card: what the class map is divided by, where it is another than the card's temperature: where what a whole
picture is like, or a second look, has a say in its logits, which no place of the map has."""


def warmth_of(card: Card, strangeness: float | None) -> float:
    """What the logits of a picture are divided by: the card's temperature, more for one that is strange."""
    power = card.thresholds.get(DOUBT)
    return card.temperature if strangeness is None or power is None else card.temperature * doubt(strangeness, power)


def doubt(strangeness: float, power: float) -> float:
    """What the temperature is multiplied by: 1 for pictures as near to what is known as known ones, more beyond.

    1 as well where the strangeness is not known (NaN).
    """
    return math.pow(strangeness, power) if strangeness > 1 else 1.0


def shares(logits: Sequence[float], warmth: float) -> list[float]:
    """The softmax of one picture's logits over the warmth. Of so few numbers, arrays would take four times as long."""
    highest = max(logits)
    powers = [math.exp((logit - highest) / warmth) for logit in logits]
    total = sum(powers)
    return [power / total for power in powers]


def shares_of_many(logits: FloatArray, warmth: float) -> FloatArray:
    """The same of logits of shape (n, classes)."""
    powers = np.exp((logits - logits.max(axis=1, keepdims=True)) / np.float32(warmth))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
