from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.decisions.costs import (
    Costs,
    cheapest_band,
    compare_cutoffs,
    decision_curve,
    odds_ratio,
    parse_costs,
)
from calibcli.core.decisions.thresholds import Choice, Curve, choose
from calibcli.errors import UsageError

small_cells = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8)
some_costs = st.builds(
    lambda tp, tn, more_fp, more_fn, refer: Costs(
        fp=max(tp, tn) + more_fp, fn=max(tp, tn) + more_fn, tp=tp, tn=tn, refer=refer
    ),
    tp=st.integers(-2, 2).map(float),
    tn=st.integers(-2, 2).map(float),
    more_fp=st.floats(0.1, 9),
    more_fn=st.floats(0.1, 9),
    refer=st.floats(-1, 6),
)


def test_published_cut_of_one_to_four_is_one_fifth() -> None:
    assert parse_costs("fp=1,fn=4").cutoff() == 0.2


@given(costs=some_costs, p=st.floats(0, 1))
def test_closed_form_decides_each_probability_at_its_least_cost(costs: Costs, p: float) -> None:
    positive = costs.tp * p + costs.fp * (1 - p)
    negative = costs.fn * p + costs.tn * (1 - p)
    chosen = positive if p >= costs.cutoff() else negative
    assert chosen == pytest.approx(min(positive, negative), abs=1e-9)
    assert costs.refer is not None
    band = costs.band()
    if band is not None:
        low, high = band
        chosen = positive if p >= high else negative if p < low else costs.refer
    assert chosen == pytest.approx(min(positive, negative, costs.refer), abs=1e-9)


@given(costs=some_costs, p=st.floats(0.001, 0.999), prior=st.floats(0.01, 0.99))
def test_closed_form_under_another_prior_is_bayes_rule(
    costs: Costs, p: float, prior: float
) -> None:
    shift = odds_ratio(30, 70, prior)
    odds = p / (1 - p) * (prior / (1 - prior)) / (30 / 70)
    new = odds / (1 + odds)
    if abs(new - costs.cutoff()) > 1e-9:
        assert (p >= costs.cutoff(shift)) == (new >= costs.cutoff())


def referred_cost(
    score: np.ndarray, pos: np.ndarray, neg: np.ndarray, costs: Costs, low: float, high: float
) -> float:
    total = 0.0
    assert costs.refer is not None
    for s, p, n in zip(score, pos, neg, strict=True):
        if s >= high:
            total += costs.tp * p + costs.fp * n
        elif s < low:
            total += costs.fn * p + costs.tn * n
        else:
            total += costs.refer * (p + n)
    return total / (pos.sum() + neg.sum())


@given(counts=small_cells, costs=some_costs, prior=st.none() | st.floats(0.05, 0.95))
def test_band_equals_brute_force_over_every_pair_of_breakpoints(
    counts: list[tuple[int, int]], costs: Costs, prior: float | None
) -> None:
    pos, neg = np.array(counts).T
    if not pos.sum() or not neg.sum():
        return
    score = np.arange(len(pos)) / 10
    weights = (pos, neg)
    if prior is not None:
        weights = (pos * prior / pos.sum(), neg * (1 - prior) / neg.sum())
    cuts = [*score, math.nextafter(score[-1], 2)]
    best = min(
        referred_cost(score, *weights, costs, low, high)
        for low, high in itertools.combinations_with_replacement(cuts, 2)
    )
    band = cheapest_band(score, pos, neg, costs, prior=prior)
    assert band.cost == pytest.approx(best, abs=1e-9)
    assert band.low <= band.high
    mine = referred_cost(score, *weights, costs, band.low, band.high)
    assert mine == pytest.approx(best, abs=1e-9)
    inside = (score >= band.low) & (score < band.high)
    assert band.referred == (pos + neg)[inside].sum()
    assert (band.tp, band.fp) == (pos[score >= band.high].sum(), neg[score >= band.high].sum())
    assert (band.fn, band.tn) == (pos[score < band.low].sum(), neg[score < band.low].sum())


@given(counts=small_cells, costs=some_costs)
def test_empirical_cut_equals_brute_force(counts: list[tuple[int, int]], costs: Costs) -> None:
    pos, neg = np.array(counts).T
    score = np.arange(len(pos)) / 10
    if not pos.sum() + neg.sum():
        return
    answer = choose(Curve.from_cells(score, pos, neg), costs.objective())
    assert isinstance(answer, Choice)
    never = Costs(fp=costs.fp, fn=costs.fn, tp=costs.tp, tn=costs.tn, refer=1e9)
    cuts = [*score, math.nextafter(score[-1], 2)]
    best = min(referred_cost(score, pos, neg, never, t, t) for t in cuts)
    assert answer.value == pytest.approx(best, abs=1e-9)


