from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from calibcli.core.decisions.guarantees import (
    CERTIFIABLE,
    Certified,
    Uncertified,
    binomial_tail,
    certify,
    smallest_selection,
)
from calibcli.core.decisions.objectives import parse_constraint, parse_objective
from calibcli.core.decisions.thresholds import Choice, Curve, Unreachable, choose
from calibcli.errors import UsageError

Population = tuple[np.ndarray, np.ndarray, np.ndarray]


def population(name: str, points: int) -> Population:
    """Return scores, their probabilities and the true frequency of each: the truth is exact."""
    score = (np.arange(points) + 0.5) / points
    mass, frequency = {
        "calibrated": (np.exp(-3 * score), score),
        "over-confident": (
            1 / np.sqrt(score * (1 - score)),
            1 / (1 + np.sqrt((1 - score) / score)),
        ),
        "just too low": (np.ones(points), np.full(points, 0.899)),
        "steep": (np.ones(points), 1 / (1 + np.exp(-20 * (score - 0.6)))),
        "worse at the top": (
            np.ones(points),
            np.where(score > 0.95, 0.8, np.where(score > 0.5, 0.95, 0.3)),
        ),
    }[name]
    return score, mass / mass.sum(), frequency


def draw(rng: np.random.Generator, truth: Population, rows: int) -> Curve:
    score, mass, frequency = truth
    total = rng.multinomial(rows, mass)
    pos = rng.binomial(total, frequency)
    seen = total > 0
    return Curve.from_cells(score[seen], pos[seen], (total - pos)[seen])


def true_figures(truth: Population, threshold: float) -> dict[str, float]:
    score, mass, frequency = truth
    selected = score >= threshold
    pos, neg = mass * frequency, mass * (1 - frequency)
    return {
        "precision": pos[selected].sum() / mass[selected].sum(),
        "npv": neg[~selected].sum() / max(mass[~selected].sum(), 1e-300),
        "recall": pos[selected].sum() / pos.sum(),
        "fnr": pos[~selected].sum() / pos.sum(),
        "specificity": neg[~selected].sum() / neg.sum(),
        "fpr": neg[selected].sum() / neg.sum(),
        "positive-rate": mass[selected].sum(),
    }


def simulate(
    name: str, points: int, rows: int, wanted: tuple[str, ...], objective: str, draws: int
) -> tuple[float, float]:
    """Return the shares of draws that were certified, and whose certified promise is broken."""
    rng = np.random.default_rng([points, rows, draws])
    truth = population(name, points)
    constraints = tuple(map(parse_constraint, wanted))
    certified = broken = 0
    for _ in range(draws):
        answer = certify(draw(rng, truth, rows), parse_objective(objective), constraints, 0.9)
        if isinstance(answer, Certified):
            figures = true_figures(truth, answer.choice.threshold)
            certified += 1
            broken += not all(c.met(np.array(figures[c.name])) for c in constraints)
    return certified / draws, broken / draws


@pytest.mark.parametrize(
    ("name", "points", "rows", "wanted", "objective", "at_least"),
    [
        ("calibrated", 5000, 2000, ("precision>=0.8",), "recall", 0.6),
        ("over-confident", 5000, 2000, ("precision>=0.9",), "recall", 0.3),
        ("just too low", 20, 500, ("precision>=0.9",), "recall", 0.0),
        ("just too low", 5000, 500, ("precision>=0.9",), "recall", 0.0),
        ("steep", 20, 500, ("precision>=0.9",), "f1", 0.9),
        ("worse at the top", 5000, 500, ("precision>=0.9",), "recall", 0.0),
        ("calibrated", 1000, 400, ("recall>=0.9",), "precision", 0.9),
        ("steep", 20, 400, ("fnr<=0.1",), "specificity", 0.9),
        ("calibrated", 1000, 400, ("fpr<=0.1",), "recall", 0.9),
        ("steep", 1000, 400, ("npv>=0.9",), "specificity", 0.9),
        ("steep", 1000, 400, ("positive-rate<=0.3",), "recall", 0.9),
        ("calibrated", 1000, 2000, ("precision>=0.7", "fpr<=0.05"), "recall", 0.9),
        ("steep", 1000, 1000, ("precision>=0.8", "recall>=0.8"), "f1", 0.9),
        ("steep", 1000, 1000, ("precision>=0.8", "recall>=0.8"), "precision", 0.9),
        ("steep", 1000, 1000, ("recall>=0.7", "npv>=0.8", "fpr<=0.2"), "mcc", 0.9),
    ],
)
def test_the_promised_share_of_draws_keeps_the_promise(
    name: str, points: int, rows: int, wanted: tuple[str, ...], objective: str, at_least: float
) -> None:
    draws = 300
    certified, broken = simulate(name, points, rows, wanted, objective, draws)
    # What a true share of one in ten exceeds once in a hundred.
    assert broken * draws <= binom.isf(0.01, draws, 0.1)
    assert certified >= at_least


