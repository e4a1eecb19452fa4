"""What a classifier is given: three forms of a picture, and what cannot be read."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from steelsight.images import ImageError
from steelsight.records import SteelsightError
from steelsight.runtime.sources import Source, decoded, name_of

GREY = np.arange(16 * 15, dtype=np.uint8).repeat(2).reshape(20, 24)


def test_a_path_names_itself_and_other_pictures_are_counted_from_one() -> None:
    assert [name_of(source, 4) for source in ("a.png", Path("b.png"), b"", GREY)] == [
        "a.png",
        "b.png",
        "image 5",
        "image 5",
    ]


def test_an_error_is_named_by_the_path_that_its_sentence_begins_with() -> None:
    assert name_of(SteelsightError("a/b.png: cannot be read; check the file."), 0) == "a/b.png"


def test_all_forms_of_a_picture_decode_to_the_same_levels(tmp_path: Path) -> None:
    path = tmp_path / "steel.png"
    Image.fromarray(GREY).save(path)
    for source in (path, str(path), path.read_bytes(), GREY):
        np.testing.assert_array_equal(decoded(source, "steel"), GREY)


@pytest.mark.parametrize("source", ["missing.png", b"no picture", np.zeros((2, 2), dtype=np.float32)])
def test_what_cannot_be_read_is_an_error_and_raises_none(source: Source) -> None:
    found = decoded(source, "steel")
    assert isinstance(found, ImageError)
    assert str(found).startswith("steel: ")
