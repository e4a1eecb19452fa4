"""What a trained network sees of pictures, taken from its feature maps batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from steelsight.models.grey import GreyNetwork
from steelsight.records import Sample
from steelsight.training.pictures import Pictures

BATCH = 64


@torch.no_grad()
def from_levels(
    network: GreyNetwork, samples: Sequence[Sample], size: int, take: Callable[[list[Tensor]], Tensor]
) -> Tensor:
    """What `take` makes of the feature maps of each batch, all pictures one after the other.

    Raises ImageError where a picture cannot be read.
    """
    network, pictures = network.eval(), Pictures(samples)
    batches = (range(start, min(start + BATCH, len(pictures))) for start in range(0, len(pictures), BATCH))
    return torch.cat([take(network.with_levels(pictures.batch(numbers, size).float() / 255)[2]) for numbers in batches])
