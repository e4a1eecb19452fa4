"""A process beside makes batches in order, and its errors come where their batch would have come."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from steelsight.records import SteelsightError
from steelsight.training.beside import SHARED, Batch, beside, has_room, one_thread


@dataclass(frozen=True)
class Counted:
    """Batches of two pictures of 4x4 pixels, each pixel the batch's number; the last one may fail."""

    count: int
    fails: str = ""

    def __iter__(self) -> Iterator[Batch]:
        for number in range(self.count):
            yield [number, os.getpid()], torch.full((2, 1, 4, 4), float(number))
        if self.fails == "sentence":
            raise SteelsightError("steel.png: cannot be read.")
        if self.fails == "killed":
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_batches_come_in_order_from_another_process(count: int) -> None:
    found = [(numbers, tensor.clone()) for numbers, tensor in beside(Counted(count), 32)]
    assert [numbers[0] for numbers, _ in found] == list(range(count))
    assert all(numbers[1] != os.getpid() for numbers, _ in found)
    assert all(torch.equal(tensor, torch.full((2, 1, 4, 4), float(number))) for number, (_, tensor) in enumerate(found))


def test_batches_may_be_smaller_than_their_room() -> None:
    assert [tuple(tensor.shape) for _, tensor in beside(Counted(4), 1000)] == [(2, 1, 4, 4)] * 4


def test_the_process_may_be_gone_before_its_last_batch_is_used() -> None:
    coming = beside(Counted(2), 32)
    maker = next(coming)[0][1]
    while Path(f"/proc/{maker}/stat").exists() and Path(f"/proc/{maker}/stat").read_text().split()[2] != "Z":
        time.sleep(0.01)
    assert [numbers[0] for numbers, _ in coming] == [1]


def test_a_sentence_is_raised_after_what_came_before_it() -> None:
    coming = beside(Counted(2, fails="sentence"), 32)
    assert [next(coming)[0][0], next(coming)[0][0]] == [0, 1]
    with pytest.raises(SteelsightError, match=r"^steel.png: cannot be read\.$"):
        next(coming)


def test_a_process_that_died_is_said() -> None:
    with pytest.raises(SteelsightError, match="has died; free some memory and go on with --resume"):
        list(beside(Counted(1, fails="killed"), 32))


def test_no_process_is_left_when_no_more_is_asked_for() -> None:
    coming = beside(Counted(100), 32)
    maker = next(coming)[0][1]
    coming.close()
    with pytest.raises(ProcessLookupError):
        os.kill(maker, 0)


def test_there_is_room_for_little_and_not_for_everything() -> None:
    assert has_room(1)
    assert not has_room(10**15) or not SHARED.exists()


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
