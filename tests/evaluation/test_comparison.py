"""Two models on the same pictures, against SciPy and by hand."""

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from steelsight.evaluation.comparison import compare, shares_right, sign_flip
from steelsight.records import Answer, SteelsightError

GAINS = st.lists(st.integers(-3, 3).map(lambda n: Fraction(n, 2)), max_size=9)


@given(st.lists(st.sampled_from([-1, 0, 1]), max_size=40))
def test_with_single_pictures_it_is_mcnemars_exact_test(gains: list[int]) -> None:
    better, worse = gains.count(1), gains.count(-1)
    expected = binomtest(better, better + worse).pvalue if better + worse else 1.0
    assert sign_flip([Fraction(gain) for gain in gains]) == pytest.approx(expected, abs=1e-12)


@given(GAINS)
def test_it_is_the_share_of_all_ways_to_set_the_signs(gains: list[Fraction]) -> None:
    sums = [abs(sum(s * g for s, g in zip(signs, gains, strict=True))) for signs in product((-1, 1), repeat=len(gains))]
    expected = sum(each >= abs(sum(gains)) for each in sums) / len(sums)
    assert sign_flip(gains) == pytest.approx(expected, abs=1e-12)


def answers(right: str, seed: int = 0) -> list[Answer]:
    """A picture for each letter; y is a right answer."""
    found = {"y": "a", "n": "b"}
    return [Answer(f"{n}.png", "a", found[each], {"a": 0.5, "b": 0.5}) for n, each in enumerate(right)]


def test_the_difference_is_counted_in_pictures_and_tested_in_groups() -> None:
    first, second = shares_right(answers("yyyyyyyn")), shares_right(answers("nnnnyyyy"))
    alone = compare(first, second, {f"{n}.png": str(n) for n in range(8)})
    assert (alone.first, alone.second, alone.difference) == (7 / 8, 4 / 8, 3 / 8)
    assert alone.only_second_wrong == ("0.png", "1.png", "2.png", "3.png")
    assert alone.only_first_wrong == ("7.png",)
    assert alone.p_value == pytest.approx(binomtest(4, 5).pvalue)
    together = compare(first, second, {f"{n}.png": "one" if n < 4 else str(n) for n in range(8)})
    assert together.p_value == 1.0  # both signs of one group and of one picture: 4 - 1 is the least sum there is
    assert together.interval[0] <= 3 / 8 <= together.interval[1]


def test_seeds_are_averaged() -> None:
    first = shares_right([*answers("yy"), *answers("yn")])
    assert first == {"0.png": Fraction(1), "1.png": Fraction(1, 2)}


def test_models_that_answered_other_pictures_are_not_compared() -> None:
    with pytest.raises(SteelsightError, match=r"Only one of the models answered 2\.png"):
        compare(shares_right(answers("yyy")), shares_right(answers("yy")), {})
