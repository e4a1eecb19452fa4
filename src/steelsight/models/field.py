"""Which pixels a place of the class map depends on, found by asking the network."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from steelsight.models.grey import GreyNetwork

__all__ = ["Field", "field_of"]

SIDE = 640
"""Rows of the picture that is asked about; a network that sees nearly as far cannot scan."""
WIDTH = 64
MIDDLE = SIDE // 2


@dataclass(frozen=True, slots=True)
class Field:
    """Place n of the class map is at row n * `stride` and depends on pixels at most `reach` rows before or after it."""

    stride: int
    reach: int


@torch.no_grad()
def field_of(network: GreyNetwork) -> Field | None:
    """The field of a network that treats every place the same way and sees its neighbourhood alone; else None.

    A row of pixels that are not a number makes those places not a number that depend on it. In double precision, since
    faster convolutions than the plain one also touch what they need not.
    """
    if not hasattr(network.network, "forward_map"):
        return None
    network = copy.deepcopy(network).double().eval()
    picture = torch.rand(1, 1, SIDE, WIDTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    try:
        places = network.with_map(picture)[1].shape[2]
        field = _measured(network, picture, round(SIDE / places))
    except (RuntimeError, ValueError):  # the network does not take such a picture
        return None
    return field if field and _is_the_same_everywhere(network, picture, field) else None


def _measured(network: GreyNetwork, picture: Tensor, stride: int) -> Field | None:
    reach = 0
    spans = []
    for row in range(MIDDLE, MIDDLE + stride + 1):
        span = _span(network, picture, row)
        if span is None:
            return None
        spans.append(span)
        reach = max(reach, row - span[0] * stride, span[1] * stride - row)
    first, last = spans[0]
    return Field(stride, reach + 1) if spans[-1] == (first + 1, last + 1) else None


def _span(network: GreyNetwork, picture: Tensor, row: int) -> tuple[int, int] | None:
    """The first and last row of the class map that a row of pixels reaches, if they do not touch its ends."""
    spoilt = picture.clone()
    spoilt[:, :, row] = torch.nan
    reached = torch.isnan(network.with_map(spoilt)[1]).flatten(3).any(3).any(1)[0]
    rows = reached.nonzero()
    if len(rows) == 0 or reached[0] or reached[-1]:
        return None
    return int(rows[0]), int(rows[-1])


def _is_the_same_everywhere(network: GreyNetwork, picture: Tensor, field: Field) -> bool:
    above = -(-field.reach // field.stride)
    whole, part = (network.with_map(each)[1] for each in (picture, picture[:, :, field.stride :]))
    if whole.shape[2] != part.shape[2] + 1 or whole.shape[2] <= 2 * above + 1:
        return False
    return torch.allclose(whole[:, :, above + 1 : -above], part[:, :, above:-above], atol=1e-4)
