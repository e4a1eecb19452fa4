"""The card in a model file's metadata: JSON out, and JSON in with every field checked: files come from anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

from steelsight.records import Card, SteelsightError
from steelsight.runtime.confidence import DOUBT, MAP_TEMPERATURE

KEY = "steelsight"
FORMAT = 1
MAX_CLASSES = 10_000
MAX_SIDE = 4096
LARGEST = 1e9
"""Of numbers; temperatures are no less than its inverse."""
MOST_DOUBT = 5
ENGINES = ("onnxruntime", "openvino")
PRECISIONS = ("fp32", "bf16", "int8")
FLOATS = ("fp32", "bf16")


def dumps(card: Card) -> str:
    return json.dumps(asdict(card), ensure_ascii=False, allow_nan=False)


def loads(text: str, name: str) -> Card:
    """Card from JSON. Raises SteelsightError with a sentence that names the file and the field that is wrong."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise SteelsightError(f"{name}: the model's card is not JSON; export the model again.") from None
    if not isinstance(values, dict):
        raise SteelsightError(f"{name}: the model's card is not a record; export the model again.")
    if values.get("format") != FORMAT:
        raise SteelsightError(
            f"{name}: the model file has format {values.get('format')!r} and this steelsight reads format {FORMAT}; "
            "update steelsight or export the model again."
        )
    wrong = [field for field, holds in _CHECKS.items() if field not in values or not holds(values[field])]
    wrong += [field for field, holds in _LATER.items() if field in values and not holds(values[field])]
    if wrong:
        raise SteelsightError(f"{name}: the model's card has no valid {', '.join(wrong)}; export the model again.")
    known = {entry.name for entry in fields(Card)}
    card = {field: value for field, value in values.items() if field in known}
    return Card(**{**card, **{field: tuple(card[field]) for field in ("classes", "size", "training_images")}})


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def _is_mapping(to: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, Mapping) and all(to(entry) for entry in value.values())


def _is_list(of: Callable[[Any], bool], shortest: int, longest: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and shortest <= len(value) <= longest and all(map(of, value))


def _is_count(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _is_side(value: Any) -> bool:
    return _is_count(value, MAX_SIDE) and value >= 16


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "model": _is_text,
    "classes": lambda value: _is_list(_is_text, 2, MAX_CLASSES)(value) and len(set(value)) == len(value),
    "size": _is_list(_is_side, 2, 2),
    "temperature": lambda value: _is_number(value) and value >= 1 / LARGEST,
    "thresholds": lambda value: (
        _is_mapping(_is_number)(value)
        and 0 <= value.get(DOUBT, 0) <= MOST_DOUBT
        and value.get(MAP_TEMPERATURE, 1) >= 1 / LARGEST
    ),
    "protocol": _is_text,
    "scores": _is_mapping(_is_number),
    "licence": _is_text,
    "training_images": _is_list(_is_text, 0, 10_000_000),
    "provenance": _is_mapping(_is_text),
}

_LATER: dict[str, Callable[[Any], bool]] = {
    "engine": lambda value: value in ENGINES,
    "precision": lambda value: value in PRECISIONS,
    "floats": lambda value: value in FLOATS,
    "stride": lambda value: _is_count(value, MAX_SIDE),
    "reach": lambda value: _is_count(value, MAX_SIDE),
    "second_look": lambda value: _is_number(value) and value >= 0,
}
"""Fields that files written before them lack."""
