"""Work shared out over threads, with answers in order: the thread that asks for them does its part."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

__all__ = ["in_order"]

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True)
class _Task(Generic[Item, Result]):
    item: Item
    answer: Future[Result]


def in_order(work: Callable[[Item], Result], items: Iterable[Item], threads: int, ahead: int) -> Iterator[Result]:
    """`work` of each item, in order, on so many threads: the caller's and others, which end with the iterator.

    A thread that only waits for answers still takes turns with those that compute them, so it computes as well, what
    nobody has begun. ahead: how many items are taken at most before the first of them is answered. Raises what `work`
    raises.
    """
    if threads == 1:
        yield from map(work, items)
        return
    coming, waiting = iter(items), deque[_Task[Item, Result]]()
    pool = ThreadPoolExecutor(threads - 1)
    try:
        while True:
            waiting.extend(_Task(item, pool.submit(work, item)) for item in islice(coming, ahead - len(waiting)))
            if not waiting:
                return
            while not waiting[0].answer.done():
                mine = next((task for task in waiting if task.answer.cancel()), None)
                if mine is None:
                    break
                mine.answer = Future()
                mine.answer.set_result(work(mine.item))
            yield waiting.popleft().answer.result()
    finally:
        pool.shutdown(cancel_futures=True)
