from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from steelsight.data import catalog
from steelsight.records import Region, Sample, SteelsightError

BOX = """<object><name>{}</name><bndbox>
<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"""


def draw(*paths: Path) -> None:
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((16, 16), number, np.uint8)).save(path)


def annotate(path: Path, *boxes: tuple[str, float, float, float, float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("<annotation>" + "".join(BOX.format(*box) for box in boxes) + "</annotation>")


def manifest(folder: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join(lines), encoding=encoding)
    return path


def labels(found: catalog.Catalog) -> list[tuple[str, str]]:
    return [(sample.path.name, sample.label) for sample in found.samples]


def assert_sentence(text: str, *, names: Path) -> None:
    assert str(names) in text
    assert text.endswith(".")
    assert ". " not in text
    assert "\n" not in text


# A folder for each class


def test_class_folders(tmp_path: Path) -> None:
    draw(tmp_path / "scratch" / "a_10.png", tmp_path / "scratch" / "a_2.PNG", tmp_path / "clean" / "day 1" / "b.Tiff")
    found = catalog.read(tmp_path)
    assert labels(found) == [("b.Tiff", "clean"), ("a_2.PNG", "scratch"), ("a_10.png", "scratch")]
    assert found.classes == ("clean", "scratch")
    assert found.problems == ()
    assert {sample.part for sample in found.samples} == {None}


def test_what_systems_leave_behind_is_passed_over(tmp_path: Path) -> None:
    draw(tmp_path / "rust" / "1.png")
    draw(tmp_path / "rust" / "._1.png", tmp_path / ".cache" / "2.png", tmp_path / "__MACOSX" / "rust" / "3.png")
    for name in ("Thumbs.db", "readme.txt", "rust/desktop.ini", "rust/notes"):
        (tmp_path / name).write_text("words")
    found = catalog.read(tmp_path)
    assert labels(found) == [("1.png", "rust")]
    assert found.problems == ()


def test_class_folder_without_picture_is_a_problem(tmp_path: Path) -> None:
    draw(tmp_path / "rust" / "1.png")
    (tmp_path / "dent").mkdir()
    found = catalog.read(tmp_path)
    assert found.classes == ("rust",)
    (problem,) = found.problems
    assert_sentence(problem, names=tmp_path / "dent")


def test_picture_beside_class_folders_is_a_problem(tmp_path: Path) -> None:
    draw(tmp_path / "rust" / "1.png", tmp_path / "loose.png")
    found = catalog.read(tmp_path)
    assert labels(found) == [("1.png", "rust")]
    (problem,) = found.problems
    assert_sentence(problem, names=tmp_path / "loose.png")


def test_nothing_is_decoded(tmp_path: Path) -> None:
    (tmp_path / "rust").mkdir()
    (tmp_path / "rust" / "1.png").write_text("not a picture")
    assert labels(catalog.read(tmp_path)) == [("1.png", "rust")]


@pytest.mark.parametrize("folder", ["val", "valid", "Validation", "VAL"])
def test_parts(tmp_path: Path, folder: str) -> None:
    draw(tmp_path / "Train" / "rust" / "1.png", tmp_path / folder / "dent" / "2.png", tmp_path / "TEST/rust/3.png")
    found = catalog.read(tmp_path)
    assert {(sample.path.name, sample.label, sample.part) for sample in found.samples} == {
        ("1.png", "rust", "train"),
        ("2.png", "dent", "val"),
        ("3.png", "rust", "test"),
    }
    assert found.problems == ()


def test_below_a_part_its_name_is_a_class(tmp_path: Path) -> None:
    draw(tmp_path / "train" / "test" / "1.png")
    assert catalog.read(tmp_path).samples == (Sample(tmp_path / "train" / "test" / "1.png", "test", part="train"),)


def test_folder_beside_parts_is_a_problem(tmp_path: Path) -> None:
    draw(tmp_path / "train" / "rust" / "1.png", tmp_path / "ground_truth" / "1.png")
    found = catalog.read(tmp_path)
    assert found.classes == ("rust",)
    (problem,) = found.problems
    assert_sentence(problem, names=tmp_path / "ground_truth")


def test_order_heeds_numbers_and_not_case(tmp_path: Path) -> None:
    expected = ["a09.png", "a9.png", "a10.png", "b1.png", "B2.png", "b02x.png"]
    draw(*(tmp_path / "rust" / name for name in sorted(expected)))
    assert [name for name, _ in labels(catalog.read(tmp_path))] == expected


# NEU-CLS and NEU-DET


def test_neu_cls(tmp_path: Path) -> None:
    draw(*(tmp_path / name for name in ("Cr_10.bmp", "Cr_2.bmp", "in_1.PNG", "PA_1.jpg", "PS_1.bmp", "rs_1.tif")))
    draw(tmp_path / "Sc_1.webp")
    found = catalog.read(tmp_path)
    assert labels(found)[:2] == [("Cr_2.bmp", "crazing"), ("Cr_10.bmp", "crazing")]
    assert [label for _, label in labels(found)[1:]] == list(catalog.NEU_CLASSES)
    assert found.classes == catalog.NEU_CLASSES
    assert found.problems == ()


def test_what_is_not_neu_cls_is_a_problem(tmp_path: Path) -> None:
    draw(tmp_path / "Cr_1.bmp", tmp_path / "Cr_1_copy.bmp", tmp_path / "more" / "Cr_2.bmp")
    found = catalog.read(tmp_path)
    assert labels(found) == [("Cr_1.bmp", "crazing")]
    misnamed, beside = found.problems
    assert_sentence(misnamed, names=tmp_path / "Cr_1_copy.bmp")
    assert_sentence(beside, names=tmp_path / "more")


@pytest.mark.parametrize(("images", "annotations"), [("IMAGES", "ANNOTATIONS"), ("images", "Annotations")])
def test_neu_det(tmp_path: Path, images: str, annotations: str) -> None:
    draw(tmp_path / images / "rolled-in_scale_12.jpg", tmp_path / images / "Patches_1.JPG")
    annotate(tmp_path / annotations / "rolled-in_scale_12.xml", ("patches", 1, 1, 16, 16), ("scale", 3, 4, 3, 6))
    annotate(tmp_path / annotations / "patches_1.XML")
    found = catalog.read(tmp_path)
    assert found.samples == (
        Sample(tmp_path / images / "Patches_1.JPG", "Patches"),
        Sample(
            tmp_path / images / "rolled-in_scale_12.jpg",
            "rolled-in_scale",
            (Region("patches", 0, 0, 16, 16), Region("scale", 2, 3, 1, 3)),
        ),
    )
    assert found.problems == ()


def test_neu_det_below_parts(tmp_path: Path) -> None:
    for part in ("train", "validation"):
        draw(tmp_path / part / "images" / "crazing" / "crazing_1.jpg")
        annotate(tmp_path / part / "annotations" / "crazing_1.xml", ("crazing", 1, 1, 2, 2))
    found = catalog.read(tmp_path)
    assert [(sample.label, sample.part, len(sample.boxes)) for sample in found.samples] == [
        ("crazing", "train", 1),
        ("crazing", "val", 1),
    ]


def test_neu_det_misnamed_or_beside_is_a_problem(tmp_path: Path) -> None:
    draw(tmp_path / "IMAGES" / "patches_1.jpg", tmp_path / "IMAGES" / "patches.jpg", tmp_path / "more" / "1.jpg")
    annotate(tmp_path / "ANNOTATIONS" / "patches_1.xml")
    found = catalog.read(tmp_path)
    assert labels(found) == [("patches_1.jpg", "patches")]
    misnamed, beside = found.problems
    assert_sentence(misnamed, names=tmp_path / "IMAGES" / "patches.jpg")
    assert_sentence(beside, names=tmp_path / "more")


def test_picture_without_xml_is_kept(tmp_path: Path) -> None:
    draw(tmp_path / "IMAGES" / "patches_1.jpg")
    (tmp_path / "ANNOTATIONS").mkdir()
    found = catalog.read(tmp_path)
    assert found.samples == (Sample(tmp_path / "IMAGES" / "patches_1.jpg", "patches"),)
    (problem,) = found.problems
    assert_sentence(problem, names=tmp_path / "IMAGES" / "patches_1.jpg")


BOMB = (
    '<!DOCTYPE a [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{level} "{f"&a{level - 1};" * 10}">' for level in range(1, 30))
    + "]>"
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<annotation>",
        f"{BOMB}<annotation><object><name>&a29;</name></object></annotation>",
        f"{BOMB}<annotation/>",
        '<?xml version="1.0" encoding="martian"?><annotation/>',
        "<annotation><object><name>x</name></object></annotation>",
        BOX.format("x", "one", 1, 2, 2),
        BOX.format("x", 1, 1, "nan", 2),
        BOX.format("x", 1, 1, "1e999", 2),
        BOX.format("x", 5, 1, 4, 2),
        BOX.format("", 1, 1, 2, 2),
    ],
)
def test_broken_xml_leaves_the_picture_without_boxes(tmp_path: Path, text: str) -> None:
    draw(tmp_path / "IMAGES" / "patches_1.jpg")
    annotate(tmp_path / "ANNOTATIONS" / "patches_1.xml")
    (tmp_path / "ANNOTATIONS" / "patches_1.xml").write_text(text)
    found = catalog.read(tmp_path)
    assert found.samples == (Sample(tmp_path / "IMAGES" / "patches_1.jpg", "patches"),)
    (problem,) = found.problems
    assert_sentence(problem, names=tmp_path / "ANNOTATIONS" / "patches_1.xml")


