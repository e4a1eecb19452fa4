"""Label errors: planted ones are found, and none where there is none."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from steelsight.evaluation.labels import suspects
from steelsight.records import Answer

CLASSES = ("crazing", "patches", "scratches")


def answers(labels: list[int], shown: list[int], sureness: float, seed: int) -> list[Answer]:
    """What a good model says: about `sureness` for the class that is shown, whatever the label."""
    draw = np.random.default_rng(seed)
    found = []
    for number, (label, truth) in enumerate(zip(labels, shown, strict=True)):
        shares = draw.dirichlet(np.ones(3)) * (1 - sureness)
        shares[truth] += sureness
        scores = dict(zip(CLASSES, map(float, shares), strict=True))
        found.append(Answer(f"{number}.png", CLASSES[label], max(scores, key=scores.__getitem__), scores))
    return found


@given(st.integers(0, 1000), st.integers(0, 29))
def test_a_planted_error_comes_first(seed: int, planted: int) -> None:
    shown = [number % 3 for number in range(60)]
    labels = [(each + 1) % 3 if number == planted else each for number, each in enumerate(shown)]
    found = suspects(answers(labels, shown, 0.999, seed))
    assert found[0].image == f"{planted}.png"
    assert found[0].label == CLASSES[labels[planted]]
    assert found[0].likelier == CLASSES[shown[planted]]


@given(st.integers(0, 1000), st.floats(0.6, 1.0))
def test_right_labels_are_not_doubted(seed: int, sureness: float) -> None:
    shown = [number % 3 for number in range(60)]
    assert suspects(answers(shown, shown, sureness, seed)) == []


def test_several_seeds_are_averaged() -> None:
    labels = [0, 0, 1, 1]
    swayed, sober = answers(labels, [1, 0, 1, 1], 1.0, 0), answers(labels, labels, 1.0, 0)
    assert [each.image for each in suspects(swayed)] == ["0.png"]
    assert suspects([*swayed, *sober, *sober]) == []


def test_without_answers_nothing_is_doubted() -> None:
    assert suspects([]) == []
