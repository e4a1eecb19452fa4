"""What the answers are worth: scikit-learn's definitions, in records. Needs the `train` extra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import beta
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from steelsight.records import Answer, Certainty, ClassScores, Mistake, Scores

BINS = 15
TOP = (1, 2, 3, 5)
DRAWS = 2000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval of a share in 0..1, by what was drawn: groups of pictures that share pixels, or pictures."""

    low: float
    high: float
    unit: str

    def __str__(self) -> str:
        return f"{100 * self.low:.2f} to {100 * self.high:.2f} %, over {self.unit}"


def score(classes: Sequence[str], answers: Sequence[Answer]) -> Scores:
    """Scores over at least one answer. Averages are over the classes that have pictures, each counting the same."""
    truths, predicted = [answer.truth for answer in answers], [answer.predicted for answer in answers]
    present = [name for name in classes if name in set(truths)]
    figures = precision_recall_fscore_support(truths, predicted, labels=list(classes), zero_division=0.0)
    per_class = {
        name: ClassScores(float(precision), float(recall), float(f1), int(support))
        for name, precision, recall, f1, support in zip(classes, *figures, strict=True)
    }
    confusion = confusion_matrix(truths, predicted, labels=list(classes))
    mistakes = [
        Mistake(answer.image, answer.truth, answer.predicted, max(answer.scores.values()))
        for answer in answers
        if not answer.is_right
    ]
    return Scores(
        classes=tuple(classes),
        images=len(answers),
        accuracy=1 - len(mistakes) / len(answers),
        macro_precision=sum(per_class[name].precision for name in present) / len(present),
        macro_recall=sum(per_class[name].recall for name in present) / len(present),
        macro_f1=sum(per_class[name].f1 for name in present) / len(present),
        per_class=per_class,
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        mistakes=tuple(sorted(mistakes, key=lambda mistake: -mistake.confidence)),
        certainty=certainty(classes, answers),
    )


def certainty(classes: Sequence[str], answers: Sequence[Answer]) -> Certainty:
    """Top-k accuracy, calibration error, Brier score and log-loss of the answers' scores."""
    shares = np.array([[answer.scores[name] for name in classes] for answer in answers], np.float64)
    shares = shares / shares.sum(axis=1, keepdims=True)
    return certainty_of(shares, np.array([classes.index(answer.truth) for answer in answers]))


def certainty_of(shares: npt.NDArray[np.floating[Any]], truth: npt.NDArray[np.integer[Any]]) -> Certainty:
    """Scores that add up to 1, shape (answers, classes), and the numbers of the true classes -> what they are worth."""
    shares = shares.astype(np.float64)
    of_truth = shares[np.arange(len(truth)), truth]
    # Ties count against the model.
    place = (shares >= of_truth[:, None]).sum(axis=1)
    one_hot = np.eye(shares.shape[1])[truth]
    return Certainty(
        top_k={str(k): float((place <= k).mean()) for k in TOP if k <= shares.shape[1]},
        calibration_error=calibration_error(shares.max(axis=1), shares.argmax(axis=1) == truth),
        brier=float(((shares - one_hot) ** 2).sum(axis=1).mean()),
        log_loss=float(-np.log(np.clip(of_truth, np.finfo(np.float64).eps, 1)).mean()),
    )


def calibration_error(confidences: Floats, is_right: npt.NDArray[np.bool_], bins: int = BINS) -> float:
    """Expected calibration error (Guo et al. 2017, eq. 3): bins of equal width, open below and closed above."""
    gaps = np.bincount(bin_numbers(confidences, bins), is_right - confidences, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidences))


def bin_numbers(confidences: Floats, bins: int = BINS) -> npt.NDArray[np.intp]:
    """The bin of each confidence: of equal width, open below and closed above."""
    return np.asarray(np.clip(np.ceil(confidences * bins).astype(np.intp) - 1, 0, bins - 1))


def interval(values: Sequence[float], groups: Sequence[str], seed: int = 0) -> tuple[float, float]:
    """95 % interval of a mean over pictures, such as of whether each is right, by 2,000 draws of whole groups:
    pictures of one group are not independent."""
    numbers = np.unique(list(groups), return_inverse=True)[1]
    sums, sizes = np.bincount(numbers, np.array(values, float)), np.bincount(numbers)
    draws = np.random.default_rng(seed).integers(len(sizes), size=(DRAWS, len(sizes)))
    low, high = np.quantile(sums[draws].sum(axis=1) / sizes[draws].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


def accuracy_interval(is_right: Sequence[bool], groups: Sequence[str], unit: str = "groups") -> Interval:
    """95 % interval of the accuracy over groups (Korn and Graubard 1998): the exact one of Clopper and Pearson for as
    many independent pictures as the groups are worth.

    They are worth fewer than there are pictures by how much more the share of right answers varies between groups than
    it would between single pictures. Where nothing varies, each group counts as one picture.
    """
    right, count = np.array(is_right, float), len(is_right)
    numbers = np.unique(list(groups), return_inverse=True)[1]
    share, known = right.mean(), int(numbers.max()) + 1
    worth = float(known)
    if known > 1 and 0 < share < 1:
        between = (np.bincount(numbers, right - share) ** 2).sum() / count**2
        worth = min(float(count), share * (1 - share) / between) if between else float(count)
    good = share * worth
    low = beta.ppf(0.025, good, worth - good + 1) if share > 0 else 0.0
    high = beta.ppf(0.975, good + 1, worth - good) if share < 1 else 1.0
    return Interval(float(low), float(high), unit)
