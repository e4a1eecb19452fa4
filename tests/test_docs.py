"""The README tells the truth: its commands exist, every command is in it, and its figures are the committed ones."""

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.main import get_command

from steelsight.cli import app
from steelsight.evaluation import choices, reproduction

GROUP = get_command(app)
ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


def commands(group: Any = GROUP, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    inner = getattr(group, "commands", None)
    if inner is None:
        return {path: group}
    return {name: found for key, each in inner.items() for name, found in commands(each, (*path, key)).items()}


def shown() -> list[list[str]]:
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("steelsight ")]
    return [shlex.split(line)[1:] for line in lines]


@pytest.mark.parametrize("words", shown(), ids=" ".join)
def test_the_readmes_commands_and_options_exist(words: list[str]) -> None:
    path = next(path for path in commands() if words[: len(path)] == list(path))
    options = {name for parameter in commands()[path].params for name in parameter.opts}
    for word in words:
        assert not word.startswith("--") or word in options


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_is_shown_in_the_readme(path: tuple[str, ...]) -> None:
    assert any(words[: len(path)] == list(path) for words in shown())


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_and_option_has_a_word_of_help(path: tuple[str, ...]) -> None:
    command = commands()[path]
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None) or parameter.name in ("seed", "folds", "help"), parameter.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


def script(name: str) -> ModuleType:
    """A script of the studies as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "studies" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_what_the_results_make() -> None:
    for page, text in script("tables").pages().items():
        assert page.read_text(encoding="utf-8") == text, f"run python studies/tables.py: {page.name} is not up to date"


def test_the_page_on_robustness_is_what_the_results_make() -> None:
    page = ROOT / "docs" / "robustness.md"
    assert page.read_text(encoding="utf-8") == script("robustness").page(), "run python studies/robustness.py"


def test_the_page_on_the_papers_is_what_the_results_make() -> None:
    text, plots = reproduction.make(ROOT / "studies")
    page = ROOT / "docs" / "reproduction.md"
    assert page.read_text(encoding="utf-8") == text, "run steelsight study report"
    assert {path.stem for path in (page.parent / "plots").glob("*.svg")} == set(plots)


def test_the_page_on_choices_is_what_the_results_make() -> None:
    page = ROOT / "docs" / "choices.md"
    assert page.read_text(encoding="utf-8") == choices.make(ROOT / "studies"), "run steelsight study report"
