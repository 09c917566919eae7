"""The paired difference of two rules, beside scikit-learn's figures and resampling."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score

from calibcli.core.comparison.decided import Duel, compare, compare_losses, estimates
from calibcli.core.decisions.counts import RuleCounts
from calibcli.core.decisions.objectives import FIGURES


def made(truth, old, new, classes, task, unit=None, slots=1):
    joint = RuleCounts(classes * (classes + 2), units=None if unit is None else unit.max() + 1)
    joint.add(truth * (classes + 2) + old + 2, new, unit=unit)
    return Duel.of(joint, classes, [0], exclusive=task == "multiclass")


def draw(rng, n=600, classes=3):
    truth = rng.integers(0, classes, n)
    decide = [
        np.where(rng.random(n) < keep, truth, rng.integers(-1, classes, n)) for keep in (0.5, 0.6)
    ]
    return truth, *decide


@pytest.mark.slow
def test_macro_f1_is_scikit_learns_and_its_interval_is_that_of_resampling():
    rng = np.random.default_rng(0)
    truth, old, new = draw(rng)
    found = compare(made(truth, old, new, 3, "multiclass"), FIGURES["f1"], 0.95)
    labels = [0, 1, 2]

    def macro(rows, decision):
        return f1_score(truth[rows], decision[rows], average="macro", labels=labels)

    every = np.arange(len(truth))
    assert found.old == pytest.approx(macro(every, old), abs=1e-12)
    assert found.new == pytest.approx(macro(every, new), abs=1e-12)
    draws = [rng.integers(0, len(truth), len(truth)) for _ in range(400)]
    spread = np.std([macro(rows, new) - macro(rows, old) for rows in draws])
    width = (found.difference.high - found.difference.low) / (2 * 1.96)
    assert width == pytest.approx(spread, rel=0.15)


@pytest.mark.slow
def test_micro_f1_and_accuracy_are_scikit_learns():
    truth, old, new = draw(np.random.default_rng(2))
    duel, labels = made(truth, old, new, 3, "multiclass"), [0, 1, 2]
    found = compare(duel, FIGURES["f1"], 0.95, over="pooled")
    micro = [f1_score(truth, one, average="micro", labels=labels) for one in (old, new)]
    assert [found.old, found.new] == pytest.approx(micro, abs=1e-12)
    draws = [np.random.default_rng(k).integers(0, len(truth), len(truth)) for k in range(300)]
    gaps = [
        np.diff([f1_score(truth[r], d[r], average="micro", labels=labels) for d in (old, new)])
        for r in draws
    ]
    width = (found.difference.high - found.difference.low) / (2 * 1.96)
    assert width == pytest.approx(np.std(gaps), rel=0.2)


def test_another_prevalence_weighs_the_rows_of_each_label():
    rng = np.random.default_rng(3)
    truth, old, new = (rng.integers(0, 2, 500) for _ in range(3))
    duel = made(truth, old, new, 2, "binary")
    found = compare(duel, FIGURES["precision"], 0.95, prior=[0.1])
    weight = np.where(truth == 1, 0.1 / truth.mean(), 0.9 / (1 - truth.mean()))
    for got, decision in ((found.old, old), (found.new, new)):
        assert got == pytest.approx(precision_score(truth, decision, sample_weight=weight))


def test_a_binary_constraint_is_scikit_learns_precision_with_a_width_at_the_ends():
    truth, old = np.array([1, 1, 1, 0, 0, 0]), np.array([1, 1, 0, 0, 0, 0])
    duel = made(truth, old, 1 - old, 2, "binary")
    one = estimates(duel, FIGURES["precision"], 0.95, challenger=False)[0]
    assert one.value == precision_score(truth, old) == 1.0
    assert one.low < 0.75
    assert one.high >= 1.0


@pytest.mark.parametrize("clustered", [False, True])
def test_the_interval_of_a_difference_holds(clustered):
    rng, held, draws = np.random.default_rng(1), 0, 300
    for _ in range(draws):
        n, size = 800, 10
        effect = np.repeat(rng.normal(0, 1.0 if clustered else 0.0, n // size), size)
        z = rng.normal(0, 1, n) + effect
        truth = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)
        old, new = (z > 0.3).astype(int), (z > -0.3).astype(int)
        unit = np.repeat(np.arange(n // size), size) if clustered else None
        duel = made(truth, old, new, 2, "binary", unit)
        gap = compare(duel, FIGURES["youden"], 0.95).difference
        held += gap.low <= 0.0 <= gap.high  # Youden's index is equal by symmetry
    assert held / draws > 0.92


def test_costs_count_what_is_referred():
    truth, old, new = np.array([0, 1, 1, 0]), np.array([1, 1, -2, 0]), np.array([0, 1, 0, 0])
    loss = np.array([[0.3, 0.0, 0.0, 1.0], [0.3, 4.0, 4.0, 0.0]])
    found = compare_losses(made(truth, old, new, 2, "binary"), loss, 0.95)
    assert (found.old, found.new) == pytest.approx((1.3 / 4, 4.0 / 4))
    same = compare_losses(made(truth, old, old, 2, "binary"), loss, 0.95).difference
    assert (same.low, same.value, same.high) == (0.0, 0.0, 0.0)