def test_document_types_are_refused_in_any_encoding(tmp_path: Path) -> None:
    draw(tmp_path / "IMAGES" / "patches_1.jpg")
    annotate(tmp_path / "ANNOTATIONS" / "patches_1.xml")
    text = f'<?xml version="1.0" encoding="utf-16"?>{BOMB}<annotation/>'
    (tmp_path / "ANNOTATIONS" / "patches_1.xml").write_text(text, encoding="utf-16")
    (problem,) = catalog.read(tmp_path).problems
    assert "document type" in problem


# Manifests


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("column", ["part", "Split"])
def test_manifest(tmp_path: Path, mark: str, separator: str, column: str) -> None:
    draw(tmp_path / "a.png", tmp_path / "sub" / "b.png", tmp_path / "c, d.png")
    path = manifest(
        tmp_path,
        mark + separator.join(["Image", " LABEL ", "note", column]),
        separator.join(['"c, d.png"', "rust", "", ""]),
        separator.join(["sub/b.png", "dent", "x", "Valid"]),
        separator.join([str(tmp_path / "a.png"), "rust", "", "train"]),
        separator.join(["", "", "", ""]),
        "",
    )
    found = catalog.read(path)
    assert found.samples == (
        Sample(tmp_path / "c, d.png", "rust"),
        Sample(tmp_path / "sub" / "b.png", "dent", part="val"),
        Sample(tmp_path / "a.png", "rust", part="train"),
    )
    assert found.classes == ("dent", "rust")
    assert found.problems == ()


