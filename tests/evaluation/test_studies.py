"""Definitions of studies: the committed ones are sound, and what is wrong in one is said."""

from pathlib import Path

import pytest

from steelsight.data import foldfile
from steelsight.evaluation import studies
from steelsight.records import SteelsightError

STUDIES = Path(__file__).parents[2] / "studies"
LEAST = "title: t\nrecipe: r\nprotocols: [p]\nfolds: [0, 1]\nseeds: [0]\nnetworks: {one: {}, other: {}}\n"


@pytest.mark.parametrize("name", studies.names(STUDIES))
def test_the_committed_studies_name_recipes_folds_and_networks_that_exist(name: str) -> None:
    study = studies.load(STUDIES, name)
    assert (STUDIES / "recipes" / f"{study.recipe}.yaml").exists()
    for protocol in study.protocols:
        assert set(study.folds) <= set(foldfile.tested(foldfile.read(STUDIES / "folds" / f"{protocol}.csv")))
    networks = {network.name for network in study.networks}
    assert {name for pair in study.compare for name in pair} | set(study.confusion) <= networks


def test_one_name_means_one_network_in_all_studies() -> None:
    definitions: dict[tuple[str, str, str], object] = {}
    for name in studies.names(STUDIES):
        study = studies.load(STUDIES, name)
        for network in study.networks:
            for protocol in study.protocols:
                definition = studies.definition_of(STUDIES, study, network, protocol)
                assert definitions.setdefault((study.recipe, network.name, protocol), definition) == definition


def test_cells_come_fold_by_fold_so_that_networks_can_be_compared_early(tmp_path: Path) -> None:
    (tmp_path / "published.json").write_text("{}", encoding="utf-8")
    (tmp_path / "s.yaml").write_text(LEAST, encoding="utf-8")
    cells = [(key.fold, key.network) for _, key in studies.load(tmp_path, "s").cells()]
    assert cells == [(0, "one"), (0, "other"), (1, "one"), (1, "other")]


def test_printed_figures_come_from_published_json(tmp_path: Path) -> None:
    (tmp_path / "published.json").write_text('{"paper": {"table": {"one": {"accuracy": 99.5}}}}', encoding="utf-8")
    text = LEAST.replace("other: {}", "other: {printed: paper.table.one}, third: {}") + "printed: paper.table\n"
    (tmp_path / "s.yaml").write_text(text, encoding="utf-8")
    printed = {network.name: dict(network.printed) for network in studies.load(tmp_path, "s").networks}
    assert printed == {"one": {"accuracy": 99.5}, "other": {"accuracy": 99.5}, "third": {}}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- 1\n", "expected names with values"),
        ("a: [\n", "cannot be read as YAML"),
        (LEAST.replace("title", "tittle"), "does not know tittle"),
        (LEAST.replace("recipe: r\n", ""), "is not a study"),
        (LEAST.replace("[0, 1]", "[x]"), "is not a study"),
        (LEAST.replace("{one: {}", "{one: {size: 3}"), "a network has model, options"),
        (LEAST.replace("{one: {}", "{one: resnet18"), "one is 'resnet18'"),
        (LEAST.replace("{one: {}", "{one: {changes: {model: resnet18}}"), "one changes its model"),
        (LEAST.replace("{one: {}", "{one: {options: [1]}"), "is not a study"),
        (LEAST.replace("{one: {}", "{one: {printed: typo}"), "has no typo"),
        (LEAST.replace("seeds: [0]", "seeds: [0, 0]"), "names something twice"),
        (LEAST.replace("folds: [0, 1]", "folds: '01'"), "expected a list of int"),
        (LEAST + "compare: [[one, typo]]\n", "names typo, which is none of its networks"),
        (LEAST + "confusion: one\n", "expected a list of str"),
        (LEAST + "printed: 3\n", "is not a study"),
        (LEAST + "printed: nowhere\n", "has no nowhere"),
    ],
)
def test_what_is_wrong_in_a_definition_is_said(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "published.json").write_text("{}", encoding="utf-8")
    (tmp_path / "s.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SteelsightError, match=sentence):
        studies.load(tmp_path, "s")


def test_a_study_that_is_not_there_gets_the_near_names() -> None:
    with pytest.raises(SteelsightError, match="there is no such study; there are ablation"):
        studies.load(STUDIES, "abblation")


def test_a_part_of_a_study_can_be_run_and_what_it_has_not_is_named(tmp_path: Path) -> None:
    (tmp_path / "published.json").write_text("{}", encoding="utf-8")
    (tmp_path / "s.yaml").write_text(LEAST, encoding="utf-8")
    study = studies.load(tmp_path, "s")
    assert studies.narrowed(study, [], [], [], []) == study
    part = studies.narrowed(study, [1], [0], ["other"], [])
    assert [(key.fold, key.network) for _, key in part.cells()] == [(1, "other")]
    with pytest.raises(SteelsightError, match="s: has no othre; it has other"):
        studies.narrowed(study, [], [], ["othre"], [])
    with pytest.raises(SteelsightError, match="s: has no 7; it has 0, 1"):
        studies.narrowed(study, [7], [], [], [])
