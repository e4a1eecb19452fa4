"""What several tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from steelsight.training.run import train
from tests.drawn import draw, quick


@pytest.fixture(scope="session", autouse=True)
def hypothesis_has_its_tables() -> None:
    """In a fresh checkout the first text that hypothesis draws makes its table of all characters: two seconds that its
    own check of slow tests would hold against whichever test comes first."""

    @settings(max_examples=1, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.text())
    def draw_one(text: str) -> None:
        assert isinstance(text, str)

    draw_one()


@pytest.fixture(scope="session")
def neu() -> Path:
    """The folder that holds the real `neu-cls` and `neu-det`."""
    if "STEELSIGHT_DATA" not in os.environ:
        pytest.skip("STEELSIGHT_DATA is not set: real images not tested")
    return Path(os.environ["STEELSIGHT_DATA"])


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small labelled folder of drawn steel."""
    folder = tmp_path_factory.mktemp("drawn")
    draw(folder)
    return folder


@pytest.fixture(scope="session")
def model_file(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file trained on it for a second or two."""
    out = tmp_path_factory.mktemp("run")
    trained = train(drawn, quick(validation_share=0.3), out, Console(quiet=True))
    assert trained is not None
    return trained.model
