"""The baselines see brightness and grain, and nothing else."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from steelsight.data.synthetic import draw
from steelsight.evaluation.baselines import accuracies, binary_patterns, grey_statistics


def test_binary_patterns_of_a_picture_small_enough_to_count_by_hand() -> None:
    grey = np.array([[9, 1, 9], [1, 5, 9], [1, 1, 5]], np.uint8)
    histogram = binary_patterns(grey)
    # Clockwise from the upper left: 9, 1, 9, 9, 5, 1, 1, 1; those not darker than the centre set their bit.
    assert histogram[0b00011101] == 1
    assert histogram.sum() == 1


def test_binary_patterns_do_not_see_brightness() -> None:
    grey = draw("scratches", 0, 64).pixels // 2
    np.testing.assert_array_equal(binary_patterns(grey), binary_patterns(grey + 40))
    assert grey_statistics(grey + 40)[0] == pytest.approx(grey_statistics(grey)[0] + 40)


def test_each_fold_is_answered_from_all_others() -> None:
    labels = ["clean", "patches", "rolled-in_scale"] * 6
    greys = [draw(label, n, 64).pixels for n, label in enumerate(labels)]
    folds = [n // 3 % 2 for n in range(18)]
    found = accuracies(greys, labels, folds)["nearest neighbour on local binary patterns"]
    features = np.stack([binary_patterns(grey) for grey in greys])
    chosen = np.array(folds) == 1
    oracle = KNeighborsClassifier(1, metric="cityblock").fit(features[~chosen], np.array(labels)[~chosen])
    assert found[1] == oracle.score(features[chosen], np.array(labels)[chosen])
    assert len(found) == 2
