"""Where a figure comes from: the command, the versions and the processor, without paths of this machine."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

PACKAGES = ("steelsight", "numpy", "pillow", "onnxruntime", "torch", "timm", "scikit-learn")


def provenance() -> dict[str, str]:
    """Plain facts for a card or a result file."""
    facts = {"command": _command(), "date": datetime.now(UTC).strftime("%Y-%m-%d"), "python": platform.python_version()}
    for package in PACKAGES:
        try:
            facts[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {**facts, "processor": processor(), "cores": str(os.cpu_count())}


def processor() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _command() -> str:
    words = [Path(sys.argv[0]).name, *(Path(word).name if os.sep in word else word for word in sys.argv[1:])]
    return " ".join(words)
