"""Folds: scikit-learn's own, groups uncut, and files that come back as they were written."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.model_selection import StratifiedKFold

from steelsight.data import splits, synthetic
from steelsight.records import SteelsightError

FOLDS = Path(__file__).parents[2] / "studies" / "folds"


def names(count: int) -> list[str]:
    return [f"p_{n}" for n in range(count)]


def test_the_published_protocol_is_scikit_learns() -> None:
    labels = ["a", "b", "c"] * 20
    assigned = splits.assign(names(60), labels, None, 5, seed=3)
    for fold, (_, test) in enumerate(StratifiedKFold(5, shuffle=True, random_state=3).split(labels, labels)):
        assert [n for n, entry in enumerate(assigned) if entry.fold == fold] == test.tolist()


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 12)), min_size=30, max_size=80), st.integers(0, 9))
def test_no_group_is_in_two_folds(pictures: list[tuple[str, int]], seed: int) -> None:
    pictures += [("a", 20 + n) for n in range(4)] + [("b", 30 + n) for n in range(4)]
    labels = [label for label, _ in pictures]
    groups = [str(group) for _, group in pictures]
    assigned = splits.assign(names(len(labels)), labels, groups, 4, seed)
    for group in set(groups):
        assert len({entry.fold for entry in assigned if entry.group == group}) == 1


@given(st.integers(2, 40), st.integers(2, 40), st.floats(0.05, 0.5), st.integers(0, 5))
def test_a_held_out_part_has_its_share_of_each_class(first: int, second: int, share: float, seed: int) -> None:
    labels = ["a"] * first + ["b"] * second
    kept, held = splits.hold_out(labels, None, share, seed)
    assert sorted(kept + held) == list(range(first + second))
    for label in "ab":
        assert any(labels[n] == label for n in kept)
        assert any(labels[n] == label for n in held)


def test_nothing_is_held_out_where_nothing_is_asked() -> None:
    assert splits.hold_out(["a", "b"], None, 0.0) == ([0, 1], [])


def test_too_few_pictures_for_the_folds_are_named() -> None:
    with pytest.raises(SteelsightError, match="Class b has 3 pictures"):
        splits.assign(names(13), ["a"] * 10 + ["b"] * 3, None, 5)


def test_a_fold_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    assigned = splits.assign(["a/ü, 1", *names(9)], ["a", "b"] * 5, [str(n) for n in range(10)], 2)
    splits.write(assigned, tmp_path / "folds.csv")
    assert splits.read(tmp_path / "folds.csv") == assigned


@pytest.mark.parametrize("content", ["", "image,label\na,b\n", "image,label,group,fold\na,b,c,first\n", "\x00\x01"])
def test_what_is_no_fold_file_gets_a_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "folds.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SteelsightError, match=r"folds\.csv"):
        splits.read(path)


def test_pictures_are_matched_by_their_path_without_its_ending(tmp_path: Path) -> None:
    entries = [splits.Assignment("a/1.bmp", "a", "", 0), splits.Assignment("b/1", "b", "", 1)]
    assert [entry.fold for entry in splits.match(["b/1", "a/1"], entries, tmp_path)] == [1, 0]
    with pytest.raises(SteelsightError, match="no line for c/1 and 1 more"):
        splits.match(["c/1", "d/1"], entries, tmp_path)


@pytest.mark.parametrize("protocol", ["published", "leak-free"])
def test_the_committed_folds_of_neu_are_of_equal_size_in_every_class(protocol: str) -> None:
    assigned = splits.read(FOLDS / f"neu-cls-{protocol}.csv")
    assert len(assigned) == 1800
    for fold in range(5):
        counts = np.unique([entry.label for entry in assigned if entry.fold == fold], return_counts=True)[1]
        assert counts.tolist() == [60] * 6


def test_the_committed_leak_free_folds_cut_no_known_group(neu: Path) -> None:
    fold_of = {entry.image: entry.fold for entry in splits.read(FOLDS / "neu-cls-leak-free.csv")}
    with (neu / "neu-cls-groups.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    groups = {row["group"] for row in rows}
    assert len(groups) == 516
    for group in groups:
        assert len({fold_of[row["image"]] for row in rows if row["group"] == group}) == 1


def test_split_writes_the_published_folds_of_neu_again(neu: Path, tmp_path: Path) -> None:
    splits.split(neu / "neu-cls", tmp_path / "folds.csv", "published", 5, groups=None, seed=0)
    assert (tmp_path / "folds.csv").read_bytes() == (FOLDS / "neu-cls-published.csv").read_bytes()


def test_the_leak_free_protocol_looks_for_overlap(tmp_path: Path) -> None:
    for label in ("patches", "scratches"):
        (tmp_path / "crops" / label).mkdir(parents=True)
        for seed in range(3):
            frame = synthetic.draw(label, seed, 200).pixels
            for number, x in enumerate((0, 60, 100)):
                crop = Image.fromarray(frame[:100, x : x + 100])
                crop.save(tmp_path / "crops" / label / f"{seed}-{number}.png")
    splits.split(tmp_path / "crops", tmp_path / "folds.csv", "leak-free", 3, groups=None, seed=0)
    fold_of = {entry.image: entry.fold for entry in splits.read(tmp_path / "folds.csv")}
    assert len(fold_of) == 18
    for label in ("patches", "scratches"):
        for seed in range(3):
            assert len({fold_of[f"{label}/{seed}-{number}"] for number in range(3)}) == 1
        assert {fold_of[f"{label}/{seed}-0"] for seed in range(3)} == {0, 1, 2}


def test_a_class_in_one_group_stays_whole() -> None:
    labels, groups = ["a"] * 8 + ["b"] * 4, [*"11223344", *"5555"]
    kept, held = splits.hold_out(labels, groups, 0.25)
    assert set(range(8, 12)) <= set(kept)
    assert len(held) == 2
    assert {groups[n] for n in kept}.isdisjoint(groups[n] for n in held)
