"""Which feature maps a model asks what a picture looks like, and which ones where something is."""

import torch

from steelsight.models.grey import looks, told_by_boxes


def levels(*shapes: tuple[int, int]) -> list[torch.Tensor]:
    """Feature maps with random answers of so many channels and places a side, of two pictures."""
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(2, channels, side, side, generator=generator) for channels, side in shapes]


def test_narrow_maps_tell_their_strongest_answers_and_their_means() -> None:
    found = levels((16, 50), (16, 25), (24, 25), (32, 13), (40, 13))
    assert looks(found).shape == (2, 16 + 16 + 24 + 40 + 16 + 24)


def test_wide_maps_tell_their_strongest_answers_alone() -> None:
    assert looks(levels((256, 54), (512, 27), (512, 13))).shape == (2, 512 + 512)


def test_a_network_of_one_map_is_asked_about_that_one() -> None:
    assert looks(levels((512, 7))).shape == (2, 512)


def test_a_flaw_that_fills_a_part_counts_in_the_strongest_answers_and_in_the_mean() -> None:
    plain = [torch.ones(1, 1, 25, 25) for _ in range(3)]
    flawed = [plain[0], plain[1].clone(), plain[2]]
    flawed[1][..., :5, :5] = 2
    strongest, mean = (looks(flawed) - looks(plain))[0, [1, 3]]
    assert strongest > 0
    torch.testing.assert_close(strongest, mean)  # the same share of all parts as of all places


def test_boxes_tell_two_narrow_maps_of_one_size() -> None:
    found = levels((16, 50), (16, 25), (24, 25), (32, 13), (32, 13))
    told = told_by_boxes(found, 200)
    assert told is not None
    torch.testing.assert_close(told, torch.cat(found[1:3], dim=1))


def test_boxes_tell_one_map_where_the_one_before_is_of_another_size_or_both_are_wide() -> None:
    for shapes in ([(16, 50), (16, 25), (32, 13)], [(48, 25), (48, 25), (48, 13)]):
        found = levels(*shapes)
        assert told_by_boxes(found, 200) is found[1]


def test_boxes_tell_nothing_where_all_places_are_large() -> None:
    assert told_by_boxes(levels((16, 8), (16, 4)), 200) is None
