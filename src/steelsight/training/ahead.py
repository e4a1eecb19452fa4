"""The next batch is prepared while the network learns from this one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Made = TypeVar("Made")


def ahead(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """`make` of every item in order, the next one by a thread of its own while this one is used.

    An error of `make` is raised where its result would have come.
    """
    with ThreadPoolExecutor(max_workers=1) as maker:
        coming: Future[Made] | None = None
        for item in items:
            following = maker.submit(make, item)
            if coming:
                yield coming.result()
            coming = following
        if coming:
            yield coming.result()


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside it torch computes on one core, so that another is free to prepare."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
