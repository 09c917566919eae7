"""Scores are what the user said they are, or an error says where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.errors import InputError
from calibcli.io.rows.dataset import RowBatch
from calibcli.tasks.validity import missing_rows

NAN, INF = np.nan, np.inf


def batch(scores, first_row=0):
    return RowBatch(np.asarray(scores, float), None, None, None, (), None, first_row, "x.csv", 0)


def missing(scores, task="binary", *, logits=False):
    found = missing_rows(batch(scores), task, ("score",), logits=logits)
    return None if found is None else found.tolist()


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("logits", [False, True])
def test_no_rows(task, logits):
    assert missing(np.zeros((0, 3)), task, logits=logits) is None


def test_good_probabilities():
    assert missing([0, 0.5, 1, -0.0]) is None
    assert missing([[0, 1], [0.5, 0.5]], "multiclass") is None
    assert missing([[0, 1], [0.9, 0.9]], "multilabel") is None


def test_nan_is_missing_and_left_to_the_caller():
    assert missing([0.5, NAN, 1]) == [False, True, False]
    assert missing([[0.5, NAN], [0.5, 0.5]], "multiclass") == [True, False]
    assert missing([[0.5, NAN], [0.5, 0.5]], "multilabel") == [True, False]
    assert missing([1.0, NAN], logits=True) == [False, True]
    assert missing([[1, NAN], [5, 5]], "multiclass", logits=True) == [True, False]


def test_infinite_logits_are_legal_unless_no_class_is_left():
    assert missing([-INF, INF, 3], logits=True) is None
    rows = [[-INF, 0], [INF, 0], [INF, INF], [-INF, -INF]]
    assert missing(rows, "multiclass", logits=True) == [False, False, False, True]
    assert missing(rows, "multilabel", logits=True) is None


@pytest.mark.parametrize("value", [1.0000001, -1e-9, INF, -INF, 37.0])
def test_no_probability(value):
    with pytest.raises(
        InputError, match=r"column 'score' of x\.csv, row 12: a probability"
    ) as caught:
        missing_rows(batch([0.5, NAN, value], first_row=9), "binary", ("score",), logits=False)
    assert caught.value.hint is not None
    assert "--logits" in caught.value.hint


def test_the_column_is_named():
    rows = batch([[0.5, 0.5], [0.5, 1.5]])
    with pytest.raises(InputError, match=r"column 'b' of x\.csv, row 2"):
        missing_rows(rows, "multilabel", ("a", "b"), logits=False)


def test_more_rows_are_counted():
    with pytest.raises(InputError, match=r"row 1 \(and 2 more nearby\)"):
        missing([2, 3, 4])


def test_rows_of_classes_sum_to_one_within_a_thousandth():
    assert missing([[0.5, 0.5009], [0.5, 0.4991]], "multiclass") is None
    assert missing([[1.00001, -0.00001]], "multiclass") is None
    for row in ([0.5, 0.502], [0.5, 0.498], [0.0, 0.0]):
        with pytest.raises(InputError, match="do not sum to 1") as caught:
            missing([[0.5, 0.5], row], "multiclass")
        assert "--logits" in caught.value.hint
        assert "multilabel" in caught.value.hint
    for row in ([1.5, -0.5], [1.0009, -0.0009]):
        with pytest.raises(InputError, match="between 0 and 1"):
            missing([row], "multiclass")


def test_rounded_probabilities_are_told_by_their_decimals():
    rng = np.random.default_rng(1)
    for decimals in (2, 3):
        rows = np.round(rng.dirichlet(np.ones(30), 50), decimals)
        off = rf"off by at most 0\.0\d+, as values rounded to {decimals} decimals"
        with pytest.raises(InputError, match=off) as caught:
            missing(rows, "multiclass")
        assert "--renormalise" in caught.value.hint
        assert "--logits" not in caught.value.hint


def test_probabilities_that_are_said_to_be_logits():
    rows = np.random.default_rng(2).dirichlet(np.ones(3), 20)
    for kind in (np.float64, np.float32, np.float16):
        with pytest.raises(InputError, match="as probabilities do") as caught:
            missing(rows.astype(kind), "multiclass", logits=True)
        assert caught.value.hint == "leave out --logits"
    assert missing(rows[:9], "multiclass", logits=True) is None
    assert missing(rows * 1.01, "multiclass", logits=True) is None
    assert missing(np.log(rows), "multiclass", logits=True) is None


def test_a_row_of_float32_is_summed_in_float64():
    rows = np.full((4, 1000), 0.001, np.float32)
    found = RowBatch(rows, None, None, None, (), None, 0, "x.npy", 0)
    assert missing_rows(found, "multiclass", (), logits=False) is None
