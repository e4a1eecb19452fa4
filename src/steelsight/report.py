"""Predictions and scores -> JSON lines, CSV and self-contained HTML pages that can be mailed."""

from __future__ import annotations

import base64
import contextlib
import csv
import heapq
import json
import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from statistics import fmean
from types import MappingProxyType, TracebackType
from typing import Any, Self

import jinja2

from steelsight.curves import Chart
from steelsight.pictures import Thumbnail, encode_exhibit, thumbnail
from steelsight.records import (
    UNKNOWN,
    Exhibit,
    Finding,
    FloatArray,
    GreyImage,
    HarshScores,
    Mistake,
    Prediction,
    Scores,
    SteelsightError,
)

JSON_LINES, TABLE, PAGE = "predictions.jsonl", "predictions.csv", "report.html"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet read a cell as a formula; the wide forms do so in Japanese and Chinese versions."""

DEFAULT_PICTURES = 1000
"""About 8 MB of page, which most mail servers take; browsers open 5,000 (40 MB) without strain."""
NO_FACTS: Mapping[str, str] = MappingProxyType({})
NO_PICTURES: Mapping[str, Thumbnail] = MappingProxyType({})
NO_EXHIBITS: Mapping[str, Sequence[Exhibit]] = MappingProxyType({})


class InspectionReport:
    """Writes `predictions.jsonl` and `predictions.csv` line by line as predictions come, and `report.html` at the end.

    A context manager. When its block is left by an error or Ctrl-C, the page is written too and says that it is
    incomplete. The page lists every image and holds pictures of the `pictures` least certain ones; memory holds those
    pictures and nothing that grows with the number of images. Files of an earlier report in `folder` are replaced.

    `facts` are pairs of name and value for the head of the page. Every method raises SteelsightError where the folder
    cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        model: str,
        classes: Sequence[str],
        facts: Mapping[str, str] = NO_FACTS,
        pictures: int = DEFAULT_PICTURES,
    ) -> None:
        self.folder = folder
        self._model, self._classes, self._facts = model, tuple(classes), dict(facts)
        self._pictures = _LeastCertain(pictures)
        self._images = self._unreadable = 0
        self._closed = False
        with _explained(folder), ExitStack() as files:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / PAGE).unlink(missing_ok=True)
            # Buffering by line: what has been added survives a kill.
            self._lines = files.enter_context(_open(folder / JSON_LINES, "utf-8", buffering=1))
            # Excel needs the byte order mark that utf-8-sig writes.
            self._table = files.enter_context(_open(folder / TABLE, "utf-8-sig", buffering=1))
            self._writer = csv.writer(self._table, quoting=csv.QUOTE_NONNUMERIC)
            self._writer.writerow(_cells("image", "label", "confidence", *self._classes, "regions", "error"))
            self._files = files.pop_all()

    def add(self, prediction: Prediction, grey: GreyImage | None) -> None:
        """Writes one prediction; `grey`, the image as decoded, shape (height, width), is for its picture."""
        fields = prediction.to_dict()
        with _explained(self.folder):
            self._lines.write(json.dumps(fields, ensure_ascii=False, allow_nan=False) + "\n")
            self._writer.writerow(self._row(fields))
        if prediction.confidence is None:
            self._unreadable += 1
        elif grey is not None:
            self._pictures.offer(self._images, prediction.confidence, grey, prediction.heat)
        self._images += 1

    def close(self) -> None:
        """Writes the page. Calls after the first do nothing."""
        self._finish(complete=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        with contextlib.suppress(SteelsightError):  # the first error says more
            self._finish(complete=False)

    def _row(self, fields: Mapping[str, Any]) -> list[Any]:
        scores = [fields["scores"].get(name) for name in self._classes]
        regions = len(fields["regions"])
        return _cells(fields["image"], fields["label"], fields["confidence"], *scores, regions, fields["error"])

    def _finish(self, *, complete: bool) -> None:
        if self._closed:
            return
        self._closed = True
        with _explained(self.folder):
            self._files.close()
            _write_page(
                self.folder / PAGE,
                "inspection.html.j2",
                title="Inspection report",
                facts={"Model": self._model, **self._facts},
                images=self._images,
                unreadable=self._unreadable,
                pictures=self._pictures,
                complete=complete,
                setup={"classes": self._classes, "unknown": UNKNOWN},
                rows=_page_rows(self.folder / JSON_LINES, self._classes),
            )


def write_scores(
    path: Path,
    scores: Scores,
    *,
    title: str,
    facts: Mapping[str, str] = NO_FACTS,
    charts: Sequence[Chart] = (),
    harsh: HarshScores | None = None,
    pictures: Mapping[str, Thumbnail] = NO_PICTURES,
) -> None:
    """Writes a self-contained page: figures, table per class, confusion matrix, training curves and mistakes.

    `harsh` adds what harsh pictures do to the accuracy.

    `charts` come from `curves.charts` or `curves.charts_side_by_side`. `pictures` are those of mistakes, by the
    mistake's image, with its heat map; mistakes without one are in the table alone. A picture takes about 15 kB of
    page. Raises SteelsightError where the file cannot be written.
    """
    with _explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_page(
            path,
            "scores.html.j2",
            title=title,
            facts=facts,
            scores=scores,
            charts=charts,
            harsh=harsh,
            cards=_cards(scores.mistakes, pictures),
            mistakes=sorted(scores.mistakes, key=lambda mistake: mistake.image),
        )


def write_findings(
    path: Path,
    findings: Sequence[Finding],
    *,
    title: str,
    facts: Mapping[str, str] = NO_FACTS,
    exhibits: Mapping[str, Sequence[Exhibit]] = NO_EXHIBITS,
) -> None:
    """Writes a self-contained page with a section for each finding.

    `exhibits` are shown below the words of the finding with that title; a pair of NEU's pictures takes about 40 kB of
    page. Raises SteelsightError where the file cannot be written.
    """
    with _explained(path.parent):
        _write_page(path, "findings.html.j2", title=title, facts=facts, findings=findings, exhibits=exhibits)


def write_chart(path: Path, chart: Chart) -> None:
    """Writes one chart as an SVG file that stands alone, white below, for pages that show it as a picture.

    Raises SteelsightError where the file cannot be written.
    """
    with _explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_page(path, "chart.svg.j2", chart=chart)


def write_harsh(path: Path, harsh: HarshScores, title: str) -> None:
    """Writes accuracy by kind and strength as an SVG file that stands alone. Raises SteelsightError."""
    with _explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_page(path, "harsh_file.svg.j2", harsh=harsh, title=title)


def write_reliability(path: Path, curves: Mapping[str, Sequence[tuple[int, float, float]]], title: str) -> None:
    """Writes a reliability diagram as an SVG file that stands alone. Raises SteelsightError.

    curves: by name the bins of confidence, each with its number of answers, mean confidence and share right, 0 to 1.
    """
    with _explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_page(path, "reliability.svg.j2", curves=curves, title=title)


class _LeastCertain:
    """The pictures of the `limit` images with the lowest confidence; of equals, those that came first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.offered = 0
        self._heap: list[tuple[float, int, Thumbnail]] = []

    def __len__(self) -> int:
        return len(self._heap)

    def offer(self, row: int, confidence: float, grey: GreyImage, heat: FloatArray | None) -> None:
        """Keeps a picture if it is uncertain enough; `row` is the number of its row in the page."""
        self.offered += 1
        full = len(self) >= self.limit
        key = (-confidence, -row)
        if self.limit == 0 or (full and key < self._heap[0][:2]):
            return  # the common case in a long run: nothing is encoded
        entry = (*key, thumbnail(grey, heat))
        if full:
            heapq.heapreplace(self._heap, entry)
        else:
            heapq.heappush(self._heap, entry)

    def __iter__(self) -> Iterator[tuple[int, int, int, str, str]]:
        """Row number, width and height of the original, JPEG and heat PNG in base64."""
        for _, row, kept in self._heap:
            yield -row, kept.width, kept.height, _base64(kept.grey), _base64(kept.heat)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """A wrong answer, and how often an image got it; `confidence` is the mean of those times."""

    truth: str
    predicted: str
    times: int
    confidence: float


@dataclass(frozen=True, slots=True)
class _Card:
    """A mistaken image: several networks may have looked at it, as in a cross-validation."""

    image: str
    picture: Thumbnail
    verdicts: tuple[_Verdict, ...]


def _cards(mistakes: Sequence[Mistake], pictures: Mapping[str, Thumbnail]) -> list[_Card]:
    """A card for each mistaken image that has a picture: mistaken most often first, of equals most surely."""
    by_image = defaultdict(list)
    for mistake in mistakes:
        by_image[mistake.image].append(mistake)
    surest = sorted(by_image.items(), key=lambda item: -fmean(mistake.confidence for mistake in item[1]))
    ranked = sorted(surest, key=lambda item: -len(item[1]))
    return [_Card(image, pictures[image], _verdicts(found)) for image, found in ranked if image in pictures]


def _verdicts(mistakes: Sequence[Mistake]) -> tuple[_Verdict, ...]:
    """What one image was taken for, most often first."""
    confidences = defaultdict(list)
    for mistake in mistakes:
        confidences[mistake.truth, mistake.predicted].append(mistake.confidence)
    found = [_Verdict(*classes, len(values), fmean(values)) for classes, values in confidences.items()]
    return tuple(sorted(found, key=lambda verdict: -verdict.times))


def _page_rows(lines: Path, classes: Sequence[str]) -> Iterator[list[Any]]:
    """The rows of the page, compact: image, label, confidence, scores in the order of the classes, regions.

    An image that could not be read has two fields, image and error.
    """
    with lines.open(encoding="utf-8") as file:
        for line in file:
            fields = json.loads(line)
            if fields["confidence"] is None:
                yield [fields["image"], fields["error"]]
                continue
            scores = [round(fields["scores"].get(name, 0.0), 4) for name in classes]
            regions = [[*region.values()] for region in fields["regions"]]
            yield [fields["image"], fields["label"], fields["confidence"], scores, regions]


def _write_page(path: Path, template: str, **values: Any) -> None:
    """Streams a template into `path`, which appears only when it is whole."""
    page = _environment().get_template(template)
    written = datetime.now().astimezone()
    draft = path.with_name(path.name + ".part")
    with _open(draft, "utf-8") as file:
        file.writelines(page.generate(written=written, nonce=secrets.token_urlsafe(16), **values))
    draft.replace(path)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("steelsight"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.filters["percent"] = lambda share: f"{100 * share:.2f}\u00a0%"
    environment.filters["base64"] = _base64
    environment.filters["exhibit"] = encode_exhibit
    environment.filters["count"] = lambda number: f"{number:,}"
    return environment


def _open(path: Path, encoding: str, buffering: int = -1) -> Any:
    # Names that are not Unicode reach Python as lone surrogates; the escape is valid JSON for them.
    return path.open("w", buffering, encoding, errors="backslashreplace", newline="")


def _cells(*values: Any) -> list[Any]:
    """Cells that no spreadsheet runs as a formula."""
    return ["'" + value if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value for value in values]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turns a failed write into one sentence that says what to do."""
    try:
        yield
    except OSError as error:
        raise SteelsightError(
            f"{folder}: the report cannot be written there ({error.strerror or error}); "
            "free some space, close its files in other programs, or choose another folder that you may write to."
        ) from None