def test_best_of_the_single_bounds_breaks_its_promise_where_ours_keeps_it() -> None:
    rng = np.random.default_rng(0)
    truth = population("just too low", 5000)
    naive = 0
    for _ in range(200):
        curve = draw(rng, truth, 500)
        tail = binomial_tail(curve.tp, curve.tp + curve.fp, 0.9)
        naive += bool((tail <= 0.1).any())
    assert naive / 200 > 0.3


def test_certified_recall_beats_bonferroni_over_a_grid_of_100() -> None:
    rng = np.random.default_rng(1)
    truth = population("calibrated", 5000)
    ours, grid = [], []
    for _ in range(60):
        curve = draw(rng, truth, 2000)
        recall = curve.tp / curve.tp[0]
        answer = certify(
            curve, parse_objective("recall"), (parse_constraint("precision>=0.8"),), 0.95
        )
        ours.append(recall[answer.choice.index] if isinstance(answer, Certified) else 0.0)
        among = np.array([curve.index(t) for t in np.linspace(0, 0.99, 100)])
        tail = binomial_tail(curve.tp[among], (curve.tp + curve.fp)[among], 0.8)
        grid.append(max(recall[among[tail <= 0.05 / 100]], default=0.0))
    assert np.mean(ours) > np.mean(grid) + 0.02


@given(
    trials=st.integers(0, 400),
    share=st.floats(0, 1),
    target=st.floats(0.001, 0.999),
)
def test_binomial_tail_is_scipys(trials: int, share: float, target: float) -> None:
    successes = round(share * trials)
    found = binomial_tail(np.array([successes]), np.array([trials]), target)[0]
    assert found == pytest.approx(binom.sf(successes - 1, trials, target), rel=1e-9, abs=1e-300)


def test_acceptance_sampling_plans_are_the_published_ones() -> None:
    # Wilks's 59 rows without error, and the zero- to three-error plans for 95% / 95%.
    plans = [smallest_selection(0.05, 0.95, errors) for errors in range(4)]
    assert plans == [59, 93, 124, 153]
    assert smallest_selection(0.1, 0.9) == 22


def test_monotone_figures_use_the_whole_level() -> None:
    """The certified recall is exactly where the Clopper-Pearson bound crosses the target."""
    rng = np.random.default_rng(3)
    curve = draw(rng, population("calibrated", 1000), 1000)
    answer = certify(curve, parse_objective("precision"), (parse_constraint("recall>=0.9"),), 0.95)
    assert isinstance(answer, Certified)
    positives = int(curve.positives)
    enough = [i for i, k in enumerate(curve.tp) if binom.sf(k - 1, positives, 0.9) <= 0.05]
    assert answer.low == curve.threshold[0]
    assert answer.high == curve.threshold[enough[-1]]


def test_relabelled_rows_start_the_sequence_at_the_same_place() -> None:
    """The start may depend on scores, never on labels: the range's upper end does not move."""
    rng = np.random.default_rng(4)
    score = np.sort(rng.random(1000))
    label = (rng.random(1000) < score).astype(np.int64)
    highs = set()
    for flipped in range(3):
        other = label.copy()
        other[np.flatnonzero(label == 0)[-flipped:] if flipped else []] = 1
        curve = Curve.from_cells(score, other, 1 - other)
        answer = certify(
            curve, parse_objective("recall"), (parse_constraint("precision>=.7"),), 0.9
        )
        assert isinstance(answer, Certified)
        highs.add(answer.high)
    assert len(highs) == 1


def test_certified_answer_also_meets_the_constraints_on_the_rows() -> None:
    rng = np.random.default_rng(5)
    constraints = tuple(map(parse_constraint, ("precision>=0.8", "recall>=0.6")))
    curve = draw(rng, population("steep", 1000), 2000)
    answer = certify(curve, parse_objective("f1"), constraints, 0.95)
    assert isinstance(answer, Certified)
    assert answer.low <= answer.choice.threshold <= answer.high
    empirical = choose(curve, parse_objective("f1"), constraints)
    assert isinstance(empirical, Choice)
    assert answer.choice.value <= empirical.value
    figures = [answer.choice.confusion.figure(c.function) for c in constraints]
    assert all(
        f is not None and c.met(np.array(f)) for c, f in zip(constraints, figures, strict=True)
    )
    assert answer.levels == pytest.approx((0.025, 0.025))


