"""Committed results: counted again from the names of mistakes, they come to what was measured."""

import json
from dataclasses import replace
from pathlib import Path
from statistics import mean

import pytest

from steelsight.data import foldfile
from steelsight.data.foldfile import Assignment
from steelsight.evaluation import archive, studies
from steelsight.evaluation.archive import Kept, Key
from steelsight.evaluation.comparison import compare
from steelsight.records import SteelsightError

STUDIES = Path(__file__).parents[2] / "studies"


def test_every_committed_cell_is_read_and_lies_where_its_key_says() -> None:
    for cell in archive.load(STUDIES / "results"):
        assert (STUDIES / "results" / cell.key.path).exists()
        assert cell.scores is not None or cell.problems


def test_figures_counted_from_the_mistakes_are_those_that_were_measured() -> None:
    study = studies.load(STUDIES, "pdmsnet")
    protocol = "neu-cls-leak-free-495"
    folds = foldfile.read(STUDIES / "folds" / f"{protocol}.csv")
    cells = studies.results_of(STUDIES, study, study.networks[0], protocol, archive.load(STUDIES / "results"))
    pooled = archive.pool(cells, folds, studies.group_of(STUDIES))
    assert (pooled.cells, pooled.images) == (5, 1800)
    assert pooled.accuracy[0] == pytest.approx(1 - pooled.mistakes / 1800)
    right = archive.shares_right(cells, folds)
    assert float(mean(right.values())) == pytest.approx(pooled.accuracy[0])
    assert pooled.interval.low < pooled.accuracy[0] < pooled.interval.high
    itself = compare(right, right, studies.group_of(STUDIES))
    assert (itself.difference, itself.p_value) == (0, 1)
    _, counts = archive.confusion(cells)
    assert sum(map(sum, counts)) - sum(counts[at][at] for at in range(6)) == pooled.mistakes


def test_cells_that_do_not_fit_the_fold_file_are_not_counted() -> None:
    folds = [Assignment("a/1.png", "a", "", 0), Assignment("a/2.png", "a", "", 0)]
    scores = {"images": 2, "mistakes": [{"image": "a/1.png", "predicted": "b", "truth": "a"}]}
    cell = Kept(Key("r", "n", "p", 0, 0), {}, scores, [], {}, [], {})
    assert archive.shares_right([cell], folds) == {"a/1.png": 0, "a/2.png": 1}
    failed = replace(cell, scores=None)
    assert archive.shares_right([cell, failed], folds) == archive.shares_right([cell], folds)
    for other in (folds[:1], folds[1:], [*folds, Assignment("a/3.png", "a", "", 0)]):
        with pytest.raises(SteelsightError, match="does not fit the fold file p"):
            archive.shares_right([cell], other)


def write(results: Path, key: Key, content: str) -> None:
    (results / key.path).parent.mkdir(parents=True, exist_ok=True)
    (results / key.path).write_text(content, encoding="utf-8")


def test_cells_come_in_order_and_those_without_scores_are_kept_apart(tmp_path: Path) -> None:
    plain = {"facts": {}, "provenance": {}, "problems": ["the loss is not finite"], "scores": None}
    mistake = {"image": "a/1.png", "predicted": "b", "truth": "a"}
    scores = {"mistakes": [mistake], "classes": ["a", "b"], "confusion": [], "images": 1, "accuracy": 0, "macro_f1": 0}
    scored = plain | {"problems": [], "scores": scores}
    keys = [Key("default", "net", "neu-published", fold, seed) for seed in (0, 1) for fold in (0, 10)]
    for key in reversed(keys):
        write(tmp_path, key, json.dumps(plain if key == keys[1] else scored))
    cells = archive.load(tmp_path)
    assert [cell.key for cell in cells] == keys
    assert cells[1].problems == ["the loss is not finite"]
    assert [cell.scores is None for cell in cells] == [False, True, False, False]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"facts": 1}',
        '{"facts": {}, "provenance": {}, "scores": []}',
        '{"facts": {}, "provenance": {}, "scores": {"images": 1}}',
    ],
)
def test_a_damaged_result_gets_a_sentence(tmp_path: Path, content: str) -> None:
    write(tmp_path, Key("r", "n", "p", 0, 0), content)
    with pytest.raises(SteelsightError, match="is not a result of a cell"):
        archive.load(tmp_path)
