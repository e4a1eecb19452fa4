"""The next batches are prepared while the network learns from this one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

MAKERS = 2
"""Where preparing takes longer than learning, the core that learns helps."""

Item = TypeVar("Item")
Made = TypeVar("Made")


def ahead(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """`make` of every item in order, the next ones by threads of their own while this one is used.

    An error of `make` is raised where its result would have come.
    """
    with ThreadPoolExecutor(max_workers=MAKERS) as makers:
        coming: deque[Future[Made]] = deque()
        for item in items:
            coming.append(makers.submit(make, item))
            if len(coming) > MAKERS:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside it torch computes on one core, so that another is free to prepare."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
