"""What the scripts that measure finished runs are told on their command lines."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

STUDIES = Path(__file__).parent


def asked(about: str | None) -> argparse.Namespace:
    """The words `STUDY NETWORK [--runs RUNS] [--data DATA]`."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("network")
    parser.add_argument("--runs", type=Path, default=STUDIES.parent / "runs")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("STEELSIGHT_DATA", ".")) / "neu-cls")
    return parser.parse_args()
