"""The train command's work on drawn steel."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

import steelsight
from steelsight import images
from steelsight.data import catalog, foldfile, splits
from steelsight.data.naming import names_of
from steelsight.records import SteelsightError
from steelsight.training import run as run_module
from steelsight.training.boxes import FEWEST
from steelsight.training.fit import CHECKPOINT
from steelsight.training.run import train
from tests.drawn import draw, quick

QUIET = Console(quiet=True)


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


def test_the_file_looks_again_where_the_recipe_says_so(model_file: Path, tmp_path: Path) -> None:
    draw(tmp_path / "steel")
    trained = train(tmp_path / "steel", quick(second_look=3.5), tmp_path / "run", QUIET)
    assert trained is not None
    assert steelsight.load(trained.model).card.second_look == 3.5
    assert steelsight.load(model_file).card.second_look == 0


class Killed(BaseException):
    pass


def test_what_a_picture_is_like_has_its_say_by_the_recipe_alone(tmp_path: Path) -> None:
    draw(tmp_path / "steel")
    for name, likeness in (("without", 0.0), ("with", 2.0)):
        train(tmp_path / "steel", quick(directions=5, likeness=likeness), tmp_path / name, QUIET)
    picture = next((tmp_path / "steel" / "IMAGES").glob("*.png"))
    (own, its_map), (said, same_map) = (
        steelsight.load(tmp_path / name).logits([images.decode(picture)]) for name in ("without", "with")
    )
    np.testing.assert_allclose(its_map, same_map, atol=1e-5)
    np.testing.assert_allclose(its_map.mean((2, 3)), own, atol=1e-4)
    assert np.abs(said - own).max() > 0.1


@pytest.mark.parametrize("epochs", [0, 2, 4])
def test_a_run_with_teachers_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: int
) -> None:
    """Killed after the first epoch of a teacher, of the other, or of their pupil."""
    draw(tmp_path / "steel")
    recipe = quick(teacher={"model_options": {"stem": [32, 4, 4]}}, teachers=2)
    train(tmp_path / "steel", recipe, tmp_path / "whole", QUIET)
    left, said = [epochs], run_module._epoch_line

    def dies(*given: Any) -> str:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return said(*given)

    monkeypatch.setattr(run_module, "_epoch_line", dies)
    with pytest.raises(Killed):
        train(tmp_path / "steel", recipe, tmp_path / "killed", QUIET)
    monkeypatch.undo()
    train(tmp_path / "steel", recipe, tmp_path / "killed", QUIET, resume=True)
    for place in (Path(CHECKPOINT), Path("teacher") / CHECKPOINT, Path("teacher-2") / CHECKPOINT):
        files = (tmp_path / name / place for name in ("whole", "killed"))
        whole, killed = (torch.load(file, weights_only=True)["best_weights"] for file in files)
        assert all(torch.equal(whole[name], killed[name]) for name in whole)


@pytest.mark.parametrize("place", ["teacher", "teacher-2"])
def test_an_unfinished_teacher_is_not_overwritten(tmp_path: Path, place: str) -> None:
    draw(tmp_path / "steel")
    (tmp_path / "run" / place).mkdir(parents=True)
    (tmp_path / "run" / place / CHECKPOINT).write_bytes(b"of hours")
    with pytest.raises(SteelsightError, match="already holds a run"):
        train(tmp_path / "steel", quick(teacher={"seed": 1}), tmp_path / "run", QUIET)
    assert (tmp_path / "run" / place / CHECKPOINT).read_bytes() == b"of hours"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model_options": {"cpa": 2.0}, "teacher": {"model_options": {}}}, "cpa"),
        (
            {"teacher": {"model": "vit_tiny_patch16_224", "model_options": {"img_size": 64}}},
            "vit_tiny_patch16_224 cannot teach at 32 pixels",
        ),
    ],
)
def test_pupil_and_teacher_are_tried_before_either_is_trained(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    draw(tmp_path / "steel")
    with pytest.raises(SteelsightError, match=sentence):
        train(tmp_path / "steel", quick(**changes), tmp_path / "run", QUIET)
    assert not (tmp_path / "run" / "teacher" / CHECKPOINT).exists()


def test_clean_steel_of_test_pictures_is_a_fact_and_no_part_of_the_score(tmp_path: Path) -> None:
    draw(tmp_path / "steel", per_class=10)
    found = catalog.read(tmp_path / "steel").samples
    names = names_of([sample.path for sample in found], tmp_path / "steel")
    made = splits.assign(names, [sample.label for sample in found], None, 2)
    foldfile.write(made.assignments, tmp_path / "folds.csv")
    recipe = quick(clean_windows=16, validation_share=0.0)
    trained = train(tmp_path / "steel", recipe, tmp_path / "run", QUIET, folds=tmp_path / "folds.csv")
    assert trained is not None
    assert trained.scores is not None
    assert trained.scores.images == sum(entry.fold == 0 for entry in made.assignments)
    facts = json.loads((tmp_path / "run" / "scores.json").read_text())["facts"]
    windows = len(list((tmp_path / "run" / "windows" / "test" / "clean").iterdir()))
    assert f"of {windows} windows" in facts["Clean steel"]


def test_a_teacher_is_larger_than_its_pupil_and_stays_in_the_runs_folder(tmp_path: Path) -> None:
    draw(tmp_path / "steel")
    recipe = quick(teacher={"model_options": {"stem": [32, 4, 4]}})
    train(tmp_path / "steel", recipe, tmp_path / "run", QUIET)
    places = (tmp_path / "run" / "teacher", tmp_path / "run")
    teacher, pupil = (torch.load(place / CHECKPOINT, weights_only=True)["best_weights"] for place in places)
    first = "network.layers.0.0.weight"
    assert (len(teacher[first]), len(pupil[first])) == (32, 16)


def test_teachers_are_of_seeds_of_their_own(tmp_path: Path) -> None:
    draw(tmp_path / "steel")
    train(tmp_path / "steel", quick(teacher={"learning_rate": 1e-3}, teachers=2), tmp_path / "run", QUIET)
    one, other = (
        torch.load(tmp_path / "run" / place / CHECKPOINT, weights_only=True)["best_weights"]
        for place in ("teacher", "teacher-2")
    )
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_is_not_resumed_with_more_teachers(tmp_path: Path) -> None:
    draw(tmp_path / "steel")
    recipe = quick(teacher={"seed": 3})
    train(tmp_path / "steel", recipe, tmp_path / "run", QUIET)
    with pytest.raises(SteelsightError, match="started with other teachers"):
        train(tmp_path / "steel", replace(recipe, teachers=2), tmp_path / "run", QUIET, resume=True)
    assert not (tmp_path / "run" / "teacher-2" / CHECKPOINT).exists()
