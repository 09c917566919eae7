from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.decisions.costs import Costs
from calibcli.core.decisions.rules import NONE, REFER, CostMatrix, decide_band, decide_classes
from calibcli.errors import UsageError


def test_conflicts_go_to_the_largest_multiple_of_the_threshold_and_no_claim_is_none() -> None:
    p = np.array([[0.5, 0.3, 0.2], [0.5, 0.1, 0.4], [0.3, 0.1, 0.6], [0.4, 0.2, 0.4]])
    thresholds = np.array([0.5, 0.2, 0.65])
    assert decide_classes(p, thresholds).tolist() == [1, 0, NONE, 1]


def test_equal_claims_go_to_the_first_class_and_a_threshold_of_zero_is_no_division() -> None:
    p = np.array([[0.5, 0.5], [0.0, 1.0]])
    assert decide_classes(p, np.array([0.25, 0.25])).tolist() == [0, 1]
    assert decide_classes(p, np.array([0.0, 0.5])).tolist() == [0, 1]


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=3))
def test_equal_thresholds_are_arg_max_with_a_floor(values: list[float]) -> None:
    p = np.array([values]) / sum(values)
    found = decide_classes(p, np.full(3, 0.4))[0]
    assert found == (p.argmax() if p.max() >= 0.4 else NONE)


def test_band_is_half_open() -> None:
    found = decide_band(np.array([0.19, 0.2, 0.59, 0.6]), 0.2, 0.6)
    assert found.tolist() == [0, REFER, REFER, 1]


@given(
    p=st.floats(0.001, 0.999),
    fp=st.floats(0.1, 9),
    fn=st.floats(0.1, 9),
    refer=st.none() | st.floats(0.01, 3),
)
def test_two_classes_decide_as_the_closed_form(
    p: float, fp: float, fn: float, refer: float | None
) -> None:
    costs = Costs(fp=fp, fn=fn, refer=refer)
    rows = [[0, fp], [fn, 0]] if refer is None else [[0, fp, refer], [fn, 0, refer]]
    found = CostMatrix.from_rows(rows).decide(np.array([[1 - p, p]]))[0]
    band = costs.band()
    edges = [costs.cutoff()] if band is None else list(band)
    if min(abs(p - e) for e in edges) < 1e-9:
        return
    if band is None:
        assert found == (p >= costs.cutoff())
    else:
        assert found == decide_band(p, *band)


def test_decision_is_the_least_expected_cost() -> None:
    rng = np.random.default_rng(0)
    cost = rng.random((4, 4)) + 1
    np.fill_diagonal(cost, 0)
    matrix = CostMatrix.from_rows(cost)
    p = rng.dirichlet(np.ones(4), 50)
    prior = np.array([1, 2, 0.5, 3.0])
    for shift in (None, prior):
        posterior = p if shift is None else p * shift / (p @ shift)[:, None]
        expected = [
            int(np.argmin([sum(q[k] * cost[k, d] for k in range(4)) for d in range(4)]))
            for q in posterior
        ]
        assert matrix.decide(p, shift).tolist() == expected


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0, 1]], "row for each true class"),
        ([[0, 1, 2, 3], [1, 0, 2, 3]], "row for each true class"),
        ([0, 1], "row for each true class"),
        ([[0, float("nan")], [1, 0]], "finite"),
        ([[1, 0], [1, 0]], "deciding 1 when the truth is 0"),
    ],
)
def test_bad_matrices_are_refused(rows: list[list[float]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        CostMatrix.from_rows(rows)
