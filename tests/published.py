"""The papers' figures, as data."""

import json
from pathlib import Path
from typing import Any

PUBLISHED: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "studies" / "published.json").read_text(encoding="utf-8")
)
