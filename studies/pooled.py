"""What the harsh answers of all folds come to: `python studies/pooled.py STUDY NETWORK [--runs RUNS]`.

Reads what `studies/harsh.py` left in the runs of the leak-free folds. Temperature and thresholds of each fold come from
the pictures that the other folds held out, as they are and roughly changed: a model of theirs had not seen these, and
none of them is a test picture of the fold. Writes results/robustness/NETWORK.json.
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
from steelsight.evaluation.calibration import candidate_share
from steelsight.evaluation.metrics import BINS, bin_numbers, certainty_of
from steelsight.evaluation.provenance import provenance
from steelsight.evaluation.results import write_json
from steelsight.evaluation.robustness import harsh_scores
from steelsight.training.familiar import COVERAGE, HeldOut, Warmth, together, warmth_for

STUDIES = Path(__file__).parent
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fold:
    """Answers of one fold: to the pictures as they are, roughly changed as in calibration, and harsh.

    Logits are up to a constant; those of harsh pictures have the shape (kinds, strengths, pictures, classes).
    """

    clean: HeldOut
    rough: HeldOut
    harsh: Floats
    harsh_strangeness: Floats


def read(run: Path) -> Fold:
    held = {name: value.astype(np.float64) for name, value in np.load(run / "harsh.npz").items() if name != "names"}
    clean, harsh = (np.log(np.clip(held[name], 1e-30, 1)) for name in ("clean", "harsh"))
    truth = held["truths"].astype(np.int64)
    unasked = np.zeros(len(truth))
    return Fold(
        HeldOut(clean, truth, held["clean_strangeness"], unasked),
        HeldOut(held["rough_logits"], truth, held["rough_strangeness"], unasked),
        harsh,
        held["harsh_strangeness"],
    )


def pooled(folds: Sequence[Fold]) -> dict[str, Any]:
    """Every fold at the temperature that the others ask for, and all together."""
    asked = [_warmth(_others(fold, folds)) for fold in folds]
    ways = {
        "as trained": [_shares(fold, Warmth(1.0, 0.0)) for fold in folds],
        "calibrated": [_shares(fold, warmth) for fold, warmth in zip(folds, asked, strict=True)],
    }
    leasts = []
    for fold, warmth in zip(folds, asked, strict=True):
        others = _others(fold, folds)
        shares = np.concatenate([_shares(other, warmth)[0] for other in others])
        leasts.append(candidate_share(shares, together([other.clean for other in others]).truth, COVERAGE))
    truth = together([fold.clean for fold in folds]).truth
    found = {}
    for name, by in ways.items():
        clean = np.concatenate([each[0] for each in by])
        harsh = np.concatenate([each[1] for each in by], axis=2)
        scores = harsh_scores(truth.tolist(), clean, harsh)
        found[name] = {
            "clean": _worth(clean, truth),
            "harsh": asdict(scores.certainty),
            "bins": _bins(clean, harsh, truth),
        }
    least = np.concatenate([np.full(len(fold.clean.truth), share) for fold, share in zip(folds, leasts, strict=True)])
    held = clean >= least[:, None]
    held[np.arange(len(truth)), clean.argmax(1)] = True  # as Classifier.candidates, which names one at least
    return {
        "folds": len(folds),
        "harsh": {"mean": scores.mean, "mean_never_trained_on": scores.mean_never_trained_on, **asdict(scores)},
        "temperatures": [warmth.temperature for warmth in asked],
        "powers_of_doubt": [warmth.power for warmth in asked],
        "calibration": found,
        "candidates": {
            "asked": COVERAGE,
            "coverage": float(held[np.arange(len(truth)), truth].mean()),
            "mean_size": float(held.sum(1).mean()),
        },
    }


def _others(fold: Fold, folds: Sequence[Fold]) -> list[Fold]:
    return [other for other in folds if other is not fold]


def _warmth(folds: Sequence[Fold]) -> Warmth:
    """As `training.familiar.calibrated`, which puts it on the card of a file."""
    return warmth_for(together([fold.clean for fold in folds]), together([fold.rough for fold in folds]))


def _shares(fold: Fold, warmth: Warmth) -> tuple[Floats, Floats]:
    """Scores of the pictures as they are, and of the harsh ones."""
    pairs = ((fold.clean.logits, fold.clean.strangeness), (fold.harsh, fold.harsh_strangeness))
    clean, harsh = (softmax(logits / warmth.of(strangeness), axis=-1) for logits, strangeness in pairs)
    return clean, harsh


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