def test_manifest_written_on_windows(tmp_path: Path) -> None:
    draw(tmp_path / "sub" / "a.png")
    path = tmp_path / "labels.csv"
    path.write_bytes(b"image;label\r\nsub\\a.png;rust\r\n")
    assert labels(catalog.read(path)) == [("a.png", "rust")]


@pytest.mark.parametrize("row", ["gone.png,rust,", "b.png,,", ",rust,", "b.png", "b.png,rust,someday", "\0,rust,"])
def test_manifest_row_that_cannot_be_used_is_a_problem(tmp_path: Path, row: str) -> None:
    draw(tmp_path / "a.png", tmp_path / "b.png")
    path = manifest(tmp_path, "image,label,part", row, "a.png,rust,test")
    found = catalog.read(path)
    assert found.samples == (Sample(tmp_path / "a.png", "rust", part="test"),)
    (problem,) = found.problems
    assert_sentence(problem, names=path)
    assert "line 2" in problem


@pytest.mark.parametrize(
    ("again", "problems"), [("a.png,rust,", 0), ("./sub/../a.png,rust,", 0), ("a.png,dent,", 1), ("a.png,rust,test", 1)]
)
def test_manifest_keeps_the_first_of_two_rows(tmp_path: Path, again: str, problems: int) -> None:
    draw(tmp_path / "a.png", tmp_path / "sub" / "b.png")
    path = manifest(tmp_path, "image,label,part", "a.png,rust,", again)
    found = catalog.read(path)
    assert found.samples == (Sample(tmp_path / "a.png", "rust"),)
    assert len(found.problems) == problems
    for problem in found.problems:
        assert_sentence(problem, names=path)
        assert "line 3" in problem
        assert "line 2" in problem


# Where nothing can be used


def test_missing_path(tmp_path: Path) -> None:
    with pytest.raises(SteelsightError) as error:
        catalog.read(tmp_path / "gone")
    assert_sentence(str(error.value), names=tmp_path / "gone")


@pytest.mark.parametrize("inside", [[], ["rust"], ["train", "test"], ["IMAGES", "ANNOTATIONS"]])
def test_folder_without_picture(tmp_path: Path, inside: list[str]) -> None:
    for name in inside:
        (tmp_path / name).mkdir()
    with pytest.raises(SteelsightError, match="no picture") as error:
        catalog.read(tmp_path)
    assert_sentence(str(error.value), names=tmp_path)


def test_pictures_without_labels(tmp_path: Path) -> None:
    draw(tmp_path / "one.png", tmp_path / "two.png")
    with pytest.raises(SteelsightError, match="a folder for each class") as error:
        catalog.read(tmp_path)
    assert str(tmp_path) in str(error.value)
    assert "CSV" in str(error.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "columns image and label"),
        (b"image,class\na.png,rust\n", "columns image and label"),
        (b"image,label\n", "add rows"),
        (b"image,label\ngone.png,rust\nlost.png,rust\n", "gone.png"),
        ("image,label\na.png,roße\n".encode("latin-1"), "UTF-8"),
        ("image,label\na.png,rust\n".encode("utf-16"), "UTF-8"),
        (b"image,label\n" + b"x" * 200_000 + b",rust\n", "not sound CSV"),
    ],
)
def test_manifest_of_no_use(tmp_path: Path, content: bytes, says: str) -> None:
    draw(tmp_path / "a.png")
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(SteelsightError, match=says) as error:
        catalog.read(path)
    assert_sentence(str(error.value), names=path)


