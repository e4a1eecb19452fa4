"""What several tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def neu() -> Path:
    """The folder that holds the real `neu-cls` and `neu-det`."""
    if "STEELSIGHT_DATA" not in os.environ:
        pytest.skip("STEELSIGHT_DATA is not set: real images not tested")
    return Path(os.environ["STEELSIGHT_DATA"])
