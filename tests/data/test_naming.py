"""Names of pictures: short where they can be, unambiguous always."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from steelsight.data.naming import Named, names_of, without_ending

FILES = st.text("ab.", min_size=1, max_size=4).map(lambda stem: f"x{stem}")
ENDINGS = st.sampled_from([".png", ".BMP", ".jpg", ""])


def test_only_endings_of_pictures_are_left_out() -> None:
    assert without_ending("a.b/coil 1.5mm.PNG") == "a.b/coil 1.5mm"
    assert without_ending("a/coil 1.5mm") == "a/coil 1.5mm"


def test_pictures_outside_the_folder_keep_their_whole_path() -> None:
    assert names_of([Path("/data/a/1.png"), Path("/other/1.png")], Path("/data")) == ["a/1", "/other/1"]


@given(st.lists(st.tuples(FILES, ENDINGS).map("".join), unique=True, max_size=8))
def test_every_picture_is_found_again_by_its_name_and_by_its_path(files: list[str]) -> None:
    names = names_of([Path("/data") / file for file in files], Path("/data"))
    assert len(set(names)) == len(files)
    known = Named(zip(names, files, strict=True))
    for name, file in zip(names, files, strict=True):
        assert known.get(name) == file
        assert known.get(file) == file
    assert known.beyond(files) == []


def test_a_name_that_two_pictures_share_is_not_guessed() -> None:
    known = Named([("a.png", 0), ("a.jpg", 1), ("b.png", 2)])
    assert (known.get("a"), known.get("a.jpg"), known.get("b"), known.get("b.bmp")) == (None, 1, 2, 2)
