"""Scores and answers on disk: `scores.json` for people and tables, `answers.jsonl` for whoever counts anew."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from steelsight.evaluation.evaluate import Evaluation
from steelsight.records import Answer

SCORES, ANSWERS, HISTORY = "scores.json", "answers.jsonl", "metrics.jsonl"


def write(folder: Path, found: Evaluation | None, facts: Mapping[str, str], provenance: Mapping[str, str]) -> None:
    """Writes both files; without an evaluation, only the facts. Raises OSError."""
    scores = asdict(found.scores) if found else None
    problems = found.problems if found else ()
    result = {"facts": dict(facts), "scores": scores, "problems": problems, "provenance": dict(provenance)}
    write_json(folder / SCORES, result)
    lines = [json.dumps(asdict(answer), ensure_ascii=False) for answer in (found.answers if found else ())]
    (folder / ANSWERS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_answers(folder: Path) -> Sequence[Answer]:
    """The answers of a folder that `write` filled. Raises OSError or ValueError where it is not one."""
    lines = (folder / ANSWERS).read_text(encoding="utf-8").splitlines()
    return [Answer(**json.loads(line)) for line in lines]


def read_history(folder: Path) -> list[dict[str, float]]:
    """The figures of each epoch of a run; none where it has no such file. Raises ValueError where it is damaged."""
    path = folder / HISTORY
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]
