"""Scores against counting by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelsight.evaluation.metrics import score

CLASSES = ("a", "b", "c")
PAIRS = st.lists(
    st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES), st.floats(0, 1)), min_size=1, max_size=60
)


@given(PAIRS)
def test_every_figure_is_what_counting_gives(pairs: list[tuple[str, str, float]]) -> None:
    truths, predicted, confidences = (list(column) for column in zip(*pairs, strict=True))
    names = [f"{n}.png" for n in range(len(pairs))]
    scores = score(CLASSES, names, truths, predicted, confidences)
    counts = np.array([[sum(t == a and p == b for t, p, _ in pairs) for b in CLASSES] for a in CLASSES])
    assert scores.confusion == tuple(map(tuple, counts.tolist()))
    assert scores.accuracy == pytest.approx(np.trace(counts) / counts.sum(), abs=1e-12)
    for n, name in enumerate(CLASSES):
        hit, asked, answered = counts[n, n], counts[n].sum(), counts[:, n].sum()
        precision, recall = hit / answered if answered else 0.0, hit / asked if asked else 0.0
        found = scores.per_class[name]
        assert (found.precision, found.recall) == pytest.approx((precision, recall), abs=1e-12)
        assert found.f1 == pytest.approx(2 * hit / (asked + answered) if asked + answered else 0.0, abs=1e-12)
        assert found.support == asked
    present = [scores.per_class[name] for name in CLASSES if name in truths]
    assert scores.macro_recall == pytest.approx(np.mean([each.recall for each in present]), abs=1e-12)
    assert scores.macro_f1 == pytest.approx(np.mean([each.f1 for each in present]), abs=1e-12)
    assert len(scores.mistakes) == counts.sum() - np.trace(counts)


def test_the_surest_mistake_comes_first() -> None:
    scores = score(CLASSES, ["1", "2", "3"], ["a", "a", "b"], ["b", "c", "b"], [0.4, 0.9, 1.0])
    assert [(mistake.image, mistake.predicted) for mistake in scores.mistakes] == [("2", "c"), ("1", "b")]
