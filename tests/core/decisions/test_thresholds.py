from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve, roc_curve

from calibcli.core.decisions.objectives import FIGURES, parse_constraint, parse_objective, youden
from calibcli.core.decisions.thresholds import Choice, Confusion, Curve, Unreachable, choose

MAXIMIZED = (
    *(n for n in FIGURES if n not in ("fpr", "fnr", "positive-rate", "alerts")),
    "fbeta:2",
    "fbeta:0.5",
)

Rows = list[tuple[float, int, float]]

tied_rows = st.lists(
    st.tuples(
        st.integers(0, 6).map(lambda i: i / 7), st.integers(0, 1), st.sampled_from([1, 2, 0.5, 0.1])
    ),
    min_size=1,
    max_size=25,
)


def cells(rows: Rows, *, weighted: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    score, label, weight = (np.array(c, dtype=float) for c in zip(*rows, strict=True))
    weight = weight if weighted else np.ones_like(weight)
    distinct, index = np.unique(score, return_inverse=True)
    pos = np.bincount(index, weight * label, minlength=distinct.size)
    neg = np.bincount(index, weight * (1 - label), minlength=distinct.size)
    return (distinct, pos, neg) if weighted else (distinct, pos.astype(int), neg.astype(int))


def confusion_by_rows(rows: Rows, threshold: float, *, weighted: bool) -> tuple[float, ...]:
    out = [0.0, 0.0, 0.0, 0.0]
    for score, label, weight in rows:
        which = (0 if label else 1) if score >= threshold else (2 if label else 3)
        out[which] += weight if weighted else 1
    return tuple(out)


def brute_force(
    rows: Rows, name: str, constraints: tuple[str, ...], *, weighted: bool
) -> dict[float, float]:
    """Return {threshold: objective} of every feasible candidate, row by row."""
    distinct = sorted({r[0] for r in rows})
    found = {}
    for threshold in [*distinct, math.nextafter(distinct[-1], math.inf)]:
        counts = [np.asarray(c) for c in confusion_by_rows(rows, threshold, weighted=weighted)]
        value = float(parse_objective(name).function(*counts))
        met = [bool(c.met(c.function(*counts))) for c in map(parse_constraint, constraints)]
        if not math.isnan(value) and all(met):
            found[threshold] = value
    return found


@pytest.mark.parametrize("name", MAXIMIZED)
@given(
    rows=tied_rows,
    weighted=st.booleans(),
    constraints=st.sampled_from(
        [(), ("precision>=0.6",), ("recall>=0.5", "fpr<0.4"), ("alerts<=4",), ("accuracy>0.7",)]
    ),
)
def test_choice_equals_brute_force_over_every_distinct_score(
    name: str, rows: Rows, weighted: bool, constraints: tuple[str, ...]
) -> None:
    feasible = brute_force(rows, name, constraints, weighted=weighted)
    curve = Curve.from_cells(*cells(rows, weighted=weighted))
    answer = choose(curve, parse_objective(name), tuple(map(parse_constraint, constraints)))
    if not feasible:
        assert isinstance(answer, Unreachable)
        return
    assert isinstance(answer, Choice)
    best = max(feasible.values())
    assert answer.value == pytest.approx(best, abs=1e-12)
    ties = [t for t, v in feasible.items() if v >= best - 1e-12]
    assert answer.tied == len(ties)

    def rank(threshold: float) -> tuple[float, float]:
        four = [np.asarray(c) for c in confusion_by_rows(rows, threshold, weighted=weighted)]
        return round(float(np.nan_to_num(youden(*four))), 9), threshold

    assert answer.threshold == max(ties, key=rank)
    counts = (getattr(answer.confusion, k) for k in ("tp", "fp", "fn", "tn"))
    expected = confusion_by_rows(rows, answer.threshold, weighted=weighted)
    assert tuple(counts) == pytest.approx(expected, abs=1e-12)


def test_published_f1_is_best_at_055() -> None:
    score = np.array([0.95, 0.80, 0.60, 0.55, 0.52, 0.40, 0.35, 0.20])
    label = np.array([1, 1, 0, 1, 0, 0, 1, 0])
    order = np.argsort(score)
    curve = Curve.from_cells(score[order], label[order], 1 - label[order])
    answer = choose(curve, parse_objective("f1"))
    assert isinstance(answer, Choice)
    assert (answer.threshold, answer.value, answer.tied) == (0.55, 0.75, 1)
    assert answer.confusion == Confusion(tp=3, fp=1, fn=1, tn=3)


def test_published_confusion_at_070() -> None:
    score = np.array([0.93, 0.82, 0.74, 0.58, 0.41, 0.88, 0.63, 0.52, 0.37, 0.22, 0.18, 0.07])
    label = np.repeat([1, 0], [5, 7])
    order = np.argsort(score)
    curve = Curve.from_cells(score[order], label[order], 1 - label[order])
    assert curve.at(0.70) == Confusion(tp=3, fp=1, fn=2, tn=6)
    assert curve.at(2.0) == Confusion(tp=0, fp=0, fn=5, tn=7)
    assert curve.at(-1.0) == Confusion(tp=5, fp=7, fn=0, tn=0)


def test_curve_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    score = np.round(rng.random(400), 2)
    label = rng.integers(0, 2, 400)
    distinct, index = np.unique(score, return_inverse=True)
    curve = Curve.from_cells(distinct, np.bincount(index, label), np.bincount(index, 1 - label))
    precision, recall, threshold = precision_recall_curve(label, score)
    assert curve.threshold[:-1].tolist() == threshold.tolist()
    np.testing.assert_allclose(curve.figure(FIGURES["precision"])[:-1], precision[:-1], rtol=1e-15)
    np.testing.assert_allclose(curve.figure(FIGURES["recall"]), recall, rtol=1e-15)
    fpr, tpr, _ = roc_curve(label, score, drop_intermediate=False)
    np.testing.assert_allclose(curve.figure(FIGURES["fpr"])[::-1], fpr, rtol=1e-15)
    np.testing.assert_allclose(curve.figure(FIGURES["recall"])[::-1], tpr, rtol=1e-15)


def test_pr_curves_last_point_does_not_make_an_unreachable_precision_look_reached() -> None:
    curve = Curve.from_cells(np.array([0.2, 0.9]), np.array([3, 1]), np.array([1, 1]))
    answer = choose(curve, parse_objective("recall"), (parse_constraint("precision>=0.95"),))
    assert isinstance(answer, Unreachable)
    (short,) = answer.shortfalls
    assert (short.best, short.threshold) == (4 / 6, 0.2)
    assert "precision>=0.95" in answer.message()
    assert "0.666667" in answer.message()


def test_unreachable_together_says_how_near_each_comes_while_the_other_holds() -> None:
    curve = Curve.from_cells(np.array([0.1, 0.5, 0.9]), np.array([1, 2, 1]), np.array([5, 1, 0]))
    wanted = tuple(map(parse_constraint, ("precision>=0.9", "recall>=0.75")))
    answer = choose(curve, parse_objective("f1"), wanted)
    assert isinstance(answer, Unreachable)
    precise, found = answer.shortfalls
    assert (precise.best, precise.threshold, precise.others_hold) == (0.75, 0.5, True)
    assert (found.best, found.threshold, found.others_hold) == (0.25, 0.9, True)
    assert "together" in answer.message()


def test_one_class_leaves_some_constraints_undefined_everywhere() -> None:
    curve = Curve.from_cells(np.array([0.1, 0.5]), np.array([1, 2]), np.array([0, 0]))
    answer = choose(curve, parse_objective("f1"), (parse_constraint("fpr<=0.1"),))
    assert isinstance(answer, Unreachable)
    assert "undefined" in answer.message()


def test_nothing_positive_is_a_candidate_whose_threshold_is_the_next_float() -> None:
    curve = Curve.from_cells(np.array([0.5, 1.0]), np.array([1, 1]), np.array([90, 9]))
    answer = choose(curve, parse_objective("accuracy"))
    assert isinstance(answer, Choice)
    assert answer.threshold == math.nextafter(1.0, 2.0) == 1.0000000000000002
    assert json.loads(json.dumps(answer.threshold)) == answer.threshold
    assert answer.confusion == Confusion(tp=0, fp=0, fn=2, tn=99)


def test_no_threshold_lies_above_an_infinite_logit() -> None:
    curve = Curve.from_cells(np.array([-np.inf, np.inf]), np.array([1, 1]), np.array([9, 9]))
    assert curve.threshold.tolist() == [-np.inf, np.inf]


def test_cells_of_equal_score_are_one_candidate() -> None:
    parts = Curve.from_cells(
        np.array([0.1, 0.5, 0.5, 1.0, 1.0]), np.array([1, 2, 0, 0, 4]), np.array([3, 0, 1, 2, 0])
    )
    whole = Curve.from_cells(np.array([0.1, 0.5, 1.0]), np.array([1, 2, 4]), np.array([3, 1, 2]))
    for name in ("threshold", "tp", "fp", "fn", "tn"):
        assert getattr(parts, name).tolist() == getattr(whole, name).tolist()


@pytest.mark.parametrize("score", [[0.2, 0.1], [0.1, np.nan]])
def test_cells_out_of_order_are_refused(score: list[float]) -> None:
    with pytest.raises(ValueError, match="increasing"):
        Curve.from_cells(np.array(score), np.array([1, 1]), np.array([1, 1]))


def test_threshold_of_float32_scores_reproduces_the_decisions() -> None:
    score = np.unique(np.array([0.1, 0.7, 0.3, 0.9], dtype=np.float32))
    curve = Curve.from_cells(score, np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0]))
    answer = choose(curve, parse_objective("f1"))
    assert isinstance(answer, Choice)
    written = json.loads(json.dumps(answer.threshold))
    assert (score.astype(np.float64) >= written).sum() == answer.confusion.tp == 2


