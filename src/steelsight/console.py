"""What the commands share: how they end, what they say to a person, tables of scores. Imports are inside, as in cli."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from steelsight.records import Scores

DONE, SOME_UNREADABLE, NOTHING_DONE, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143


@contextmanager
def sentences(extra: str = "", *modules: str) -> Iterator[None]:
    """Turns what a person can mend into one sentence on standard error and an exit code.

    extra: what to install where one of the modules is missing.
    """
    from steelsight.records import SteelsightError

    missing = [module for module in modules if find_spec(module) is None]
    try:
        if missing:
            raise SteelsightError(f'This needs libraries that are not installed: pip install "steelsight[{extra}]".')
        yield
    except SteelsightError as error:
        typer.echo(f"steelsight: {error}", err=True)
        raise typer.Exit(NOTHING_DONE) from None
    except KeyboardInterrupt:
        typer.echo("steelsight: stopped; what was done so far is kept.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(DONE) from None


def make_console() -> Console:
    """Standard output, without rich's own colours for numbers and paths."""
    from rich.console import Console

    return Console(highlight=False)


def complain(console: Console, problems: Sequence[str]) -> None:
    """One line for each, in yellow."""
    for problem in problems:
        console.print(problem, style="yellow", markup=False, soft_wrap=True)


def print_scores(console: Console, scores: Scores, title: str) -> None:
    """A table by class, the accuracy, and the first of the errors by name."""
    from rich.table import Table
    from rich.text import Text

    def percent(value: float) -> str:
        return f"{100 * value:.2f}"

    table = Table(
        "class", *(_right(name) for name in ("precision %", "recall %", "F1 %", "pictures")), title=Text(title)
    )
    for name, figures in scores.per_class.items():
        row = (figures.precision, figures.recall, figures.f1)
        table.add_row(Text(name), *map(percent, row), str(figures.support))
    table.add_section()
    averages = (scores.macro_precision, scores.macro_recall, scores.macro_f1)
    table.add_row("mean", *map(percent, averages), str(scores.images))
    console.print(table)
    console.print(f"Accuracy {percent(scores.accuracy)} %, {len(scores.mistakes)} of {scores.images} wrong")
    for mistake in scores.mistakes[:20]:
        console.print(f"  {mistake.image}: {mistake.truth}, taken for {mistake.predicted}", markup=False)
    if len(scores.mistakes) > 20:
        console.print(f"  and {len(scores.mistakes) - 20} more, in the report")


def _right(name: str) -> Any:
    from rich.table import Column

    return Column(name, justify="right")
