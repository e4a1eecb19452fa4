"""Distance from what is known, against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis

from steelsight.models.strangeness import MOST, Strangeness

RNG = np.random.default_rng(0)


def spread_of(features: int) -> np.ndarray:
    mixed = RNG.normal(size=(features, 3 * features))
    return mixed @ mixed.T / features


def test_is_the_distance_from_the_nearest_class() -> None:
    spread, centres, points = spread_of(7), RNG.normal(size=(3, 7)), RNG.normal(size=(20, 7))
    found = Strangeness(torch.tensor(centres), torch.tensor(spread))(torch.tensor(points, dtype=torch.float32))
    inverse = np.linalg.inv(spread)
    nearest = [min(mahalanobis(point, centre, inverse) for centre in centres) for point in points]
    np.testing.assert_allclose(found, np.array(nearest) / np.sqrt(7), rtol=1e-4)


def test_is_about_one_for_what_is_known() -> None:
    spread = spread_of(40)
    known = RNG.multivariate_normal(np.zeros(40), spread, 500)
    found = Strangeness(torch.zeros(1, 40), torch.tensor(spread))(torch.tensor(known, dtype=torch.float32))
    assert float(found.mean()) == pytest.approx(1, abs=0.02)


def test_keeps_the_widest_directions_of_many_features() -> None:
    variances = torch.linspace(0.1, 5, MOST + 30)
    made = Strangeness(torch.zeros(1, MOST + 30), torch.diag(variances))
    along = made(torch.eye(MOST + 30))
    assert int((along > 1e-6).sum()) == MOST
    assert (along[:30] < 1e-6).all()


def test_features_that_never_vary_are_no_reason_for_infinite_distances() -> None:
    made = Strangeness(torch.zeros(1, 3), torch.diag(torch.tensor([1.0, 1.0, 0.0])))
    assert torch.isfinite(made(torch.ones(2, 3))).all()