def test_ties_go_to_youden_then_to_the_highest_threshold() -> None:
    # Precision is 1 at .9, .8 and .7: the lowest of them finds the most.
    curve = Curve.from_cells(
        np.array([0.1, 0.7, 0.8, 0.9]), np.array([0, 1, 1, 1]), np.array([3, 0, 0, 0])
    )
    answer = choose(curve, parse_objective("precision"))
    assert isinstance(answer, Choice)
    assert (answer.threshold, answer.tied) == (0.7, 3)
    # Recall is 1 at .1 and .7: the higher one has no false positive.
    answer = choose(curve, parse_objective("recall"))
    assert isinstance(answer, Choice)
    assert (answer.threshold, answer.tied) == (0.7, 2)


@given(rows=tied_rows, prior=st.floats(0.01, 0.99))
def test_prior_equals_repeating_the_rows_of_a_class(rows: Rows, prior: float) -> None:
    score, pos, neg = cells(rows)
    curve = Curve.from_cells(score, pos, neg)
    if not curve.positives or not curve.negatives:
        with pytest.raises(ValueError, match="one class"):
            curve.at_prevalence(prior)
        return
    total = curve.positives + curve.negatives
    repeated = Curve.from_cells(
        score, pos * prior * total / pos.sum(), neg * (1 - prior) * total / neg.sum()
    )
    expected = choose(repeated, parse_objective("accuracy"))
    answer = choose(curve, parse_objective("accuracy"), prior=prior)
    assert isinstance(expected, Choice)
    assert isinstance(answer, Choice)
    assert answer.value == pytest.approx(expected.value, abs=1e-12)
    assert answer.confusion == curve.at(answer.threshold)


@given(rows=tied_rows)
def test_a_weight_of_three_equals_three_rows(rows: Rows) -> None:
    score, pos, neg = cells(rows)
    counted = choose(Curve.from_cells(score, 3 * pos, 3 * neg), parse_objective("youden"))
    weighed = choose(Curve.from_cells(score, 3.0 * pos, 3.0 * neg), parse_objective("youden"))
    assert counted == weighed


def test_a_million_cells_take_a_moment() -> None:
    rng = np.random.default_rng(0)
    score = np.sort(rng.random(1_000_000))
    label = (rng.random(1_000_000) < score).astype(np.int64)
    start = time.perf_counter()
    answer = choose(
        Curve.from_cells(score, label, 1 - label),
        parse_objective("f1"),
        (parse_constraint("precision>=0.8"), parse_constraint("fpr<=0.2")),
    )
    assert isinstance(answer, Choice)
    assert time.perf_counter() - start < 3
