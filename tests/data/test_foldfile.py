"""Fold files come back as they were written, and what is odd about them is said."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelsight.data import foldfile
from steelsight.data.foldfile import Assignment
from steelsight.records import Sample, SteelsightError

LINES = [Assignment("a/1", "a", "0", 0), Assignment("b/1", "b", "1", 1), Assignment("b/2", "b", "2", -1)]


def test_a_fold_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    lines = [*LINES, Assignment("a/ü, 1", "a", "", 1)]
    foldfile.write(lines, tmp_path / "folds.csv")
    assert foldfile.read(tmp_path / "folds.csv") == lines


@pytest.mark.parametrize(
    "content",
    [
        "",
        "image,label\na,b\n",
        "image,label,group,fold\na,b,c,first\n",
        "image,label,group,fold\na,b,c,-3\n",
        "\x00\x01",
    ],
)
def test_what_is_no_fold_file_gets_a_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "folds.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SteelsightError, match=r"folds\.csv"):
        foldfile.read(path)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_get_a_sentence(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.csv"
    path.write_bytes(content)
    with suppress(SteelsightError):
        assert foldfile.read(path)


def test_pictures_are_matched_by_their_path_without_its_ending(tmp_path: Path) -> None:
    entries = [Assignment("a/1.bmp", "a", "", 0), Assignment("b/1", "b", "", 1)]
    found, remarks = foldfile.match(["b/1", "a/1"], ["b", "a"], entries, tmp_path)
    assert [entry.fold for entry in found] == [1, 0]
    assert remarks == []


def test_pictures_that_the_file_does_not_name_get_a_sentence() -> None:
    with pytest.raises(SteelsightError, match=r"f\.csv: has no line for c/1 and 1 more"):
        foldfile.match(["c/1", "d/1"], ["c", "d"], LINES, Path("f.csv"))


def test_other_labels_than_the_folders_get_a_sentence() -> None:
    with pytest.raises(SteelsightError, match=r"another label for a/1 \(b, there a\)"):
        foldfile.match(["a/1"], ["b"], LINES, Path("f.csv"))


def test_a_picture_that_stands_there_twice_gets_a_sentence() -> None:
    with pytest.raises(SteelsightError, match="names a/1 twice"):
        foldfile.match(["a/1"], ["a"], [*LINES, LINES[0]], Path("f.csv"))


def test_names_of_other_pictures_are_remarked_and_the_rest_is_used() -> None:
    found, remarks = foldfile.match(["a/1"], ["a"], LINES, Path("f.csv"))
    assert found == [LINES[0]]
    assert remarks == ["f.csv: names pictures that are not there or cannot be read: b/1 and 1 more."]


def test_a_group_that_the_file_cuts_is_remarked() -> None:
    lines = [Assignment("a/1", "a", "7", 0), Assignment("a/2", "a", "7", 1)]
    _, remarks = foldfile.match(["a/1", "a/2"], ["a", "a"], lines, Path("f.csv"))
    assert remarks == ["f.csv: group 7 in more than one fold, so what is tested was partly seen in training."]


def test_pictures_that_differ_in_their_ending_alone_are_told_apart(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / name for name in ("1.png", "1.bmp", "coil 1.5mm.png")]
    lines = [
        Assignment("a/1.png", "a", "", 0),
        Assignment("a/1.bmp", "a", "", 1),
        Assignment("a/coil 1.5mm", "a", "", 2),
    ]
    foldfile.write(lines, tmp_path / "folds.csv")
    samples = [Sample(path, "a") for path in paths]
    found, remarks = foldfile.match_samples(samples, tmp_path, tmp_path / "folds.csv")
    assert [entry.fold for entry in found] == [0, 1, 2]
    assert remarks == []


def test_a_fold_that_nothing_is_tested_in_gets_a_sentence() -> None:
    foldfile.check_fold(1, LINES, Path("f.csv"))
    for fold in (2, -1):
        with pytest.raises(SteelsightError, match=f"no fold {fold} to test; its folds are 0, 1"):
            foldfile.check_fold(fold, LINES, Path("f.csv"))


def test_unused_pictures_are_no_fold_and_cut_no_group() -> None:
    lines = [*LINES, Assignment("a/2", "a", "0", foldfile.UNUSED)]
    assert foldfile.tested(lines) == [0, 1]
    _, remarks = foldfile.match([e.image for e in lines], [e.label for e in lines], lines, Path("f.csv"))
    assert remarks == []