def test_refer_that_costs_more_than_deciding_has_no_band() -> None:
    assert parse_costs("fp=1,fn=4,refer=0.9").band() is None
    assert parse_costs("fp=1,fn=4").band() is None
    band = parse_costs("fp=1,fn=4,refer=0.4").band()
    assert band == pytest.approx((0.1, 0.6))


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("fp=1", "fn is missing", "fp=1,fn=4"),
        ("fp=1,fn=x", "not a number", ""),
        ("fp=1,fn=nan", "not a number", ""),
        ("fp=1,fn=4,reffer=1", "unknown cost 'reffer'", "did you mean 'refer'?"),
        ("fp=1,fn=4,fn=5", "twice", ""),
        ("fp=1;fn=4", "not a cost|not a number", ""),
        ("fp=0,fn=4", "false positive", ""),
        ("fp=1,fn=4,tp=5", "false negative", ""),
        ("fp=1,fn=4,tp=2,refer=0.1", "refer", "fn >= tn and fp >= tp"),
    ],
)
def test_bad_costs_are_usage_errors(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        parse_costs(text)
    assert hint in (error.value.hint or "")


def warned(
    rng: np.random.Generator, draws: int, rows: int, power: float, costs: Costs, prior: float | None
) -> float:
    """Share of draws called miscalibrated when the true frequency is score ** power."""
    found = 0
    for _ in range(draws):
        score = np.sort(rng.beta(1, 3, rows))
        label = (rng.random(rows) < score**power).astype(np.int64)
        answer = compare_cutoffs(score, label, 1 - label, costs, prior=prior)
        found += bool(answer.miscalibrated)
    return found / draws


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "prior"), [("fp=1,fn=4", None), ("fp=1,fn=30", None), ("fp=5,fn=1,tp=-1", 0.6)]
)
def test_calibrated_scores_seldom_warn_and_miscalibrated_ones_do(
    text: str, prior: float | None
) -> None:
    rng = np.random.default_rng(1)
    costs = parse_costs(text)
    # One in a hundred: 6 or more of 150 have probability 0.004.
    assert warned(rng, 150, 300, 1.0, costs, prior) < 6 / 150
    assert warned(rng, 10, 20_000, 2.0, costs, prior) >= 0.9


def test_weighted_rows_give_no_verdict() -> None:
    found = compare_cutoffs(
        np.array([0.1, 0.9]), np.array([0.5, 1]), np.array([2, 0.5]), Costs(1, 4), weighted=True
    )
    assert found.p_value is None
    assert found.miscalibrated is None


@given(counts=small_cells, costs=some_costs)
def test_excess_is_the_difference_of_the_two_costs(
    counts: list[tuple[int, int]], costs: Costs
) -> None:
    pos, neg = np.array(counts).T
    score = np.arange(len(pos)) / 10
    if not pos.sum() + neg.sum():
        return
    found = compare_cutoffs(score, pos, neg, costs)
    never = Costs(fp=costs.fp, fn=costs.fn, tp=costs.tp, tn=costs.tn, refer=1e9)
    cuts = [*score, math.nextafter(score[-1], 2)]
    best = min(referred_cost(score, pos, neg, never, t, t) for t in cuts)
    closed = referred_cost(score, pos, neg, never, found.closed_form, found.closed_form)
    assert found.excess == pytest.approx(closed - best, abs=1e-9)
    assert found.p_value is not None
    assert 0 < found.p_value <= 1
    if closed - best < 1e-12:
        assert found.p_value == 1


def test_net_benefit_by_its_definition() -> None:
    score = np.array([0.1, 0.4, 0.4, 0.8])
    label = np.array([0, 1, 0, 1])
    curve = Curve.from_cells(np.array([0.1, 0.4, 0.8]), np.array([0, 1, 1]), np.array([1, 1, 0]))
    at = np.array([0.0, 0.25, 0.5, 0.9])
    found = decision_curve(curve, at)
    for i, t in enumerate(at):
        tp = ((score >= t) & (label == 1)).sum()
        fp = ((score >= t) & (label == 0)).sum()
        assert found["model"][i] == pytest.approx(tp / 4 - fp / 4 * t / (1 - t))
        assert found["all"][i] == pytest.approx(0.5 - 0.5 * t / (1 - t))
