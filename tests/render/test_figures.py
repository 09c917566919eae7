import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.results.figures import Figure
from calibcli.render.words import figures

VALUES = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)


@given(VALUES)
def test_metric_is_zero_only_for_zero(value):
    text = figures.metric(value)
    assert (float(text.lstrip(">")) == 0) == (value == 0)


@given(st.floats(min_value=0, max_value=1))
def test_metric_is_within_rounding_of_the_value(value):
    text = figures.metric(value)
    if text == ">0.9999":
        assert 0.9999 < value < 1
    else:
        assert math.isclose(float(text), value, rel_tol=0.06, abs_tol=5.1e-5)


def test_metric_below_one_is_not_printed_as_one():
    assert figures.metric(0.99999) == ">0.9999"
    assert figures.metric(1.0) == "1.0000"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_exact_reads_back_the_same_number(value):
    assert float(figures.exact(value)) == value


def test_no_value_is_a_dash_and_the_reason():
    entry = Figure(None, reason="one class only")
    assert figures.with_interval(entry) == "- (one class only)"
    assert figures.interval(entry) == ""


@pytest.mark.parametrize(
    ("closed", "labels"),
    [
        ("right", ["[0, 0.25]", "(0.25, 0.5]", "(0.5, 1]"]),
        ("left", ["[0, 0.25)", "[0.25, 0.5)", "[0.5, 1]"]),
    ],
)
def test_bin_labels_say_which_end_belongs(closed, labels):
    edges = [0, 0.25, 0.5, 1]
    made = [
        figures.bin_label(low, high, first=i == 0, last=i == 2, closed=closed)
        for i, (low, high) in enumerate(pairwise(edges))
    ]
    assert made == labels
