"""The card: what goes in comes out, and nothing else gets in."""

import contextlib
import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelsight.records import Card, SteelsightError
from steelsight.runtime import card as cards

CARD = Card("pdmsnet", ("crazing", "Größe"), (224, 224), scores={"accuracy": 99.5}, training_images=("ab" * 8,))


def test_a_card_survives_the_way_through_json() -> None:
    assert cards.loads(cards.dumps(CARD), "x.onnx") == CARD


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ["one"]},
        {"classes": ["same", "same"]},
        {"classes": [1, 2]},
        {"classes": "crazing"},
        {"size": [224]},
        {"size": [0, 224]},
        {"size": [224, 10**9]},
        {"size": [True, True]},
        {"temperature": 0},
        {"temperature": "1"},
        {"temperature": None},
        {"temperature": 1e-300},
        {"thresholds": {"doubt": 4000}},
        {"thresholds": {"doubt": -1}},
        {"thresholds": {"map_temperature": 0}},
        {"thresholds": {"strangeness": 10**400}},
        {"thresholds": {"region": "a"}},
        {"scores": []},
        {"training_images": [1]},
        {"provenance": {"seed": 0}},
        {"model": None},
        {"second_look": -1},
        {"second_look": "2"},
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any]) -> None:
    text = json.dumps({**asdict(CARD), **change})
    with pytest.raises(SteelsightError, match=f"x.onnx.*{next(iter(change))}"):
        cards.loads(text, "x.onnx")


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_format_is_refused_with_what_to_do(version: Any) -> None:
    with pytest.raises(SteelsightError, match="update steelsight"):
        cards.loads(json.dumps({**asdict(CARD), "format": version}), "x.onnx")


def test_fields_that_this_version_does_not_know_are_passed_over() -> None:
    assert cards.loads(json.dumps({**asdict(CARD), "later": 1}), "x.onnx") == CARD


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(list(asdict(CARD))), JSON, max_size=4))
def test_any_json_is_a_card_or_a_sentence(changes: dict[str, Any]) -> None:
    with contextlib.suppress(SteelsightError):
        card = cards.loads(json.dumps({**asdict(CARD), **changes}), "x.onnx")
        assert len(card.classes) >= 2
        assert card.temperature > 0


@given(st.text(max_size=40))
def test_any_text_is_a_card_or_a_sentence(text: str) -> None:
    with pytest.raises(SteelsightError):
        cards.loads(text, "x.onnx")
