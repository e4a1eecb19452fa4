"""Batches are prepared ahead in order, and errors come where their batch would have come."""

from __future__ import annotations

import threading

import pytest
import torch

from steelsight.training.ahead import ahead, one_thread


def test_results_come_in_order_whatever_is_prepared_ahead() -> None:
    for count in (0, 1, 7):
        assert list(ahead(lambda number: number**2, range(count))) == [number**2 for number in range(count)]


def test_the_next_one_is_made_by_another_thread_while_this_one_is_used() -> None:
    made, second = [], threading.Event()

    def make(number: int) -> int:
        made.append(threading.get_ident())
        if number == 1:
            second.set()
        return number

    results = ahead(make, range(3))
    assert next(results) == 0
    assert second.wait(timeout=10)
    assert threading.get_ident() not in made
    results.close()


def test_an_error_is_raised_after_what_came_before_it() -> None:
    results = ahead(lambda number: 1 // (2 - number), range(5))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_threads_are_as_before_after_an_error() -> None:
    before, inside = torch.get_num_threads(), []

    def fail() -> None:
        with one_thread():
            inside.append(torch.get_num_threads())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert inside == [1]
    assert torch.get_num_threads() == before