def test_too_few_rows_say_how_many_would_do() -> None:
    score = np.arange(40) / 40
    label = (score > 0.5).astype(np.int64)
    curve = Curve.from_cells(score, label, 1 - label)
    answer = certify(curve, parse_objective("recall"), (parse_constraint("precision>=0.95"),), 0.95)
    assert isinstance(answer, Uncertified)
    assert isinstance(answer.empirical, Choice)
    # 59 flawless positive predictions are the least that can do; 19 of 40 rows are positive.
    assert answer.rows_needed is not None
    assert 59 * 40 / 19 <= answer.rows_needed <= 1000
    assert str(answer.rows_needed) in answer.message()
    assert "precision>=0.95" in answer.message()


def test_rows_said_to_be_needed_mostly_do() -> None:
    rng = np.random.default_rng(6)
    truth = population("steep", 5000)
    wanted = (parse_constraint("precision>=0.97"),)
    said = []
    for _ in range(20):
        answer = certify(draw(rng, truth, 80), parse_objective("recall"), wanted, 0.95)
        assert isinstance(answer, Uncertified)
        said.append(answer.rows_needed or 0)
    rows = int(np.median(said))
    assert rows > 80
    answers = [
        certify(draw(rng, truth, rows), parse_objective("recall"), wanted, 0.95) for _ in range(40)
    ]
    assert sum(isinstance(a, Certified) for a in answers) >= 20


def test_target_that_not_even_the_rows_reach_is_said_to_be_unreachable() -> None:
    curve = Curve.from_cells(np.array([0.1, 0.9]), np.array([50, 50]), np.array([50, 50]))
    answer = certify(curve, parse_objective("recall"), (parse_constraint("precision>=0.9"),), 0.95)
    assert isinstance(answer, Uncertified)
    assert isinstance(answer.empirical, Unreachable)
    assert answer.rows_needed is None
    assert "at most 0.5" in answer.message()


def test_ties_heavier_than_the_start_are_no_obstacle() -> None:
    curve = Curve.from_cells(np.array([0.1, 0.9]), np.array([50, 995]), np.array([900, 5]))
    answer = certify(curve, parse_objective("recall"), (parse_constraint("precision>=0.95"),), 0.95)
    assert isinstance(answer, Certified)
    assert answer.choice.threshold == 0.9


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("f1>=0.8", {}, "no exact test"),
        ("alerts<=10", {}, "no exact test"),
        ("precision<=0.8", {}, "lower bound"),
        ("recall>=1", {}, "no number of rows"),
        ("fpr<=0", {}, "no number of rows"),
        ("recall>=0.8", {"clustered": True}, "cluster"),
        ("precision>=0.8", {"prior": 0.1}, "prevalence"),
    ],
)
def test_what_cannot_be_certified_is_refused_with_a_reason(
    text: str, options: dict[str, float | bool], message: str
) -> None:
    curve = Curve.from_cells(np.array([0.1, 0.9]), np.array([1, 9]), np.array([9, 1]))
    with pytest.raises(UsageError, match=message):
        certify(curve, parse_objective("f1"), (parse_constraint(text),), 0.9, **options)  # type: ignore[arg-type]


def test_weights_empty_constraints_and_odd_confidences_are_refused() -> None:
    score, f1 = np.array([0.1, 0.9]), parse_objective("f1")
    weighted = Curve.from_cells(score, np.array([0.5, 2]), np.array([1.5, 1]))
    counted = Curve.from_cells(score, np.array([1, 2]), np.array([2, 1]))
    wanted = (parse_constraint("recall>=0.5"),)
    for curve, constraints, confidence, message in (
        (weighted, wanted, 0.9, "weights"),
        (counted, (), 0.9, "nothing to guarantee"),
        (counted, wanted, 1.0, "confidence"),
        (counted, wanted, 95.0, "confidence"),
    ):
        with pytest.raises(UsageError, match=message):
            certify(curve, f1, constraints, confidence)


def test_every_certifiable_figure_can_be_asked_for() -> None:
    rng = np.random.default_rng(7)
    curve = draw(rng, population("steep", 1000), 5000)
    for name in CERTIFIABLE:
        op = "<=" if name in ("fnr", "fpr", "positive-rate") else ">="
        wanted = parse_constraint(f"{name}{op}0.5")
        answer = certify(curve, parse_objective("f1"), (wanted,), 0.95)
        assert isinstance(answer, Certified), name
        assert math.isfinite(answer.choice.value)
