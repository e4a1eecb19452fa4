"""Groups of pictures that share pixels, looked for once and kept as CSV (image,group,pixels)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from steelsight.data import overlap
from steelsight.data.naming import Named
from steelsight.images import decode, fingerprint
from steelsight.records import SteelsightError

COLUMNS = ["image", "group", "pixels"]


def find_or_read(
    paths: Sequence[Path], names: Sequence[str], kept: Path, on_progress: overlap.Progress | None = None
) -> list[str]:
    """The group of each picture: from the file `kept` if it is of the same pixels, else looked for and kept there.

    Raises SteelsightError where the file cannot be written, or a picture cannot be read.
    """
    prints = [fingerprint(decode(path)) for path in paths]
    if kept.exists() and _pixels(kept) == dict(zip(names, prints, strict=True)):
        return read(kept, names)
    found = overlap.find(paths, on_progress=on_progress or (lambda *_: None))
    groups = [str(number) for number in overlap.groups(len(paths), found)]
    try:
        with kept.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(zip(names, groups, prints, strict=True))
    except OSError as error:
        raise SteelsightError(f"{kept}: cannot be written ({error.strerror}); give another --out.") from None
    return groups


def _pixels(kept: Path) -> dict[str, str]:
    """Fingerprint of every picture of an earlier search; nothing where the file is another."""
    try:
        with kept.open(newline="", encoding="utf-8-sig") as file:
            return {row["image"]: row["pixels"] for row in csv.DictReader(file)}
    except (OSError, KeyError, TypeError, ValueError, csv.Error):
        return {}


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
