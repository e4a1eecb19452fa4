"""Who learns, who chooses, who is looked at once."""

from dataclasses import replace
from pathlib import Path

import pytest

from steelsight.data import foldfile, splits
from steelsight.data.naming import names_of
from steelsight.records import Sample, SteelsightError
from steelsight.training.parts import choose_parts
from steelsight.training.recipe import Recipe


def samples(root: Path, counts: dict[str, int], part: str | None = None) -> list[Sample]:
    return [
        Sample(root / label / f"{n}.png", label, part=part) for label, count in counts.items() for n in range(count)
    ]


def fold_file(path: Path, found: list[Sample], root: Path, groups: list[str] | None) -> Path:
    names = names_of([sample.path for sample in found], root)
    foldfile.write(splits.assign(names, [sample.label for sample in found], groups, 5).assignments, path)
    return path


def test_every_picture_is_in_one_part(tmp_path: Path) -> None:
    found = samples(tmp_path, {"a": 50, "b": 40})
    folds = fold_file(tmp_path / "folds.csv", found, tmp_path, None)
    parts, remarks = choose_parts(found, tmp_path, Recipe(), folds, 2)
    chosen = [*parts.training, *parts.validation, *parts.test]
    assert sorted(sample.path for sample in chosen) == sorted(sample.path for sample in found)
    assert (len(parts.test), len(parts.validation)) == (18, 8)
    assert remarks == []


def test_unused_pictures_are_in_no_part(tmp_path: Path) -> None:
    found = samples(tmp_path, {"a": 50, "b": 40})
    folds = fold_file(tmp_path / "folds.csv", found, tmp_path, None)
    entries = [replace(e, fold=foldfile.UNUSED) if e.fold == 4 else e for e in foldfile.read(folds)]
    foldfile.write(entries, folds)
    parts, _ = choose_parts(found, tmp_path, Recipe(), folds, 2)
    chosen = {f"{s.label}/{s.path.stem}" for part in (parts.training, parts.validation, parts.test) for s in part}
    assert chosen == {Path(e.image).with_suffix("").as_posix() for e in entries if e.fold != foldfile.UNUSED}


def test_a_class_that_is_not_used_at_all_is_no_class(tmp_path: Path) -> None:
    found = samples(tmp_path, {"a": 50, "b": 40, "c": 30})
    folds = fold_file(tmp_path / "folds.csv", found, tmp_path, None)
    foldfile.write([replace(e, fold=foldfile.UNUSED) if e.label == "c" else e for e in foldfile.read(folds)], folds)
    parts, _ = choose_parts(found, tmp_path, Recipe(), folds, 2)
    assert parts.classes == ("a", "b")


def test_pictures_without_a_group_are_each_their_own(tmp_path: Path) -> None:
    found = samples(tmp_path, {"a": 50, "b": 40})
    folds = fold_file(tmp_path / "folds.csv", found, tmp_path, None)
    entries = foldfile.read(folds)
    foldfile.write([replace(entries[0], group="of one coil"), *entries[1:]], folds)
    parts, _ = choose_parts(found, tmp_path, Recipe(), folds, 2)
    assert len(parts.training) + len(parts.validation) + len(parts.test) == len(found)
    assert len(parts.validation) > 1


def test_groups_of_the_fold_file_are_cut_nowhere(tmp_path: Path) -> None:
    found = samples(tmp_path, {"a": 60, "b": 60})
    groups = [f"{sample.label}{int(sample.path.stem) // 4}" for sample in found]
    folds = fold_file(tmp_path / "folds.csv", found, tmp_path, groups)
    parts, _ = choose_parts(found, tmp_path, Recipe(validation_share=0.25), folds, 0)
    of_part = [
        {f"{s.label}{int(s.path.stem) // 4}" for s in part} for part in (parts.training, parts.validation, parts.test)
    ]
    assert all(of_part)
    assert of_part[0].isdisjoint(of_part[1])
    assert of_part[0].isdisjoint(of_part[2])
    assert of_part[1].isdisjoint(of_part[2])


def test_the_folders_own_parts_are_kept(tmp_path: Path) -> None:
    found = [
        *samples(tmp_path / "train", {"a": 9, "b": 9}, "train"),
        *samples(tmp_path / "test", {"a": 3, "b": 3}, "test"),
    ]
    found += samples(tmp_path / "val", {"a": 2, "b": 2}, "val")
    parts, _ = choose_parts(found, tmp_path, Recipe(), None, 0)
    assert [len(parts.training), len(parts.validation), len(parts.test)] == [18, 4, 6]


def test_a_single_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SteelsightError, match="only the class a"):
        choose_parts(samples(tmp_path, {"a": 9}), tmp_path, Recipe(), None, 0)


def test_a_class_with_a_single_picture_trains_and_is_remarked_on(tmp_path: Path) -> None:
    parts, remarks = choose_parts(samples(tmp_path, {"a": 9, "b": 1}), tmp_path, Recipe(), None, 0)
    assert "b" in {sample.label for sample in parts.training}
    assert len(remarks) == 1
    assert "b" in remarks[0]


def test_a_class_that_is_only_tested_is_refused(tmp_path: Path) -> None:
    found = [*samples(tmp_path, {"a": 9, "b": 9}, "train"), *samples(tmp_path, {"c": 3}, "test")]
    with pytest.raises(SteelsightError, match="class c has no training picture"):
        choose_parts(found, tmp_path, Recipe(), None, 0)


def test_a_fold_that_is_not_there_is_named(tmp_path: Path) -> None:
    found = samples(tmp_path, {"a": 10, "b": 10})
    folds = fold_file(tmp_path / "folds.csv", found, tmp_path, None)
    with pytest.raises(SteelsightError, match="no fold 7"):
        choose_parts(found, tmp_path, Recipe(), folds, 7)
