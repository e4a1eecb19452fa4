"""What fold files and files of groups call a picture: its path below the data's folder, as a rule without its ending.

Without it, since a fold file of the BMPs is to serve for the same pictures as JPEG too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Generic, TypeVar

from steelsight.images import SUFFIXES

T = TypeVar("T")


def names_of(paths: Sequence[Path], root: Path) -> list[str]:
    """A name for each path; the ending stays where two pictures differ in nothing else."""
    inside = [(path.relative_to(root) if path.is_relative_to(root) else path).as_posix() for path in paths]
    times = Counter(map(without_ending, inside))
    return [name if times[without_ending(name)] > 1 else without_ending(name) for name in inside]


def without_ending(name: str) -> str:
    """a/b.png -> a/b, but a/b.5mm stays."""
    ending = PurePosixPath(name).suffix
    return name.removesuffix(ending) if ending.lower() in SUFFIXES else name


class Named(Generic[T]):
    """What is known by a picture's name, found with and without the ending of either."""

    def __init__(self, entries: Iterable[tuple[str, T]]) -> None:
        """Raises ValueError, with the name, where one stands there twice."""
        self._exact: dict[str, T] = {}
        for name, value in entries:
            if name in self._exact:
                raise ValueError(name)
            self._exact[name] = value
        times = Counter(map(without_ending, self._exact))
        self._bare = {bare: value for name, value in self._exact.items() if times[bare := without_ending(name)] == 1}

    def get(self, name: str) -> T | None:
        """None for a name that is not known, and for one without its ending that several share."""
        return self._exact.get(name, self._bare.get(without_ending(name)))

    def beyond(self, names: Iterable[str]) -> list[str]:
        """The names known here that are none of those given."""
        given = set(map(without_ending, names))
        return sorted(name for name in self._exact if without_ending(name) not in given)
