"""A study runs what is missing and keeps it; a cell that fails is kept with its reason, and the rest runs."""

import json
import shutil
from pathlib import Path

import pytest

from steelsight.data import splits
from steelsight.evaluation import archive, choices, reproduction, studies
from steelsight.records import SteelsightError
from steelsight.training import recipe as recipes
from steelsight.training.study import run
from tests.drawn import quick

DEFINITION = """
title: Two networks on drawn steel
recipe: quick
protocols: [drawn]
folds: [0]
seeds: [0]
printed: table
networks:
  small: {model: millnet}
  narrow: {model: millnet, changes: {learning_rate: 1.0e-3}}
compare:
- [narrow, small]
confusion: [small]
"""


@pytest.fixture
def folder(drawn: Path, tmp_path: Path) -> Path:
    for name in ("recipes", "folds", "results"):
        (tmp_path / name).mkdir()
    recipes.save(quick(), tmp_path / "recipes" / "quick.yaml")
    splits.split(drawn, tmp_path / "folds" / "drawn.csv", "published", "2", groups=None, seed=0)
    shutil.copy(tmp_path / "folds" / "drawn.csv", tmp_path / "folds" / f"{studies.GROUPS}.csv")
    (tmp_path / "published.json").write_text('{"table": {"small": {"accuracy": [97.5, 0.5]}}}', encoding="utf-8")
    (tmp_path / "two.yaml").write_text(DEFINITION, encoding="utf-8")
    return tmp_path


def test_a_study_runs_each_cell_once_and_the_page_shows_it(folder: Path, drawn: Path) -> None:
    said: list[str] = []
    assert run(folder, ["two"], drawn, folder / "runs", said.append) == []
    assert "2 of 2 cells are missing" in said[0]
    cells = archive.load(folder / "results")
    assert [cell.key.network for cell in cells] == ["narrow", "small"]
    assert [figures["epoch"] for figures in cells[0].history] == [1, 2]
    kept = json.loads((folder / "results" / cells[0].key.path).read_text(encoding="utf-8"))
    assert kept["definition"]["changes"] == {"learning_rate": 1e-3}

    assert run(folder, ["two"], drawn, folder / "runs", said.append) == []
    assert "0 of 2 cells are missing" in said[-1]

    baselines = {"accuracies": {"drawn": {"nearest neighbour": [0.5, 0.75]}}}
    (folder / "results" / "baselines.json").write_text(json.dumps(baselines), encoding="utf-8")
    (folder / "reproduction.md").write_text("# Page\n\n{{ studies }}\nend\n", encoding="utf-8")
    page, *plots = reproduction.write(folder, folder / "docs")
    text = page.read_text(encoding="utf-8")
    small = next(cell for cell in cells if cell.key.network == "small").scores
    assert small
    assert f"| `small` | 97.50 ± 0.50 | {100 * small['accuracy']:.2f} (" in text
    assert "Confusion matrix of `small`, drawn, 1 cell:" in text
    for name, row in zip(small["classes"], small["confusion"], strict=True):
        assert f"| {name} | {' | '.join(map(str, row))} |" in text
    assert "| nearest neighbour |  | 50.00 |" in text  # of the study's one fold
    assert "`narrow` against `small`, drawn, 1 cell: " in text
    assert [plot.name for plot in plots] == [
        f"two-drawn-fold-0-seed-0-{name}.svg" for name in ("training-loss", "validation-loss", "validation-accuracy")
    ]
    assert all(f"plots/{plot.name}" in text and plot.exists() for plot in plots)


def test_a_cell_of_several_studies_runs_once(folder: Path, drawn: Path) -> None:
    changed = (
        DEFINITION.replace("narrow: ", "slow: ").replace("1.0e-3", "1.0e-4").replace("[narrow, small]", "[slow, small]")
    )
    (folder / "three.yaml").write_text(changed, encoding="utf-8")
    said: list[str] = []
    assert run(folder, ["two", "three"], drawn, folder / "runs", said.append) == []
    assert [cell.key.network for cell in archive.load(folder / "results")] == ["narrow", "slow", "small"]
    assert said[-1].endswith("(3 of 3 cells)")