def test_picture_given_as_data(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    with pytest.raises(SteelsightError, match="give a folder") as error:
        catalog.read(tmp_path / "a.png")
    assert_sentence(str(error.value), names=tmp_path / "a.png")


def test_closed_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path / "open" / "1.png", tmp_path / "shut" / "2.png")
    list_folder = os.scandir

    def list_unless_shut(folder: str | os.PathLike[str]):
        if Path(folder).name == "shut":
            raise PermissionError(13, "Permission denied")
        return list_folder(folder)

    monkeypatch.setattr(os, "scandir", list_unless_shut)
    found = catalog.read(tmp_path)
    assert labels(found) == [("1.png", "open")]
    (problem,) = found.problems
    assert_sentence(problem, names=tmp_path / "shut")
    with pytest.raises(SteelsightError, match="permissions"):
        catalog.read(tmp_path / "shut")


# Pictures to inspect, without labels


def test_pictures_are_listed_in_natural_order(tmp_path: Path) -> None:
    expected = [tmp_path / name for name in ("Cr_2.bmp", "Cr_10.bmp", "day 2/z.PNG", "day 10/a.jpg", "e.tif")]
    draw(*expected, tmp_path / ".hidden.png", tmp_path / ".git" / "a.png")
    (tmp_path / "notes.txt").write_text("words")
    assert list(catalog.pictures([tmp_path])) == expected


def test_named_file_comes_whatever_its_suffix(tmp_path: Path) -> None:
    (tmp_path / ".picture.raw").write_text("words")
    assert list(catalog.pictures([tmp_path / ".picture.raw"])) == [tmp_path / ".picture.raw"]


def test_what_cannot_be_listed_does_not_stop_the_rest(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    (tmp_path / "empty").mkdir()
    too_long = tmp_path / ("x" * 300)
    bad = [tmp_path / "gone.png", tmp_path / "empty", too_long, Path("a\0b")]
    *errors, last = catalog.pictures([*bad, tmp_path / "a.png"])
    assert last == tmp_path / "a.png"
    for error, path in zip(errors, bad, strict=True):
        assert isinstance(error, SteelsightError)
        assert_sentence(str(error), names=path)


def test_listing_looks_no_further_than_it_is_asked(tmp_path: Path) -> None:
    draw(tmp_path / "a" / "1.png", tmp_path / "a" / "late" / "placeholder.png")
    listing = catalog.pictures([tmp_path / "a", tmp_path / "b.png"])
    assert next(listing) == tmp_path / "a" / "1.png"
    draw(tmp_path / "b.png", tmp_path / "a" / "late" / "2.png")
    late = tmp_path / "a" / "late"
    assert list(listing) == [late / "2.png", late / "placeholder.png", tmp_path / "b.png"]


def test_circular_links_end(tmp_path: Path) -> None:
    draw(tmp_path / "a" / "1.png", tmp_path / "b" / "2.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "b" / "across").symlink_to(tmp_path / "a")
    (tmp_path / "b" / "itself.png").symlink_to(tmp_path / "b" / "itself.png")
    found = list(catalog.pictures([tmp_path]))
    assert found == [tmp_path / "a" / "1.png", tmp_path / "b" / "2.png", tmp_path / "b" / "itself.png"]


# The real folders


def test_real_neu_cls(neu: Path) -> None:
    found = catalog.read(neu / "neu-cls")
    assert Counter(sample.label for sample in found.samples) == dict.fromkeys(catalog.NEU_CLASSES, 300)
    assert found.problems == ()
    assert [sample.path.name for sample in found.samples[:300]] == [f"Cr_{number}.bmp" for number in range(1, 301)]


def test_real_neu_det(neu: Path) -> None:
    found = catalog.read(neu / "neu-det")
    assert Counter(sample.label for sample in found.samples) == dict.fromkeys(catalog.NEU_CLASSES, 300)
    assert found.problems == ()
    boxes = [box for sample in found.samples for box in sample.boxes]
    assert len(boxes) == 4189
    assert {box.label for box in boxes} == set(catalog.NEU_CLASSES)
    assert min(min(box.x, box.y) for box in boxes) == 0
    assert max(max(box.x + box.width, box.y + box.height) for box in boxes) == 200
    others = sum(any(box.label != sample.label for box in sample.boxes) for sample in found.samples)
    assert others == 123
