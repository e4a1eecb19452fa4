"""Pages in Markdown: words by hand around tables that are made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from steelsight.records import SteelsightError

PLACE = "{{ studies }}"
"""What stands for the tables in the words."""


def around(words: Path, sections: Sequence[str]) -> str:
    """The words with the sections in their place. Raises SteelsightError where they cannot be read."""
    try:
        return words.read_text(encoding="utf-8").replace(PLACE, "\n".join(sections))
    except OSError as error:
        raise SteelsightError(f"{words}: cannot be read ({error.strerror}).") from None


def row(cells: Sequence[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def write(page: Path, text: str) -> Path:
    """Writes a page and returns its path. Raises SteelsightError where that cannot be done."""
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SteelsightError(f"{page}: cannot be written ({error.strerror}); give another --out.") from None
    return page
