"""The check of a folder: each thing that is wrong is found, and a sound folder is called fine."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from PIL import Image

from steelsight.data import synthetic
from steelsight.evaluation.check import LABELS, check
from steelsight.evaluation.results import ANSWERS
from steelsight.records import Answer, Finding, SteelsightError


def by_title(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.title: finding for finding in findings}


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes: crops that overlap, a copy, the same pixels under two labels, a broken file, telling file sizes."""
    root = tmp_path_factory.mktemp("spoilt")
    for label, suffix in (("patches", "bmp"), ("scratches", "png")):
        (root / label).mkdir()
        for seed in range(5):
            frame = synthetic.draw(label, seed, 160).pixels
            for number, x in enumerate((0, 40)):
                Image.fromarray(frame[:100, x : x + 100]).save(root / label / f"{seed}-{number}.{suffix}")
    whole = Image.open(root / "patches" / "0-0.bmp")
    whole.save(root / "patches" / "copy.bmp")
    whole.save(root / "scratches" / "wrong.png")
    (root / "scratches" / "broken.png").write_bytes(b"no picture")
    return root


def test_everything_that_is_wrong_is_found(spoilt: Path, tmp_path: Path) -> None:
    findings = by_title(check(spoilt, tmp_path))
    assert all(finding.is_wrong for finding in findings.values())
    assert "broken.png" in findings["Left out"].rows[0][0]
    assert findings["Duplicates"].rows == (("patches/0-0, patches/copy, scratches/wrong",),)
    assert "22 of 22 pictures share pixels" in findings["Overlap"].words
    assert "10 groups" in findings["Overlap"].words
    two = findings["The same pixels under two labels"]
    assert all("scratches/wrong" in row for row in two.rows)
    shortcuts = {row[0]: float(row[2]) for row in findings["Shortcuts"].rows}
    assert shortcuts["file size"] > 90
    assert "file size" in findings["Shortcuts"].words


def test_the_findings_are_on_disk_too(spoilt: Path, tmp_path: Path) -> None:
    findings = check(spoilt, tmp_path)
    kept = json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))["findings"]
    assert [each["title"] for each in kept] == [finding.title for finding in findings]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(finding.title in page for finding in findings)
    assert "http:" not in page


def test_the_page_shows_the_overlaps_it_tells_of(spoilt: Path, tmp_path: Path) -> None:
    check(spoilt, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<figure") == 12 + 3
    assert "patches/copy (patches) and scratches/wrong (scratches): 10,000 pixels" in page


def cells(folder: Path, answers: list[Answer]) -> Path:
    """A cross-validation of one cell."""
    (folder / "fold-0-seed-0").mkdir(parents=True)
    lines = "".join(json.dumps(asdict(answer)) + "\n" for answer in answers)
    (folder / "fold-0-seed-0" / ANSWERS).write_text(lines, encoding="utf-8")
    return folder


def test_labels_that_models_do_not_believe_are_named_and_shown(spoilt: Path, tmp_path: Path) -> None:
    answers = [
        Answer(f"{label}/{seed}-{n}.{ending}", label, label, {"patches": share, "scratches": 1 - share})
        for label, ending, share in (("patches", "bmp", 0.97), ("scratches", "png", 0.02))
        for seed in range(5)
        for n in range(2)
    ]
    believed = check(spoilt, tmp_path / "before", cells(tmp_path / "sound", answers))[-1]
    assert (believed.title, believed.is_wrong) == (LABELS, False)
    answers.append(Answer("scratches/wrong.png", "scratches", "patches", {"patches": 0.99, "scratches": 0.01}))
    doubted = check(spoilt, tmp_path / "out", cells(tmp_path / "doubting", answers))[-1]
    assert doubted.rows == (("scratches/wrong.png", "scratches", "patches", "1.0", "99.0"),)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "scratches/wrong.png: labelled scratches, looks like patches" in page


def test_models_that_are_mostly_wrong_doubt_no_label(spoilt: Path, tmp_path: Path) -> None:
    answers = [
        Answer(f"patches/{seed}-0.bmp", "patches", "scratches", {"patches": 0.1, "scratches": 0.9}) for seed in range(5)
    ]
    finding = check(spoilt, tmp_path / "out", cells(tmp_path / "cells", answers))[-1]
    assert (finding.title, finding.is_wrong, finding.rows) == (LABELS, False, ())
    assert "right on 0 % of the pictures" in finding.words


def test_a_cross_validation_of_other_pictures_gets_a_sentence(spoilt: Path, tmp_path: Path) -> None:
    with pytest.raises(SteelsightError, match="has no finished cell"):
        check(spoilt, tmp_path, tmp_path)
    other = cells(tmp_path / "cells", [Answer("x.png", "a", "a", {"a": 1.0})])
    with pytest.raises(SteelsightError, match="of other pictures"):
        check(spoilt, tmp_path, other)
    (other / "fold-0-seed-0" / ANSWERS).write_text("{", encoding="utf-8")
    with pytest.raises(SteelsightError, match=r"answers\.jsonl: is damaged"):
        check(spoilt, tmp_path, other)


def test_a_sound_folder_is_called_fine(tmp_path: Path) -> None:
    synthetic.write(tmp_path / "steel", 20, size=64, classes=("clean", "patches", "scratches"))
    findings = by_title(check(tmp_path / "steel", tmp_path / "out"))
    assert not any(finding.is_wrong for finding in findings.values())
    assert len(findings["Shortcuts"].rows) == 3


def test_small_and_uneven_classes_are_named(tmp_path: Path) -> None:
    synthetic.write(tmp_path / "steel", 23, size=32, classes=("clean",))
    synthetic.write(tmp_path / "steel", 2, size=32, classes=("patches",))
    findings = by_title(check(tmp_path / "steel", tmp_path / "out"))
    assert "patches" in findings["Classes"].words
    assert "more than 10 times" in findings["Classes"].words


def test_nothing_to_check_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").write_bytes(b"")
    with pytest.raises(SteelsightError, match="no picture that can be read"):
        check(tmp_path, tmp_path / "out")
