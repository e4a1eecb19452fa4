"""steelsight recognises steel surface defects.

import steelsight

classifier = steelsight.load()                      # the shipped model, or a file that `steelsight train` wrote
classifier.predict("photo.bmp")[0].label
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steelsight.records import Prediction, Region, SteelsightError
    from steelsight.runtime.classifier import Classifier, load

__all__ = ["Classifier", "Prediction", "Region", "SteelsightError", "load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Imports on first use, so that `steelsight --help` does not wait for ONNX Runtime."""
    if name in ("Classifier", "load"):
        return getattr(import_module("steelsight.runtime.classifier"), name)
    if name in __all__:
        return getattr(import_module("steelsight.records"), name)
    raise AttributeError(f"module 'steelsight' has no attribute {name!r}")
