"""Memory: what a batch used is there for the next one, without the system's help."""

import os
import subprocess
import sys

import pytest

FIRST = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""What glibc begins with; it may raise both by itself, depending on what was freed before."""
FAULTS = """
import resource, torch
from steelsight.training.memory import keep_memory
{first}
torch.set_num_threads(1)
picture = torch.rand(1_000_000)

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        (picture - 0.5) / 2
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults())
"""


def faults(first: str) -> int:
    command, settings = [sys.executable, "-c", FAULTS.format(first=first)], {**os.environ, **FIRST}
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=settings)
    return int(told.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_the_system_is_asked_for_less_memory_once_it_is_kept() -> None:
    assert faults("keep_memory()") < faults("") / 5
