"""Augmentation: seeded by picture, harmless when switched off, and each change what its name says."""

import numpy as np
import pytest
import torch
from torch import Tensor

from steelsight.training.augment import augment
from steelsight.training.recipe import Augmentation

NOTHING = Augmentation(False, False, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0)
EVERYTHING = Augmentation(
    gamma=2.0,
    vignette=0.5,
    shot_noise=0.1,
    dust=0.5,
    flakes=0.5,
    dead_pixels=0.02,
    blur=2.0,
    gain=2.0,
    brightness=0.2,
    unevenness=0.3,
    erase=3,
    splice=0.5,
    aspect=1.3,
)


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


def test_noise_of_light_grows_with_the_light() -> None:
    dark, bright = (
        augment(torch.full((50, 1, 32, 32), level), only(shot_noise=0.1), 0, 0, range(50)).std((1, 2, 3))
        for level in (0.1, 0.4)
    )
    np.testing.assert_allclose(bright, 2 * dark, rtol=0.02, atol=1e-4)
    assert 0.05 < float(bright.max()) < 0.1 * np.sqrt(0.4) + 0.01


def test_gamma_is_a_power_law_up_or_down() -> None:
    flat = torch.full((50, 1, 16, 16), 0.25)
    changed = augment(flat, only(gamma=2.0), 0, 0, range(50))[:, 0, 0, 0]
    exponents = np.log(changed.numpy()) / np.log(0.25)
    assert exponents.min() >= 0.5
    assert exponents.min() < 0.7
    assert exponents.max() <= 2.0
    assert exponents.max() > 1.5


def test_a_vignette_darkens_the_corners_alone() -> None:
    changed = augment(torch.full((50, 1, 33, 33), 0.5), only(vignette=0.6), 0, 0, range(50))
    np.testing.assert_allclose(changed[:, 0, 16, 16], 0.5, atol=1e-4)
    corners = changed[:, 0, 0, 0].numpy()
    assert corners.max() <= 0.5
    assert 0.5 * 0.4 - 1e-3 <= corners.min() < 0.28


def test_dust_is_dark_sparse_and_small() -> None:
    changed = 0.5 - augment(torch.full((50, 1, 100, 100), 0.5), only(dust=1.0), 0, 0, range(50))
    assert changed.min() >= -1e-6
    assert changed.max() <= 0.3 + 1e-5
    shares = (changed > 0.01).float().mean((1, 2, 3))
    assert 0.01 < float(shares.max()) < 0.12


def test_flakes_are_lighter_or_darker_and_larger_than_dust() -> None:
    changed = augment(torch.full((50, 1, 100, 100), 0.5), only(flakes=1.0), 0, 0, range(50)) - 0.5
    assert -0.3 - 1e-5 <= float(changed.min()) < -0.2
    assert 0.2 < float(changed.max()) <= 0.3 + 1e-5
    shares = (changed.abs() > 0.01).float().mean((1, 2, 3))
    assert 0.03 < float(shares.max()) < 0.12
    widest = (changed.abs() > 0.01).float().sum(3).amax()
    assert float(widest) >= 8


def test_dead_pixels_are_as_many_as_asked() -> None:
    flat = torch.full((50, 1, 32, 32), 0.5)
    shares = ((augment(flat, only(dead_pixels=0.1), 0, 0, range(50)) - 0.5).abs() > 1e-3).float().mean((1, 2, 3))
    assert 0.05 < float(shares.max()) <= 0.1


def test_uneven_light_is_smooth_and_a_factor() -> None:
    dark, bright = (
        augment(torch.full((20, 1, 64, 64), level), only(unevenness=0.3), 0, 0, range(20)) for level in (0.2, 0.4)
    )
    torch.testing.assert_close(bright, 2 * dark, atol=1e-5, rtol=0)
    assert bright.std((1, 2, 3)).max() > 0.05
    assert (bright[..., 1:] - bright[..., :-1]).abs().max() < 0.05


def test_erased_rectangles_have_one_level_and_leave_the_rest() -> None:
    picture = batch(30, 64, 64)
    changed = augment(picture, only(erase=3), 0, 0, range(30))
    erased = (changed - picture).abs() > 1e-5
    assert 0.02 < float(erased.float().mean()) < 0.3
    assert all(len(torch.unique(changed[n][erased[n]])) <= 3 for n in range(30))


def test_a_spliced_rectangle_is_another_view_of_the_same_picture() -> None:
    picture = batch(60, 64, 64)
    changed = augment(picture, only(turn=True, splice=0.5), 0, 0, range(60))
    pieces = 0
    for before, after in zip(picture[:, 0], changed[:, 0], strict=True):
        views = torch.stack([torch.rot90(before, k) for k in range(4)])
        shown = (views - after).abs() < 1e-4
        assert bool(shown.any(0).all())
        shares = shown.float().mean((1, 2)).sort(descending=True).values
        pieces += int(shares[1] > 0.02)
    assert 12 <= pieces <= 34


def test_aspect_stretches_one_way_and_shrinks_the_other() -> None:
    disc = (torch.stack(torch.meshgrid(torch.arange(65), torch.arange(65), indexing="ij")) - 32).square().sum(0) < 144
    changed = augment(disc.float()[None, None].expand(40, -1, -1, -1), only(aspect=1.5), 0, 0, range(40)) > 0.5
    tall, wide = changed.any(3).sum((1, 2)).float(), changed.any(2).sum((1, 2)).float()
    np.testing.assert_allclose(tall * wide, 23 * 23, rtol=0.15)
    assert (tall / wide).max() > 1.5
    assert (tall / wide).min() < 0.7


def test_each_change_happens_to_its_share_of_the_pictures() -> None:
    flat = torch.full((400, 1, 16, 16), 0.5)
    changed = (augment(flat, only(brightness=0.3, share=0.25), 0, 0, range(400)) - 0.5).abs().amax((1, 2, 3)) > 1e-6
    assert 0.18 < float(changed.float().mean()) < 0.32


def test_dirt_happens_to_its_share_of_the_share() -> None:
    flat = torch.full((400, 1, 16, 16), 0.5)
    how = only(noise=0.3, brightness=0.3, share=0.5, dirt_share=0.5)
    changed = augment(flat, how, 0, 0, range(400))
    noisy, lighter = changed.std((1, 2, 3)) > 1e-6, (changed.mean((1, 2, 3)) - 0.5).abs() > 0.02
    assert 0.18 < float(noisy.float().mean()) < 0.32
    assert 0.4 < float(lighter.float().mean()) < 0.6


def test_other_shapes_than_squares_work() -> None:
    assert augment(batch(2, 20, 48), EVERYTHING, 0, 0, range(2)).shape == (2, 1, 20, 48)
