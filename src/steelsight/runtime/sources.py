"""What a classifier is given: pictures in any of three forms."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from steelsight import images
from steelsight.images import ImageError
from steelsight.records import GreyImage, SteelsightError

Source = str | os.PathLike[str] | bytes | npt.NDArray[Any]
"""A path, the bytes of an encoded picture, or an array as `images.as_grey` takes it."""
SOURCES = (np.ndarray, str, bytes, os.PathLike)
"""The same for `isinstance`, which asks in this order: a line sends arrays."""


def name_of(source: Source | SteelsightError, number: int) -> str:
    """A path, the path that an error's sentence begins with, or `image` and the number, counted from one."""
    if isinstance(source, SteelsightError):
        return str(source).partition(": ")[0]
    return os.fspath(source) if isinstance(source, str | os.PathLike) else f"image {number + 1}"


def decoded(source: Source | SteelsightError, name: str) -> GreyImage | ImageError:
    """Grey levels, shape (height, width), or the error that says why there are none."""
    try:
        if isinstance(source, SteelsightError):
            return ImageError(str(source))
        return images.as_grey(source, name) if isinstance(source, np.ndarray) else images.decode(source, name)
    except ImageError as error:
        return error
