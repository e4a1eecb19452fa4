"""Labelled pictures on disk -> samples. Lists and parses, never decodes a picture."""

from __future__ import annotations

import csv
import io
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from steelsight.images import SUFFIXES
from steelsight.records import Region, Sample, SteelsightError

NEU_CLASSES = ("crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale", "scratches")
LAYOUTS = (
    "a folder for each class, the same below train, val and test, NEU-CLS (Cr_1.bmp), "
    "NEU-DET (IMAGES and ANNOTATIONS) and a CSV file with the columns image and label"
)

_NEU_PREFIXES = dict(zip(("cr", "in", "pa", "ps", "rs", "sc"), NEU_CLASSES, strict=True))
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}

_Place = Path | os.DirEntry[str]
_Found = Iterator[Sample | str]
"""Samples, and a sentence for whatever cannot be one."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """What a folder or manifest holds; each of `problems` is a sentence about something that was left out."""

    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    problems: tuple[str, ...]


def read(path: Path) -> Catalog:
    """Folder or CSV manifest -> its samples, in natural order (a manifest's in its own).

    Raises SteelsightError where nothing can be used.
    """
    mode = _mode(path)
    if not mode:
        raise SteelsightError(f"{path}: there is no such file or folder; check the path.")
    is_folder = stat.S_ISDIR(mode)
    found = list(_folder(path) if is_folder else _manifest(path))
    samples = tuple(one for one in found if isinstance(one, Sample))
    problems = tuple(one for one in found if isinstance(one, str))
    if not samples:
        raise SteelsightError(_why_nothing(path, problems, is_folder=is_folder))
    return Catalog(samples, tuple(sorted({sample.label for sample in samples})), problems)


def root_of(data: Path) -> Path:
    """The folder that pictures are named from: the data's own, or that of its manifest."""
    return data if data.is_dir() else data.parent


def pictures(paths: Sequence[Path]) -> Iterator[Path | SteelsightError]:
    """Files as they are named and, in natural order, the pictures below folders; labels play no part.

    What is missing, empty or closed comes as a SteelsightError in its place; none is raised.
    """
    for path in paths:
        mode = _mode(path)
        if not mode:
            yield SteelsightError(f"{path}: there is no such file or folder; check the path.")
        elif stat.S_ISDIR(mode):
            yield from _walk(path)
        else:
            yield path


def _folder(folder: Path, part: str | None = None) -> _Found:
    try:
        children = _children(folder)
    except SteelsightError as error:
        yield str(error)
        return
    folders = [Path(child) for child in children if _is_folder(child)]
    files = [Path(child) for child in children if _is_picture(child.name) and not _is_folder(child)]
    named = {child.name.casefold(): child for child in folders}
    if {"images", "annotations"} <= named.keys():
        yield from _neu_det(named.pop("images"), named.pop("annotations"), part)
        named.pop("masks", None)
        yield from _beside([*named.values(), *files], "IMAGES and ANNOTATIONS")
    elif any(_neu_label(file) for file in files):
        yield from _neu_cls(files, part)
        yield from _beside(folders, "pictures named as in NEU-CLS")
    else:
        yield from (f"{file}: has no label; put it into the folder of its class." for file in files)
        has_parts = part is None and any(name in _PARTS for name in named)
        for child in folders:
            yield from _part(child) if has_parts else _class(child, part)


def _part(folder: Path) -> _Found:
    part = _PARTS.get(folder.name.casefold())
    if part:
        yield from _folder(folder, part)
    else:
        yield from _beside([folder], "train, val or test")


def _beside(places: Iterable[Path], what: str) -> Iterator[str]:
    return (f"{place}: stands beside {what} and is passed over; read it by itself." for place in places)


def _class(folder: Path, part: str | None) -> _Found:
    for found in _walk(folder):
        yield Sample(found, folder.name, part=part) if isinstance(found, Path) else str(found)


def _neu_label(file: Path) -> str | None:
    prefix, _, number = file.stem.partition("_")
    return _NEU_PREFIXES.get(prefix.casefold()) if re.fullmatch("[0-9]+", number) else None


def _neu_cls(files: Iterable[Path], part: str | None) -> _Found:
    for file in files:
        label = _neu_label(file)
        yield Sample(file, label, part=part) if label else f"{file}: is not named as in NEU-CLS (Cr_1.bmp); rename it."


def _neu_det(images: Path, annotations: Path, part: str | None) -> _Found:
    try:
        entries = _children(annotations)
    except SteelsightError as error:
        yield str(error)
        entries = []
    annotated = {Path(entry).stem.casefold(): Path(entry) for entry in entries if entry.name.lower().endswith(".xml")}
    for file in _walk(images):
        if isinstance(file, SteelsightError):
            yield str(file)
            continue
        name = re.fullmatch("(.+)_[0-9]+", file.stem)
        if not name:
            yield f"{file}: is not named as in NEU-DET (crazing_1.jpg); rename it."
            continue
        boxes: tuple[Region, ...] = ()
        try:
            boxes = _boxes(annotated[file.stem.casefold()])
        except KeyError:
            yield f"{file}: has no XML file in {annotations}; add one, boxes are left out."
        except SteelsightError as error:
            yield str(error)
        yield Sample(file, name[1], boxes, part)


class _WithoutDoctype(ET.TreeBuilder):
    """Refuses document types, and with them the entities that make a small file grow without end."""

    def doctype(self, name: str, *_: str | None) -> None:
        raise ValueError(f"the document type {name} is not allowed")


def _boxes(file: Path) -> tuple[Region, ...]:
    """Pascal VOC counts pixels from 1 and includes the last one."""
    try:
        parser = ET.XMLParser(target=_WithoutDoctype())
        root = ET.fromstring(file.read_bytes(), parser)
        return tuple(_box(each) for each in root.iter("object"))
    except (OSError, ET.ParseError, ValueError, LookupError, OverflowError) as error:
        raise SteelsightError(f"{file}: is not sound Pascal VOC ({error}); mend it, boxes are left out.") from None


def _box(each: ET.Element) -> Region:
    label = (each.findtext("name") or "").strip()
    left, top, right, bottom = (int(float(each.findtext(f"bndbox/{side}") or "")) for side in _SIDES)
    x, y = max(left - 1, 0), max(top - 1, 0)
    if not label or right <= x or bottom <= y:
        raise ValueError("a box has no name or no area")
    return Region(label, x, y, right - x, bottom - y)


def _manifest(file: Path) -> _Found:
    try:
        text = file.read_bytes().decode("utf-8-sig")
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
        header = [name.strip().casefold() for name in next(rows, [])]
        if not {"image", "label"} <= set(header):
            raise SteelsightError(f"{file}: has no columns image and label; name them in its first line.")
        first: dict[str, tuple[Sample, int]] = {}
        for cells in rows:
            if any(cells):
                yield from _row(file, dict(zip(header, cells, strict=False)), rows.line_num, first)
    except OSError as error:
        raise SteelsightError(f"{file}: cannot be read ({error.strerror}); check its permissions.") from None
    except UnicodeDecodeError:
        raise SteelsightError(f"{file}: is not a CSV file in UTF-8; save it as one, or give a folder.") from None
    except csv.Error as error:
        raise SteelsightError(f"{file}: is not sound CSV ({error}); save it again as CSV.") from None


def _delimiter(text: str) -> str:
    header = text.partition("\n")[0]
    return ";" if header.count(";") > header.count(",") else ","


def _row(file: Path, cells: dict[str, str], line: int, first: dict[str, tuple[Sample, int]]) -> _Found:
    """One row of a manifest; `first` remembers where each picture stood first."""
    image, label = cells.get("image", "").strip(), cells.get("label", "").strip()
    part = (cells.get("part") or cells.get("split") or "").strip()
    spellings = (file.parent / image, file.parent / image.replace("\\", "/"))
    picture = next((path for path in spellings if stat.S_ISREG(_mode(path))), None)
    if not image or not label:
        yield f"{file}, line {line}: lacks its image or label; complete the row."
    elif part and part.casefold() not in _PARTS:
        yield f"{file}, line {line}: the part {part!r} is none of train, val and test; correct it."
    elif picture is None:
        yield f"{file}, line {line}: there is no file {spellings[0]}; paths start from the manifest's folder."
    else:
        sample = Sample(picture, label, part=_PARTS.get(part.casefold()))
        kept, where = first.setdefault(os.path.normpath(picture), (sample, line))
        if kept is sample:
            yield sample
        elif (kept.label, kept.part) != (sample.label, sample.part):
            yield f"{file}, line {line}: says something else of {picture} than line {where}, which is kept; delete one."


def _walk(folder: Path) -> Iterator[Path | SteelsightError]:
    """The pictures below a folder, or an error if there is none; each real folder once, so circular links end."""
    is_empty = True
    seen: set[str] = set()
    waiting: list[_Place] = [folder]
    while waiting:
        place = waiting.pop()
        if not _is_folder(place):
            if _is_picture(place.name):
                is_empty = False
                yield Path(place)
            continue
        real = os.path.realpath(place)
        if real in seen:
            continue
        seen.add(real)
        try:
            waiting += reversed(_children(place))
        except SteelsightError as error:
            is_empty = False
            yield error
    if is_empty:
        yield SteelsightError(f"{folder}: there is no picture in this folder; add some or leave it out.")


def _children(folder: _Place) -> list[os.DirEntry[str]]:
    """What is in a folder, hidden things and what archives leave behind aside."""
    try:
        with os.scandir(folder) as entries:
            kept = [entry for entry in entries if not entry.name.startswith(".") and entry.name != "__MACOSX"]
    except OSError as error:
        where = os.fspath(folder)
        raise SteelsightError(f"{where}: cannot be listed ({error.strerror}); check its permissions.") from None
    return sorted(kept, key=lambda entry: _natural(entry.name))


def _natural(name: str) -> tuple[list[str | int], str]:
    """Sorts Cr_2 before Cr_10, on every machine alike."""
    pieces = re.split("([0-9]+)", name.casefold())
    return [int(piece) if index % 2 else piece for index, piece in enumerate(pieces)], name


def _is_picture(name: str) -> bool:
    return name.lower().endswith(tuple(SUFFIXES))


def _is_folder(place: _Place) -> bool:
    try:
        return place.is_dir()
    except OSError:  # a link to itself
        return False


def _mode(path: Path) -> int:
    """The kind of thing at a path; 0 where there is none."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0


def _why_nothing(path: Path, problems: Sequence[str], *, is_folder: bool) -> str:
    if not is_folder:
        return f"{path}: no row can be used; {problems[0] if problems else 'add rows below its first line.'}"
    found = next(_walk(path))
    if isinstance(found, SteelsightError):
        return str(found)
    return f"{path}: holds pictures without labels; what is understood: {LAYOUTS}."