def test_results_of_another_recipe_or_other_folds_are_stale(folder: Path, drawn: Path) -> None:
    said: list[str] = []
    run(folder, ["two"], drawn, folder / "runs", said.append, networks=["small"])
    (folder / "reproduction.md").write_text("{{ studies }}", encoding="utf-8")
    assert "| `small` | 97.50 ± 0.50 | not run |" not in reproduction.make(folder)[0]
    before = (folder / "recipes" / "quick.yaml").read_text(encoding="utf-8")
    recipes.save(quick(batch_size=3), folder / "recipes" / "quick.yaml")
    assert "| `small` | 97.50 ± 0.50 | not run |" in reproduction.make(folder)[0]
    with pytest.raises(SteelsightError, match="cells of another recipe"):
        run(folder, ["two"], drawn, folder / "runs", said.append, networks=["small"])
    assert "1 of 1 cells are missing" in said[-1]
    (folder / "recipes" / "quick.yaml").write_text(before, encoding="utf-8")
    splits.split(drawn, folder / "folds" / "drawn.csv", "published", "2", groups=None, seed=1)
    assert "| `small` | 97.50 ± 0.50 | not run |" in reproduction.make(folder)[0]


def test_a_cell_that_fails_is_kept_with_its_reason_and_the_rest_runs(folder: Path, drawn: Path) -> None:
    text = DEFINITION.replace("changes: {learning_rate: 1.0e-3}", "options: {widths: nonsense}")
    (folder / "two.yaml").write_text(text, encoding="utf-8")
    failed = run(folder, ["two"], drawn, folder / "runs", print)
    assert [key.network for key in failed] == ["narrow"]
    narrow, small = archive.load(folder / "results")
    assert narrow.scores is None
    assert "millnet cannot be made with" in narrow.problems[0]
    assert small.scores
    (folder / "reproduction.md").write_text("{{ studies }}", encoding="utf-8")
    assert "* `narrow`, drawn, fold 0, seed 0 failed: millnet cannot be made with" in reproduction.make(folder)[0]
    assert run(folder, ["two"], drawn, folder / "runs", print) == []


def test_what_was_not_run_is_shown_as_not_run(folder: Path) -> None:
    (folder / "results" / "baselines.json").write_text('{"accuracies": {"drawn": {}}}', encoding="utf-8")
    (folder / "reproduction.md").write_text("{{ studies }}", encoding="utf-8")
    text, plots = reproduction.make(folder)
    assert "| `small` | 97.50 ± 0.50 | not run |" in text
    assert plots == {}


def test_cells_that_ran_are_named_where_others_did_not(folder: Path, drawn: Path) -> None:
    (folder / "two.yaml").write_text(DEFINITION.replace("folds: [0]", "folds: [0, 1]"), encoding="utf-8")
    (folder / "reproduction.md").write_text("{{ studies }}", encoding="utf-8")
    run(folder, ["two"], drawn, folder / "runs", print, networks=["small"], folds=[0])
    assert "; only fold 0 of seed 0) |" in reproduction.make(folder)[0]
    more = DEFINITION.replace("folds: [0]", "folds: [0, 1]").replace("seeds: [0]", "seeds: [0, 1]")
    (folder / "two.yaml").write_text(more, encoding="utf-8")
    run(folder, ["two"], drawn, folder / "runs", print, networks=["small"], seeds=[0])
    run(folder, ["two"], drawn, folder / "runs", print, networks=["small"], seeds=[1], folds=[1])
    assert "; only folds 0, 1 of seed 0, fold 1 of seed 1) |" in reproduction.make(folder)[0]


def test_choices_have_a_page_of_their_own(folder: Path, drawn: Path) -> None:
    (folder / "two.yaml").write_text(f"page: choices\n{DEFINITION}", encoding="utf-8")
    run(folder, ["two"], drawn, folder / "runs", print, networks=["small"])
    for name in ("choices", "reproduction"):
        (folder / f"{name}.md").write_text("{{ studies }}", encoding="utf-8")
    assert reproduction.make(folder) == ("", {})
    text = choices.make(folder)
    scores = archive.load(folder / "results")[0].scores
    assert scores
    row = f"| `small` | 0 | {len(scores['mistakes'])} of {scores['images']} | {100 * scores['accuracy']:.2f} |"
    assert f"{row} {scores['certainty']['log_loss']:.4f} |" in text
    assert "| `narrow` | not run |" in text


def test_a_study_on_no_known_page_gets_a_sentence(folder: Path) -> None:
    (folder / "two.yaml").write_text(f"page: front\n{DEFINITION}", encoding="utf-8")
    with pytest.raises(SteelsightError, match="page is front"):
        studies.load(folder, "two")
