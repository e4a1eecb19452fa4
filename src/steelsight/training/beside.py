"""A process beside the training that makes the next batches, in memory that both share and use over again.

A thread would share Python's lock with the training, whose many small steps ask for it all the time. Memory that is new
to every batch, as torch's DataLoader takes it, costs what is won: the system clears each page of it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch import Tensor
from torch import multiprocessing as processes

from steelsight.records import SteelsightError

Batch = tuple[list[int], Tensor]
"""The numbers of pictures and, of each, an item of the tensor."""

SLOTS = 3
"""One is learned from, one waits, one is being written."""
SHARED = Path("/dev/shm")
"""Where Linux keeps what processes share; containers often get little of it."""


def has_room(numbers: int) -> bool:
    """Whether the system can share so many float32 in each slot, twice over."""
    if not sys.platform.startswith("linux"):
        return True
    try:
        held = os.statvfs(SHARED)
    except OSError:
        return False
    return 2 * SLOTS * 4 * numbers <= held.f_bavail * held.f_frsize


def beside(batches: Iterable[Batch], numbers: int) -> Generator[Batch, None, None]:
    """The batches in order, made by a process of its own. Each may be overwritten once the next is asked for.

    batches: what can be sent to a process. numbers: of the largest batch's tensor, which is float32.
    Raises SteelsightError where making one does, and where the process has died.
    """
    slots = torch.empty(SLOTS, numbers).share_memory_()  # type: ignore[no-untyped-call]
    made, making = processes.Pipe(duplex=False)
    used, using = processes.Pipe(duplex=False)
    maker = processes.Process(target=_make, args=(batches, slots, making, used, (made, using)), daemon=True)
    maker.start()
    making.close()
    used.close()
    try:
        while (said := made.recv()) is not None:
            if isinstance(said, str):
                raise SteelsightError(said)
            slot, pictures, shape = said
            yield pictures, _part(slots[slot], shape)
            with suppress(BrokenPipeError):  # the process has made its last one
                using.send(slot)
    except EOFError:
        raise SteelsightError(
            "The process that prepares the pictures has died; free some memory and go on with --resume."
        ) from None
    finally:
        maker.terminate()
        maker.join()
        made.close()
        using.close()


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside it torch computes on one core, so that another is free to prepare."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _make(
    batches: Iterable[Batch], slots: Tensor, making: Connection, used: Connection, others: Iterable[Connection]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the training, which ends this process
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in others:  # of the training alone: when it has gone, nothing is left to wait for
        other.close()
    torch.set_num_threads(1)
    free = list(range(SLOTS))
    with suppress(EOFError, BrokenPipeError):
        try:
            for pictures, tensor in batches:
                slot = free.pop() if free else used.recv()
                _part(slots[slot], tensor.shape).copy_(tensor)
                making.send((slot, pictures, tuple(tensor.shape)))
            making.send(None)
        except SteelsightError as error:
            making.send(str(error))


def _part(slot: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The beginning of a slot, in the order in which networks take pictures."""
    count, channels, height, width = shape
    flat = slot[: count * channels * height * width]
    return flat.view(count, height, width, channels).permute(0, 3, 1, 2)
