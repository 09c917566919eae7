from __future__ import annotations

import pytest

from tests.golden import Checker, matches, same


def test_ellipsis_and_trailing_blanks():
    assert matches("a\nb  \nc\n", "a\n...\nc\n")
    assert matches("a\nb\n", "a\n...\n")
    assert matches("a\nb\na\nc\n", "...\na\nc\n")
    assert matches("a  \n", "a\n")
    assert matches("", "")
    assert matches("a\n", "...\n")
    assert not matches("a\nb\n", "a\n")
    assert not matches("a\n", "a\nb\n")
    assert not matches("a.c\n", "abc\n")
    assert not matches("a\nb\nc\n", "a\n...\nb\n")


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("0.019433805408577445", "0.019433805408577448"),
        ('"ece": 0.5, "x"', '"ece": 0.5000000000000001, "x"'),
        ("0.30000000000000004\n", "0.3\n"),
        ("z -1.2345678901234567e-05.", "z -1.2345678901234569e-05."),
        ("1.1102230246251565e-16", "0.0"),
        ("−0.12345678901234566", "−0.12345678901234567"),
        ("a    0.5  b\n-----------\n", "a    0.49999999999999994  b\n----------------\n"),
    ],
)
def test_the_last_digits_of_a_float_do_not_count(printed, expected):
    assert same(printed, expected)
    assert same(expected, printed)


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("0.0194", "0.0195"),
        ("0.01943380541", "0.01943380542"),
        ("0.019433805408577445", "0.019433805428577445"),
        ("0.5", "0.50"),
        ("0.12345678901234566", "-0.12345678901234566"),
        ("12 of 345", "12 of 346"),
        ("x 1.1102230246251565e-16", "y 1.1102230246251565e-16"),
        ("1.1102230246251565e-16", "0.0001"),
        ("a  b", "a b"),
        ("a  0.5", "a 0.5"),
        ("a\n\nb", "a\nb"),
        ("0.30000000000000004\n\nb", "0.3\nb"),
        ("1.2.30000000000004", "1.2.30000000000005"),
    ],
)
def test_everything_else_counts(printed, expected):
    assert not same(printed, expected)
    assert not same(expected, printed)


def test_doctests_are_compared_so_too():
    assert Checker().check_output("0.30000000000000004\n", "0.3\n", 0)
    assert not Checker().check_output("0.31\n", "0.3\n", 0)
