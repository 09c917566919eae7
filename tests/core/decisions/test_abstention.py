from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.decisions.abstention import abstain, risk_coverage
from calibcli.core.decisions.guarantees import Certified, Uncertified
from calibcli.core.decisions.objectives import parse_constraint
from calibcli.core.decisions.thresholds import Choice, Curve, Unreachable
from calibcli.errors import UsageError

rows_of_pairs = st.lists(
    st.tuples(st.integers(0, 3).map(lambda i: i / 4), st.booleans()), min_size=1, max_size=6
)


def cells(rows: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    confidence, correct = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    distinct, index = np.unique(confidence, return_inverse=True)
    good = np.bincount(index, correct, minlength=distinct.size).astype(int)
    bad = np.bincount(index, ~correct, minlength=distinct.size).astype(int)
    return distinct, good, bad


def area_of_order(errors: list[bool]) -> float:
    return float(np.mean(np.cumsum(errors) / np.arange(1, len(errors) + 1)))


@given(rows=rows_of_pairs)
def test_area_is_the_mean_over_all_orders_of_tied_rows(rows: list[tuple[float, bool]]) -> None:
    areas = [
        area_of_order([not correct for _, correct in order])
        for order in itertools.permutations(rows)
        if all(a[0] >= b[0] for a, b in itertools.pairwise(order))
    ]
    found = risk_coverage(*cells(rows))
    assert found.area == pytest.approx(np.mean(areas), abs=1e-12)
    perfect = area_of_order(sorted(not correct for _, correct in rows))
    assert found.excess == pytest.approx(found.area - perfect, abs=1e-12)


@given(rows=rows_of_pairs)
def test_curve_is_the_risk_among_the_kept(rows: list[tuple[float, bool]]) -> None:
    found = risk_coverage(*cells(rows))
    for t, coverage, risk in zip(found.confidence, found.coverage, found.risk, strict=True):
        kept = [correct for confidence, correct in rows if confidence >= t]
        assert coverage == len(kept) / len(rows)
        assert risk == pytest.approx(1 - np.mean(kept))


def test_weighted_area_is_the_limit_of_many_small_rows() -> None:
    confidence = np.array([0.2, 0.5, 0.9])
    correct, wrong = np.array([1, 4, 7]), np.array([3, 2, 1])
    many = risk_coverage(confidence, 20_000 * correct, 20_000 * wrong)
    weighted = risk_coverage(confidence, correct.astype(float), wrong.astype(float))
    assert weighted.area == pytest.approx(many.area, abs=1e-4)
    assert weighted.excess == pytest.approx(many.excess, abs=1e-4)


def test_no_rows_have_no_curve() -> None:
    with pytest.raises(ValueError, match="no rows"):
        risk_coverage(np.array([0.5]), np.array([0]), np.array([0]))


@given(
    rows=rows_of_pairs,
    target=st.sampled_from([0.3, 0.5, 0.75, 1.0]),
)
def test_abstain_keeps_the_most_rows_that_meet_the_target(
    rows: list[tuple[float, bool]], target: float
) -> None:
    kept_shares = []
    for t in {confidence for confidence, _ in rows}:
        kept = [correct for confidence, correct in rows if confidence >= t]
        if np.mean(kept) >= target:
            kept_shares.append(len(kept) / len(rows))
    answer = abstain(Curve.from_cells(*cells(rows)), parse_constraint(f"accuracy>={target}"))
    if kept_shares:
        assert isinstance(answer, Choice)
        assert answer.value == max(kept_shares)
    else:
        assert isinstance(answer, Unreachable)


def test_certified_abstention_keeps_its_promise() -> None:
    rng = np.random.default_rng(0)
    points = (np.arange(500) + 0.5) / 500
    broken = certified = 0
    for _ in range(150):
        correct = rng.binomial(total := rng.multinomial(1000, np.full(500, 1 / 500)), points)
        seen = total > 0
        curve = Curve.from_cells(points[seen], correct[seen], (total - correct)[seen])
        answer = abstain(curve, parse_constraint("accuracy>=0.8"), confidence=0.9)
        if isinstance(answer, Certified):
            certified += 1
            broken += points[points >= answer.choice.threshold].mean() < 0.8
    assert certified > 120
    assert broken <= 24  # one in ten of 150; 24 has probability 0.01
    short = Curve.from_cells(np.array([0.9]), np.array([5]), np.array([0]))
    answer = abstain(short, parse_constraint("accuracy>=0.8"), confidence=0.9)
    assert isinstance(answer, Uncertified)


@pytest.mark.parametrize("text", ["precision>=0.9", "accuracy<=0.9"])
def test_only_a_lower_bound_of_accuracy_keeps_rows(text: str) -> None:
    curve = Curve.from_cells(np.array([0.9]), np.array([5]), np.array([0]))
    with pytest.raises(UsageError) as error:
        abstain(curve, parse_constraint(text))
    assert "accuracy>=0.99" in (error.value.hint or "")
