"""Distance from what is known, against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis

from steelsight.models.strangeness import Strangeness

RNG = np.random.default_rng(0)


def spread_of(features: int) -> np.ndarray:
    mixed = RNG.normal(size=(features, 3 * features))
    return mixed @ mixed.T / features


def test_is_the_distance_from_the_nearest_class_in_its_own_spread() -> None:
    directions, centres, points = RNG.normal(size=(9, 5)), RNG.normal(size=(3, 5)), RNG.normal(size=(20, 9))
    spreads = np.stack([spread_of(5) for _ in range(3)])
    made = Strangeness(*(torch.tensor(value) for value in (directions, centres, spreads)))
    inverses = np.linalg.inv(spreads)
    nearest = [
        min(mahalanobis(point, centre, inverse) for centre, inverse in zip(centres, inverses, strict=True))
        for point in points @ directions
    ]
    found = made(torch.tensor(points, dtype=torch.float32))
    np.testing.assert_allclose(found, np.array(nearest) / np.sqrt(5), rtol=1e-4)


def test_what_the_distances_say_is_worth_less_of_a_strange_picture() -> None:
    centres = torch.tensor([[0.0, 0.0], [4.0, 0.0]])
    made = Strangeness(torch.eye(2), centres, torch.eye(2).expand(2, 2, 2) / 2, likeness=3.0)
    logits, points = torch.tensor([[0.5, 1.5]] * 2), torch.tensor([[1.0, 0.0], [-4.0, 0.0]])
    found, strangeness = made.judged(logits, points)
    np.testing.assert_allclose(made.distances(points), [[1, 3], [4, 8]], rtol=1e-6)
    np.testing.assert_allclose(strangeness, [1, 4], rtol=1e-6)
    said = 3 * np.log([[1, 3], [4, 8]]) / [[1], [16]]
    np.testing.assert_allclose(found, np.array([[0.5, 1.5]]) - said, rtol=1e-6)


def test_a_picture_at_the_middle_of_a_class_is_no_obstacle() -> None:
    made = Strangeness(torch.eye(2), torch.tensor([[0.0, 0.0], [4.0, 0.0]]), torch.eye(2).expand(2, 2, 2), likeness=3.0)
    found, _ = made.judged(torch.zeros(1, 2), torch.zeros(1, 2))
    assert torch.isfinite(found).all()
    assert found.argmax() == 0


def test_without_a_say_the_logits_are_the_networks_own() -> None:
    made = Strangeness(torch.eye(2), torch.zeros(3, 2), torch.eye(2).expand(3, 2, 2))
    logits, points = torch.randn(5, 3), torch.randn(5, 2)
    found, strangeness = made.judged(logits, points)
    assert torch.equal(found, logits)
    assert torch.equal(strangeness, made(points))


def test_is_about_one_for_what_is_known() -> None:
    spread = spread_of(40)
    known = RNG.multivariate_normal(np.zeros(40), spread, 500)
    made = Strangeness(torch.eye(40), torch.zeros(1, 40), torch.tensor(spread)[None])
    assert float(made(torch.tensor(known, dtype=torch.float32)).mean()) == pytest.approx(1, abs=0.02)
