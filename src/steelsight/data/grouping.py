"""Groups of pictures that share pixels, looked for once and kept as CSV (image,group)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from steelsight.data import overlap
from steelsight.data.naming import Named
from steelsight.records import SteelsightError

COLUMNS = ["image", "group"]


def find_or_read(
    paths: Sequence[Path], names: Sequence[str], kept: Path, on_progress: overlap.Progress | None = None
) -> list[str]:
    """The group of each picture: from the file `kept` where it knows all names, else looked for and kept there.

    Raises SteelsightError where the file cannot be written.
    """
    if kept.exists():
        try:
            return read(kept, names)
        except SteelsightError:
            pass  # of other pictures
    found = overlap.find(paths, on_progress=on_progress or (lambda *_: None))
    groups = [str(number) for number in overlap.groups(len(paths), found)]
    try:
        with kept.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(zip(names, groups, strict=True))
    except OSError as error:
        raise SteelsightError(f"{kept}: cannot be written ({error.strerror}); give another --out.") from None
    return groups


def read(path: Path, names: Sequence[str]) -> list[str]:
    """The group of each name. Raises SteelsightError where the file lacks one."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            known = Named((row["image"], row["group"]) for row in csv.DictReader(file))
    except FileNotFoundError:
        raise SteelsightError(f"{path}: there is no such file of groups; check the path.") from None
    except (OSError, KeyError, TypeError, ValueError, csv.Error):
        raise SteelsightError(
            f"{path}: is not a file of groups; it needs the columns image,group and a line for each picture."
        ) from None
    missing = [name for name in names if not known.get(name)]
    if missing:
        raise SteelsightError(f"{path}: has no group for {missing[0]}; make it from the same folder.")
    return [known.get(name) or "" for name in names]
