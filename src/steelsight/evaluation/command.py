"""The `evaluate` command's work: a model file and labelled photographs in, scores.json and report.html out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path

from steelsight import images, report
from steelsight.data import catalog, foldfile
from steelsight.evaluation import gallery, results, robustness
from steelsight.evaluation.evaluate import evaluate
from steelsight.evaluation.metrics import Interval, accuracy_interval
from steelsight.evaluation.provenance import provenance
from steelsight.images import ImageError
from steelsight.records import Answer, HarshScores, Prediction, Sample, Scores, SteelsightError
from steelsight.runtime.classifier import Classifier, load

HARSH = "harsh.json"


@dataclass(frozen=True, slots=True)
class ModelEvaluation:
    """Scores, the accuracy's interval, what was left out, and how many of the pictures the model was trained on."""

    scores: Scores
    interval: Interval
    problems: tuple[str, ...]
    seen: int
    harsh: HarshScores | None


def evaluate_model(
    model: str,
    data: Path,
    out: Path,
    folds: Path | None,
    fold: int,
    *,
    with_harsh: bool = False,
    on_harsh: Callable[[int, int], object] = lambda *_: None,
) -> ModelEvaluation:
    """Scores a model on a labelled folder, or on one fold of it; on harsh pictures as well where asked for.

    on_harsh: called with how many pictures were made harsh, and how many there are. Raises SteelsightError.
    """
    classifier = load(model)
    with _writing(out):
        out.mkdir(parents=True, exist_ok=True)
    labelled = catalog.read(data)
    root = catalog.root_of(data)
    samples, remarks = (labelled.samples, []) if folds is None else _of_fold(labelled.samples, root, folds, fold)
    assigned = foldfile.read(folds) if folds else []
    seen = _count_seen(classifier, samples)
    found = evaluate(lambda paths: _without_maps(classifier, paths), samples, classifier.classes, root)
    problems = (*labelled.problems, *remarks, *found.problems)
    group_of = foldfile.groups_of([answer.image for answer in found.answers], assigned)
    groups = [group_of[answer.image] for answer in found.answers]
    unit = "groups" if any(entry.group for entry in assigned) else "pictures"
    interval = accuracy_interval([answer.is_right for answer in found.answers], groups, unit)
    facts = {
        "Model": classifier.name,
        "Data": root.name if folds is None else f"{root.name}, {folds.stem}, fold {fold}",
        "Seen in training": f"{seen} of {found.scores.images} pictures (same pixels)",
        "95 % interval of the accuracy": str(interval),
        **({"Called unknown": f"{found.unknown} of {found.scores.images}"} if found.unknown else {}),
    }
    harsh = _harsh(classifier, found.answers, root, on_harsh) if with_harsh else None
    with _writing(out):
        results.write(out, replace(found, problems=problems), facts, provenance())
        (out / HARSH).unlink(missing_ok=True)
        if harsh:
            summed = {"mean": harsh.mean, "mean_never_trained_on": harsh.mean_never_trained_on, "worst": harsh.worst}
            held = {"facts": facts, "harsh": {**summed, **asdict(harsh)}, "provenance": provenance()}
            results.write_json(out / HARSH, held)
        title = f"{classifier.name} on {root.name}"
        wrong = gallery.thumbnails(classifier, [mistake.image for mistake in found.scores.mistakes], root)
        report.write_scores(out / "report.html", found.scores, title=title, facts=facts, harsh=harsh, pictures=wrong)
    return ModelEvaluation(found.scores, interval, problems, seen, harsh)


def _harsh(
    classifier: Classifier, answers: Sequence[Answer], root: Path, on_harsh: Callable[[int, int], object]
) -> HarshScores:
    """Of the pictures that could be read; they are decoded one after another, so memory stays flat."""
    done = count(1)
    pictures = ((Path(answer.image).name, images.decode(root / answer.image)) for answer in answers)
    told = robustness.answers(classifier, pictures, lambda: on_harsh(next(done), len(answers)))
    truths = [classifier.classes.index(answer.truth) for answer in answers]
    return robustness.harsh_scores(truths, told.clean, told.harsh)


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SteelsightError(f"{out}: cannot be written ({error.strerror}); give another --out.") from None


def _of_fold(samples: Sequence[Sample], root: Path, folds: Path, fold: int) -> tuple[Sequence[Sample], Sequence[str]]:
    assigned, remarks = foldfile.match_samples(samples, root, folds)
    foldfile.check_fold(fold, assigned, folds)
    return [sample for sample, entry in zip(samples, assigned, strict=True) if entry.fold == fold], remarks


def _without_maps(classifier: Classifier, paths: Sequence[Path]) -> Iterable[Prediction]:
    """Keeps memory flat: the evaluator holds nothing of a picture but its label."""
    return (prediction for prediction, _ in classifier.stream(paths))


def _count_seen(classifier: Classifier, samples: Sequence[Sample]) -> int:
    trained_on = set(classifier.card.training_images)
    return sum(_is_among(sample.path, trained_on) for sample in samples) if trained_on else 0


def _is_among(path: Path, fingerprints: set[str]) -> bool:
    try:
        return images.fingerprint(images.decode(path)) in fingerprints
    except ImageError:
        return False
