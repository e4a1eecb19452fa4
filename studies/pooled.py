"""What the harsh answers of all folds come to: `python studies/pooled.py STUDY NETWORK [--runs RUNS]`.

Reads what `studies/harsh.py` left in the runs of the leak-free folds. Temperature and thresholds of each fold come from
the pictures that the other folds held out, as they are: a model of theirs had not seen these, and none of them is a
test picture of the fold. Writes results/robustness/NETWORK.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import measured
import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from steelsight.evaluation import studies
from steelsight.evaluation.calibration import candidate_share, temperature
from steelsight.evaluation.metrics import BINS, bin_numbers, certainty_of
from steelsight.evaluation.provenance import provenance
from steelsight.evaluation.results import write_json
from steelsight.evaluation.robustness import harsh_scores
from steelsight.training.familiar import COVERAGE

STUDIES = Path(__file__).parent
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fold:
    """Answers of one fold: logits (pictures, classes) up to a constant, and harsh ones (kinds, strengths, ...)."""

    truth: npt.NDArray[np.int64]
    clean: Floats
    harsh: Floats


def read(run: Path) -> Fold:
    held = np.load(run / "harsh.npz")
    clean, harsh = (np.log(np.clip(held[name].astype(np.float64), 1e-30, 1)) for name in ("clean", "harsh"))
    return Fold(held["truths"], clean, harsh)


def pooled(folds: Sequence[Fold]) -> dict[str, Any]:
    """Every fold at the temperature that the others ask for, and all together."""
    warmths, leasts = [], []
    for fold in folds:
        others = [other for other in folds if other is not fold]
        logits, truth = (np.concatenate([getattr(other, name) for other in others]) for name in ("clean", "truth"))
        warmths.append(temperature(logits, truth))
        leasts.append(candidate_share(softmax(logits / warmths[-1], axis=1), truth, COVERAGE))
    truth = np.concatenate([fold.truth for fold in folds])
    found = {}
    for name, by in (("as trained", [1.0] * len(folds)), ("calibrated", warmths)):
        clean = np.concatenate([softmax(fold.clean / warmth, axis=1) for fold, warmth in zip(folds, by, strict=True)])
        harsh = np.concatenate(
            [softmax(fold.harsh / warmth, axis=-1) for fold, warmth in zip(folds, by, strict=True)], axis=2
        )
        scores = harsh_scores(truth.tolist(), clean, harsh)
        found[name] = {
            "clean": _worth(clean, truth),
            "harsh": asdict(scores.certainty),
            "bins": _bins(clean, harsh, truth),
        }
    least = np.concatenate([np.full(len(fold.truth), share) for fold, share in zip(folds, leasts, strict=True)])
    held = clean >= least[:, None]
    held[np.arange(len(truth)), clean.argmax(1)] = True  # as Classifier.candidates, which names one at least
    return {
        "folds": len(folds),
        "harsh": {"mean": scores.mean, "mean_never_trained_on": scores.mean_never_trained_on, **asdict(scores)},
        "temperatures": warmths,
        "calibration": found,
        "candidates": {
            "asked": COVERAGE,
            "coverage": float(held[np.arange(len(truth)), truth].mean()),
            "mean_size": float(held.sum(1).mean()),
        },
    }


def _worth(shares: Floats, truth: npt.NDArray[np.int64]) -> Mapping[str, Any]:
    return asdict(certainty_of(shares, truth))


def _bins(clean: Floats, harsh: Floats, truth: npt.NDArray[np.int64]) -> dict[str, list[list[float]]]:
    """For a reliability diagram: of each bin of confidence the count, the mean confidence and the share right."""
    found = {}
    for name, shares in (("clean", clean), ("harsh", harsh.reshape(-1, harsh.shape[-1]))):
        right = shares.argmax(1) == np.tile(truth, len(shares) // len(truth))
        confidence = shares.max(1)
        numbers = bin_numbers(confidence)
        found[name] = [
            [int(here.sum()), float(confidence[here].mean()), float(right[here].mean())]
            for here in (numbers == number for number in range(BINS))
            if here.any()
        ]
    return found


if __name__ == "__main__":
    asked = measured.asked(__doc__)
    study = studies.load(STUDIES, asked.study)
    place = asked.runs / study.recipe / asked.network / studies.GROUPS
    result = pooled([read(path.parent) for path in sorted(place.glob("fold-*-seed-0/harsh.npz"))])
    out = STUDIES / "results" / "robustness" / f"{asked.network}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, {**result, "recipe": study.recipe, "provenance": provenance()})
    worth = result["calibration"]
    print(
        f"harsh {100 * result['harsh']['mean']:.2f} %, temperatures {[round(t, 2) for t in result['temperatures']]}, "
        + ", ".join(
            f"{name}: {worth[name][kind]['calibration_error']:.4f} {kind}"
            for name in worth
            for kind in ("clean", "harsh")
        )
    )
