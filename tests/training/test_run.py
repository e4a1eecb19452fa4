"""The train command's work on drawn steel: who learns, who chooses, who is looked at once."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import steelsight
from steelsight.data import catalog, foldfile, splits
from steelsight.data.naming import names_of
from steelsight.records import Sample, SteelsightError
from steelsight.training.boxes import FEWEST
from steelsight.training.recipe import Recipe
from steelsight.training.run import choose_parts, train
from tests.drawn import draw, quick

QUIET = Console(quiet=True)


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


def test_a_run_leaves_all_that_design_promises(drawn: Path, model_file: Path) -> None:
    run = model_file.parent
    names = {
        "model.onnx",
        "report.html",
        "metrics.jsonl",
        "recipe.yaml",
        "checkpoint.pt",
        "scores.json",
        "answers.jsonl",
        "groups.csv",
    }
    assert names == {path.name for path in run.iterdir()}
    result = json.loads((run / "scores.json").read_text(encoding="utf-8"))
    assert result["scores"]["images"] == 6
    card = steelsight.load(run).card
    assert len(card.training_images) == 12
    assert card.provenance["seed"] == "0"
    assert len(catalog.read(drawn).samples) == 18


def test_a_run_is_not_overwritten_by_another(drawn: Path, model_file: Path) -> None:
    with pytest.raises(SteelsightError, match="--resume"):
        train(drawn, quick(), model_file.parent, QUIET)


def test_an_unwritable_folder_is_named(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SteelsightError, match="cannot be written"):
        train(drawn, quick(), tmp_path / "file" / "run", QUIET)


def test_unreadable_pictures_are_named_and_the_rest_trains(tmp_path: Path) -> None:
    draw(tmp_path / "steel")
    broken = tmp_path / "steel" / "IMAGES" / "clean_1.png"
    broken.write_bytes(broken.read_bytes()[:200])
    trained = train(tmp_path / "steel", replace(quick(), validation_share=0.0), tmp_path / "run", QUIET)
    assert trained is not None
    assert trained.scores is None
    assert len(trained.problems) == 1
    assert "clean_1.png" in trained.problems[0]


def test_a_folder_with_boxes_teaches_where_and_the_run_says_what_regions_are_found_in(
    model_file: Path, tmp_path: Path
) -> None:
    draw(tmp_path / "data", per_class=FEWEST)
    trained = train(tmp_path / "data", quick(validation_share=0.0), tmp_path / "run", QUIET)
    assert trained is not None
    assert steelsight.load(trained.model).output([np.zeros((64, 64), np.uint8)]).inside is not None
    taught, untaught = (
        json.loads((file.parent / "scores.json").read_text(encoding="utf-8"))["facts"]["Regions"]
        for file in (trained.model, model_file)
    )
    assert taught == "learned from the boxes of training pictures"
    assert untaught.startswith("what stands out from the rest of the picture; to learn from boxes takes 10")
