"""Recipes: what YAML and the command line may say, and what they may not."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelsight.records import SteelsightError
from steelsight.training import recipe as recipes
from steelsight.training.recipe import Augmentation, Recipe, Stage


def test_a_saved_recipe_loads_as_it_was(tmp_path: Path) -> None:
    chosen = Recipe(
        model="resnet18",
        model_options={"drop_rate": 0.1},
        stages=(Stage(3, 64), Stage(1, 96)),
        augmentation=Augmentation(turn=False, noise=0.1),
    )
    recipes.save(chosen, tmp_path / "recipe.yaml")
    assert recipes.load(tmp_path / "recipe.yaml") == chosen


def test_a_file_names_only_what_it_changes(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("batch_size: 8\naugmentation: {blur: 0}\n", encoding="utf-8")
    assert recipes.load(tmp_path / "recipe.yaml") == replace(Recipe(), batch_size=8, augmentation=Augmentation(blur=0))


def test_the_command_line_overrides() -> None:
    changes = ["batch_size=8", "augmentation.noise=0.2", "stages=[{epochs: 4, size: 64}]"]
    changed = recipes.override(Recipe(), model="millnet", seed=3, changes=changes)
    assert (changed.model, changed.seed, changed.batch_size, changed.stages) == ("millnet", 3, 8, (Stage(4, 64),))
    assert changed.augmentation == replace(Augmentation(), noise=0.2)


@pytest.mark.parametrize(
    "text",
    [
        "batch: 8",
        "batch_size: many",
        "batch_size: 1",
        "batch_size: true",
        "stages: []",
        "stages: [{epochs: 1, size: 5}]",
        "stages: 7",
        "learning_rate: -1",
        "learning_rate: .nan",
        "likeness: -1",
        "likeness: .nan",
        "directions: 0",
        "second_look: -1",
        "second_look: .nan",
        "{second_look: 1, augmentation: {flip: false}}",
        "precision: fp8",
        "augmentation: {scale: 0.5}",
        "augmentation: strong",
        "- a list",
        "{broken",
        "model: [a]",
    ],
)
def test_a_wrong_recipe_gets_one_sentence_that_names_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SteelsightError) as error:
        recipes.load(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("change", ["batch_size", "nothing=1", "augmentation.x=1", "model.x=1", "batch_size={"])
def test_a_wrong_override_gets_one_sentence(change: str) -> None:
    with pytest.raises(SteelsightError):
        recipes.override(Recipe(), changes=[change])


@given(st.lists(st.integers(1, 60), min_size=1, max_size=4), st.integers(1, 200))
def test_another_number_of_epochs_is_shared_out_over_the_stages(epochs: list[int], wanted: int) -> None:
    recipe = Recipe(stages=tuple(Stage(count, 64 + 32 * n) for n, count in enumerate(epochs)))
    changed = recipe.with_epochs(wanted)
    assert changed.epochs == wanted
    assert changed.size == recipe.size
    assert [stage.size for stage in changed.stages] == sorted(stage.size for stage in changed.stages)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_every_epoch_has_its_stage(epochs: list[int]) -> None:
    recipe = Recipe(stages=tuple(Stage(count, 32 * (n + 1)) for n, count in enumerate(epochs)))
    sizes = [recipe.stage_of(epoch).size for epoch in range(recipe.epochs)]
    assert sizes == [stage.size for stage in recipe.stages for _ in range(stage.epochs)]


def test_a_teacher_has_the_recipe_but_for_what_it_says() -> None:
    recipe = Recipe(teacher={"model_options": {"cap": 2.0}, "seed": 3})
    teacher = recipes.teacher_of(recipe)
    assert teacher == replace(recipe, model_options={"cap": 2.0}, seed=3, teacher={})
    changed = replace(recipe, augmentation=Augmentation(rotation=3.0), teacher={"augmentation": {"noise": 0.2}})
    assert recipes.teacher_of(changed).augmentation == Augmentation(rotation=3.0, noise=0.2)


def test_teachers_differ_by_their_seeds_alone() -> None:
    recipe = Recipe(seed=5, teacher={"batch_size": 8}, teachers=3)
    assert [each.seed for each in recipes.teachers_of(recipe)] == [5, 6, 7]
    alike = replace(recipe, seed=0, batch_size=8, teacher={}, teachers=1)
    assert all(replace(each, seed=0) == alike for each in recipes.teachers_of(recipe))
    assert recipes.teachers_of(Recipe()) == []
    with pytest.raises(SteelsightError, match="there is no teacher"):
        recipes.from_dict({"teachers": 3}, "recipe")


def test_a_teacher_has_no_file_and_looks_once() -> None:
    recipe = Recipe(second_look=2.0, teacher={"augmentation": {"flip": False}})
    assert recipes.teacher_of(recipe).second_look == 0


@pytest.mark.parametrize(
    ("teacher", "sentence"),
    [
        ({"teacher": {"seed": 1}}, "cannot have teacher of its own"),
        ({"clean_windows": 64}, "cannot have clean_windows of its own"),
        ({"teachers": 2}, "cannot have teachers of its own"),
        ({"likeness": 2.0}, "cannot have likeness of its own"),
        ({"second_look": 2.0}, "cannot have second_look of its own"),
        ({"sede": 1}, "does not know sede"),
        ({"seed": "x"}, "seed"),
    ],
)
def test_a_teacher_that_cannot_be_is_refused(teacher: dict[str, object], sentence: str) -> None:
    with pytest.raises(SteelsightError, match=f"recipe: teacher.*{sentence}"):
        recipes.from_dict({"teacher": teacher}, "recipe")
