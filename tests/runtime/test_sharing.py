import itertools
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelsight.runtime.sharing import in_order


@given(st.lists(st.integers(), max_size=30), st.integers(1, 4), st.integers(1, 8))
def test_answers_come_in_order_and_none_is_lost(items: list[int], threads: int, ahead: int) -> None:
    assert list(in_order(lambda item: 2 * item, items, threads, ahead)) == [2 * item for item in items]


def test_a_slow_item_keeps_its_place() -> None:
    def work(item: int) -> int:
        time.sleep(0.05 if item == 0 else 0)
        return item

    assert list(in_order(work, range(20), 3, 6)) == list(range(20))


def test_as_many_threads_work_as_asked_for_and_the_caller_is_one_of_them() -> None:
    workers = set()
    together = threading.Barrier(3, timeout=10)

    def work(_: int) -> None:
        workers.add(threading.get_ident())
        together.wait()  # ends only if three are at work

    list(in_order(work, range(9), 3, 6))
    assert len(workers) == 3
    assert threading.get_ident() in workers


def test_one_thread_is_the_callers_own() -> None:
    assert set(in_order(lambda _: threading.get_ident(), range(5), 1, 4)) == {threading.get_ident()}


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_no_more_is_taken_than_asked_for(threads: int) -> None:
    taken = []

    def endless() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    answers = in_order(lambda item: item, endless(), threads, 4)
    for _ in range(10):
        next(answers)
    assert len(taken) <= 10 + 4


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_of_the_work_is_raised(threads: int) -> None:
    def work(item: int) -> int:
        if item == 7:
            raise ValueError("seven")
        return item

    with pytest.raises(ValueError, match="seven"):
        list(in_order(work, range(20), threads, 4))


def test_threads_end_with_the_iterator() -> None:
    before = threading.active_count()
    answers = in_order(lambda item: item, itertools.count(), 4, 8)
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
