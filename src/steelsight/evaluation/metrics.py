"""What the predictions are worth: scikit-learn's definitions, in records. Needs the `train` extra."""

from __future__ import annotations

from collections.abc import Sequence

from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from steelsight.records import ClassScores, Mistake, Scores


def score(
    classes: Sequence[str],
    names: Sequence[str],
    truths: Sequence[str],
    predicted: Sequence[str],
    confidences: Sequence[float],
) -> Scores:
    """Scores over at least one picture. Averages are over the classes that have pictures, each counting the same."""
    present = [name for name in classes if name in set(truths)]
    figures = precision_recall_fscore_support(truths, predicted, labels=list(classes), zero_division=0.0)
    per_class = {
        name: ClassScores(float(precision), float(recall), float(f1), int(support))
        for name, precision, recall, f1, support in zip(classes, *figures, strict=True)
    }
    confusion = confusion_matrix(truths, predicted, labels=list(classes))
    mistakes = [
        Mistake(*entry)
        for entry in zip(names, truths, predicted, map(float, confidences), strict=True)
        if entry[1] != entry[2]
    ]
    return Scores(
        classes=tuple(classes),
        images=len(truths),
        accuracy=1 - len(mistakes) / len(truths),
        macro_precision=sum(per_class[name].precision for name in present) / len(present),
        macro_recall=sum(per_class[name].recall for name in present) / len(present),
        macro_f1=sum(per_class[name].f1 for name in present) / len(present),
        per_class=per_class,
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        mistakes=tuple(sorted(mistakes, key=lambda mistake: -mistake.confidence)),
    )
