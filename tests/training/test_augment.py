"""Augmentation: seeded by picture, harmless when switched off, and each change what its name says."""

import numpy as np
import pytest
import torch
from torch import Tensor

from steelsight.training.augment import augment
from steelsight.training.recipe import Augmentation

NOTHING = Augmentation(False, False, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0)
EVERYTHING = Augmentation()


def batch(count: int = 4, height: int = 32, width: int = 32) -> Tensor:
    return torch.rand(count, 1, height, width, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25


def only(**changes: object) -> Augmentation:
    return Augmentation(**{**{name: getattr(NOTHING, name) for name in NOTHING.__dataclass_fields__}, **changes})  # type: ignore[arg-type]


def test_nothing_switched_on_changes_nothing() -> None:
    torch.testing.assert_close(augment(batch(), NOTHING, 0, 0, range(4)), batch(), atol=1e-6, rtol=0)


def test_a_picture_is_changed_alike_in_any_batch() -> None:
    together = augment(batch(), EVERYTHING, 7, 3, [10, 11, 12, 13])
    alone = augment(batch()[2:3], EVERYTHING, 7, 3, [12])
    torch.testing.assert_close(together[2:3], alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("seed", "epoch", "number"), [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_seed_epoch_and_picture_each_change_the_draw(seed: int, epoch: int, number: int) -> None:
    picture = batch(1)
    first = augment(picture, EVERYTHING, 0, 0, [0])
    assert (augment(picture, EVERYTHING, seed, epoch, [number]) - first).abs().max() > 0.01


def test_levels_stay_between_black_and_white() -> None:
    changed = augment(batch(64), only(gain=4.0, brightness=0.9, ramp=1.0, noise=0.5), 0, 0, range(64))
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_flips_and_turns_only_move_pixels() -> None:
    picture = batch(1)
    turned = [torch.rot90(picture, k, (2, 3)) for k in range(4)]
    candidates = [*turned, *(picture.flip(3) for picture in turned)]
    seen = set()
    for number in range(60):
        changed = augment(picture, only(flip=True, turn=True), 0, 0, [number])
        fits = [k for k, candidate in enumerate(candidates) if (changed - candidate).abs().max() < 1e-4]
        assert len(fits) == 1
        seen.add(fits[0])
    assert seen == set(range(8))


def test_blur_takes_contrast_and_keeps_the_mean() -> None:
    picture = batch(40)
    changed = augment(picture, only(blur=2.0), 0, 0, range(40))
    spread = changed.std((1, 2, 3)) / picture.std((1, 2, 3))
    assert (spread <= 1 + 1e-5).all()
    assert (spread < 0.7).any()
    assert (spread > 1 - 1e-4).any()
    np.testing.assert_allclose(changed.mean((1, 2, 3)), picture.mean((1, 2, 3)), atol=0.02)


def test_a_ramp_brightens_one_side() -> None:
    flat = torch.full((50, 1, 32, 32), 0.5)
    changed = augment(flat, only(ramp=0.4), 0, 0, range(50))
    spans = (changed.amax((1, 2, 3)) - changed.amin((1, 2, 3))).numpy()
    assert spans.max() > 0.2
    assert spans.max() < 0.4 * np.sqrt(2)
    np.testing.assert_allclose(changed.mean((1, 2, 3)), 0.5, atol=1e-3)


def test_noise_is_no_stronger_than_asked() -> None:
    flat = torch.full((50, 1, 32, 32), 0.5)
    spread = augment(flat, only(noise=0.1), 0, 0, range(50)).std((1, 2, 3))
    assert 0.05 < float(spread.max()) < 0.11


def test_other_shapes_than_squares_work() -> None:
    assert augment(batch(2, 20, 48), EVERYTHING, 0, 0, range(2)).shape == (2, 1, 20, 48)
