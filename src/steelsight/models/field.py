"""Which pixels a place of the class map depends on, found by asking the network."""

from __future__ import annotations

import copy
from collections.abc import Callable
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
    """Place n of the class map sees nothing farther than `reach` pixels from row (and column) n * `stride`."""

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
    try:
        along_rows, along_columns = (_measured(network, turned=turned) for turned in (False, True))
    except (RuntimeError, ValueError, AssertionError):  # the network does not take such a picture
        return None
    if not along_rows or not along_columns or along_rows.stride != along_columns.stride:
        return None
    return Field(along_rows.stride, max(along_rows.reach, along_columns.reach))


def _measured(network: GreyNetwork, *, turned: bool) -> Field | None:
    def ask(picture: Tensor) -> Tensor:
        return network.with_map(picture.mT)[1].mT if turned else network.with_map(picture)[1]

    picture = torch.rand(1, 1, SIDE, WIDTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole = ask(picture)
    more = whole.shape[2] - ask(picture[:, :, : SIDE // 2]).shape[2]
    stride = round(SIDE / 2 / more) if more > 0 else 0
    if not stride:
        return None
    spans = {row: _span(ask, picture, row) for row in range(MIDDLE, MIDDLE + stride + 1)}
    if any(span is not None and (span[0] == 0 or span[1] == whole.shape[2] - 1) for span in spans.values()):
        return None
    seen = {row: span for row, span in spans.items() if span is not None}  # strides may leave rows unseen
    if not seen:
        return None
    reach = max(max(row - first * stride, last * stride - row) for row, (first, last) in seen.items())
    field = Field(stride, max(reach, 0))
    return field if _is_the_same_everywhere(ask, picture, field) else None


def _span(ask: Callable[[Tensor], Tensor], picture: Tensor, row: int) -> tuple[int, int] | None:
    """The first and last row of the class map that a row of pixels reaches."""
    spoilt = picture.clone()
    spoilt[:, :, row] = torch.nan
    rows = torch.isnan(ask(spoilt)).any(3).any(1)[0].nonzero()
    return (int(rows[0]), int(rows[-1])) if len(rows) else None


def _is_the_same_everywhere(ask: Callable[[Tensor], Tensor], picture: Tensor, field: Field) -> bool:
    above = -(-field.reach // field.stride)
    whole, part = ask(picture), ask(picture[:, :, field.stride :])
    if whole.shape[2] != part.shape[2] + 1 or whole.shape[2] <= 2 * above + 2:
        return False
    end = whole.shape[2] - above - 1
    return torch.allclose(whole[:, :, above + 1 : end], part[:, :, above : end - 1], atol=1e-6)
