"""Committed results: counted again from the names of mistakes, they come to what was measured."""

import json
from pathlib import Path
from statistics import mean

import pytest

from steelsight.data import foldfile
from steelsight.evaluation import archive
from steelsight.evaluation.archive import Key
from steelsight.evaluation.comparison import compare
from steelsight.records import SteelsightError

STUDIES = Path(__file__).parents[2] / "studies"


def test_every_committed_cell_is_read_and_lies_where_its_key_says() -> None:
    for cell in archive.load(STUDIES / "results"):
        assert (STUDIES / "results" / cell.key.path).exists()
        assert cell.scores is not None or cell.problems


def test_figures_counted_from_the_mistakes_are_those_that_were_measured() -> None:
    folds = foldfile.read(STUDIES / "folds" / "neu-cls-leak-free.csv")
    cells = archive.of(archive.load(STUDIES / "results"), "pdmsnet", "neu-cls-leak-free")
    pooled = archive.pool(cells, folds, {entry.image: entry.group for entry in folds})
    assert (pooled.cells, pooled.images) == (5, 1800)
    assert pooled.accuracy[0] == pytest.approx(1 - pooled.mistakes / 1800)
    right = archive.shares_right(cells, folds)
    assert float(mean(right.values())) == pytest.approx(pooled.accuracy[0])
    assert pooled.interval.low < pooled.accuracy[0] < pooled.interval.high
    itself = compare(right, right, {entry.image: entry.group for entry in folds})
    assert (itself.difference, itself.p_value) == (0, 1)


def write(results: Path, key: Key, content: str) -> None:
    (results / key.path).parent.mkdir(parents=True, exist_ok=True)
    (results / key.path).write_text(content, encoding="utf-8")


def test_cells_come_in_order_and_those_without_scores_are_kept_apart(tmp_path: Path) -> None:
    plain = {"facts": {}, "provenance": {}, "problems": ["the loss is not finite"], "scores": None}
    scored = plain | {"problems": [], "scores": {"mistakes": [{"image": "a/1.png", "predicted": "b"}]}}
    keys = [Key("default", "net", "neu-published", fold, seed) for seed in (0, 1) for fold in (0, 10)]
    for key in reversed(keys):
        write(tmp_path, key, json.dumps(plain if key == keys[1] else scored))
    cells = archive.load(tmp_path)
    assert [cell.key for cell in cells] == keys
    assert cells[1].problems == ["the loss is not finite"]
    assert [cell.key for cell in archive.of(cells, "net", "neu-published")] == [keys[0], *keys[2:]]
    assert archive.of(cells, "net", "neu-published", "other") == []
    assert cells[0].wrong == {"a/1": "b"}


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"facts": 1}'])
def test_a_damaged_result_gets_a_sentence(tmp_path: Path, content: str) -> None:
    write(tmp_path, Key("r", "n", "p", 0, 0), content)
    with pytest.raises(SteelsightError, match="is not a result of a cell"):
        archive.load(tmp_path)
