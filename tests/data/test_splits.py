"""Folds: scikit-learn's own, groups uncut, and files that come back as they were written."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.model_selection import StratifiedKFold

from steelsight.data import foldfile, splits, synthetic
from steelsight.records import SteelsightError

FOLDS = Path(__file__).parents[2] / "studies" / "folds"


def names(count: int) -> list[str]:
    return [f"p_{n}" for n in range(count)]


def test_the_published_protocol_is_scikit_learns() -> None:
    labels = ["a", "b", "c"] * 20
    assigned = splits.assign(names(60), labels, None, 5, seed=3)
    for fold, (_, test) in enumerate(StratifiedKFold(5, shuffle=True, random_state=3).split(labels, labels)):
        assert [n for n, entry in enumerate(assigned.assignments) if entry.fold == fold] == test.tolist()


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 12)), min_size=30, max_size=80), st.integers(0, 9))
def test_no_group_is_in_two_folds(pictures: list[tuple[str, int]], seed: int) -> None:
    pictures += [("a", 20 + n) for n in range(4)] + [("b", 30 + n) for n in range(4)]
    labels = [label for label, _ in pictures]
    groups = [str(group) for _, group in pictures]
    made = splits.assign(names(len(labels)), labels, groups, 4, seed)
    for group in set(groups):
        assert len({entry.fold for entry in made.assignments if entry.group == group}) == 1


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


def test_fewer_groups_than_folds_make_fewer_folds() -> None:
    made = splits.assign(names(12), ["a", "b"] * 6, [str(n // 4) for n in range(12)], 5)
    assert {entry.fold for entry in made.assignments} == {0, 1, 2}
    assert made.remarks == (
        "No class has more than 3 groups of pictures that share pixels, so there are 3 folds and not 5.",
    )


def test_a_class_with_fewer_pictures_than_folds_is_named() -> None:
    made = splits.assign(names(13), ["a"] * 10 + ["b"] * 3, None, 5)
    assert len({entry.fold for entry in made.assignments if entry.label == "b"}) == 3
    assert made.remarks == ("Class b has only 3 pictures, so some of the 5 folds do not test it.",)


def test_a_class_in_one_group_is_kept_for_training_with_all_that_the_group_holds() -> None:
    labels, groups = ["a"] * 8 + ["b"] * 4 + ["a"], [*"11223344", *"5555", "5"]
    made = splits.assign(names(13), labels, groups, 4)
    assert [entry.fold for entry in made.assignments[8:]] == [foldfile.TRAINING_ONLY] * 5
    assert {entry.fold for entry in made.assignments[:8]} == {0, 1, 2, 3}
    (remark,) = made.remarks
    assert remark.startswith("Class b ")
    assert "kept for training" in remark


def test_where_nothing_can_be_tested_a_sentence_says_so() -> None:
    with pytest.raises(SteelsightError, match="No class has two groups"):
        splits.assign(names(4), ["a", "a", "b", "b"], ["0", "0", "1", "1"], 2)
    with pytest.raises(SteelsightError, match="nothing can be held out"):
        splits.assign_holdout(names(2), ["a", "b"], None, 0.3)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=2, max_size=40),
    st.integers(2, 6),
    st.booleans(),
)
def test_whatever_the_groups_none_is_cut_and_every_fold_is_counted(
    pictures: list[tuple[str, int]], folds: int, grouped: bool
) -> None:
    labels = [label for label, _ in pictures]
    groups = [str(group) for _, group in pictures] if grouped else [str(n) for n in range(len(pictures))]
    try:
        made = splits.assign(names(len(labels)), labels, groups if grouped else None, folds)
    except SteelsightError:
        return
    for group in set(groups):
        assert len({entry.fold for entry, its in zip(made.assignments, groups, strict=True) if its == group}) == 1
    for label in set(labels):
        its = {entry.fold for entry in made.assignments if entry.label == label}
        assert len(its) > 1 or its == {foldfile.TRAINING_ONLY} or made.remarks
    assert max(foldfile.tested(made.assignments)) < folds


@pytest.mark.parametrize(("protocol", "share"), [("published", 0.3), ("leak-free", 0.3), ("leak-free", 0.2)])
def test_a_holdout_of_neu_has_its_share_of_every_class(protocol: str, share: float) -> None:
    lines = foldfile.read(FOLDS / "neu-cls-leak-free-495.csv")
    labels, groups = [line.label for line in lines], [line.group for line in lines]
    known = groups if protocol == "leak-free" else None
    made = splits.assign_holdout([line.image for line in lines], labels, known, share)
    tested = [entry for entry in made.assignments if entry.fold == 0]
    counts = np.unique([entry.label for entry in tested], return_counts=True)[1]
    assert abs(counts - 300 * share).max() <= 2
    assert {entry.fold for entry in made.assignments} == {0, foldfile.TRAINING_ONLY}
    if known:
        assert {entry.group for entry in tested}.isdisjoint(e.group for e in made.assignments if e.fold == -1)


@given(st.integers(2, 12), st.sampled_from([0.1, 0.3]))
def test_a_rare_class_does_not_change_what_the_others_give(rare: int, share: float) -> None:
    labels = ["a"] * 100 + ["b"] * 60 + ["c"] * rare
    _, held = splits.hold_out(labels, None, share)
    assert abs(sum(labels[n] == "a" for n in held) - 100 * share) <= 1
    assert abs(sum(labels[n] == "b" for n in held) - 60 * share) <= 1
    assert 1 <= sum(labels[n] == "c" for n in held) <= max(1, round(rare * share) + 1)


def test_what_large_groups_do_to_folds_and_holdouts_is_remarked() -> None:
    labels, groups = ["a"] * 60 + ["b"] * 20, ["one"] * 50 + [str(n) for n in range(30)]
    (remark,) = splits.assign(names(80), labels, groups, 4).remarks
    assert remark.startswith("The folds have from ")
    (remark,) = splits.assign_holdout(names(80), labels, groups, 0.5).remarks
    assert remark.startswith("Of class a ")


@pytest.mark.parametrize("folds", ["1", "0/30", "70/", "x", "-3", "70/30/10"])
def test_what_is_neither_a_number_nor_a_holdout_gets_a_sentence(folds: str, drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(SteelsightError, match="or a holdout such as 70/30"):
        splits.split(drawn, tmp_path / "folds.csv", "published", folds, groups=None, seed=0)


def test_pictures_without_a_label_are_named_and_the_others_are_split(tmp_path: Path) -> None:
    synthetic.write(tmp_path / "steel", 3, seed=0, size=64)
    source = next((tmp_path / "steel").glob("*/*.png"))
    (tmp_path / "steel" / "stray.png").write_bytes(source.read_bytes())
    made = splits.split(tmp_path / "steel", tmp_path / "folds.csv", "published", "70/30", groups=None, seed=0)
    (sentence,) = made.left_out
    assert "stray.png" in sentence
    assert made.sentence == "one test part of 7 pictures, and 14 for training alone"
    assert len(foldfile.read(tmp_path / "folds.csv")) == 21


@pytest.mark.parametrize("protocol", ["published", "leak-free", "leak-free-495"])
def test_the_committed_folds_of_neu_are_of_equal_size_in_every_class(protocol: str) -> None:
    assigned = foldfile.read(FOLDS / f"neu-cls-{protocol}.csv")
    assert len(assigned) == 1800
    for fold in range(5):
        counts = np.unique([entry.label for entry in assigned if entry.fold == fold], return_counts=True)[1]
        assert counts.tolist() == [60] * 6


@pytest.mark.parametrize("protocol", ["leak-free", "leak-free-495"])
def test_the_committed_leak_free_folds_cut_no_known_group(neu: Path, protocol: str) -> None:
    fold_of = {entry.image: entry.fold for entry in foldfile.read(FOLDS / f"neu-cls-{protocol}.csv")}
    with (neu / "neu-cls-groups.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    groups = {row["group"] for row in rows}
    assert len(groups) == 516
    for group in groups:
        assert len({fold_of[row["image"]] for row in rows if row["group"] == group}) == 1


@pytest.mark.parametrize(("protocol", "file"), [("published", "published"), ("leak-free", "leak-free-495")])
def test_split_writes_the_folds_of_neu_again(neu: Path, tmp_path: Path, protocol: str, file: str) -> None:
    splits.split(neu / "neu-cls", tmp_path / "folds.csv", protocol, "5", groups=None, seed=0)
    assert (tmp_path / "folds.csv").read_bytes() == (FOLDS / f"neu-cls-{file}.csv").read_bytes()


def test_the_leak_free_protocol_looks_for_overlap(tmp_path: Path) -> None:
    for label in ("patches", "scratches"):
        (tmp_path / "crops" / label).mkdir(parents=True)
        for seed in range(3):
            frame = synthetic.draw(label, seed, 200).pixels
            for number, x in enumerate((0, 60, 100)):
                crop = Image.fromarray(frame[:100, x : x + 100])
                crop.save(tmp_path / "crops" / label / f"{seed}-{number}.png")
    splits.split(tmp_path / "crops", tmp_path / "folds.csv", "leak-free", "3", groups=None, seed=0)
    fold_of = {entry.image: entry.fold for entry in foldfile.read(tmp_path / "folds.csv")}
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
