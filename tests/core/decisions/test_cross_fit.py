"""A choice repeated on folds, against the same by hand, and what its intervals hold."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from scipy.stats import norm

from calibcli.core.decisions.cross_fit import (
    FOLDS,
    CellFamily,
    cross_fit,
    cut_at,
    moved,
    widened,
)
from calibcli.core.decisions.judged import Judged, table_counts
from calibcli.core.decisions.objectives import FIGURES, parse_constraint, parse_objective
from calibcli.core.decisions.thresholds import Choice, Curve, choose
from calibcli.core.statistics.stats import ScoreStats
from calibcli.workflows.measure.decided.judged import table_of

SHOWN = ("precision", "recall", "f1")


def picker(objective, constraints=()):
    def pick(curves):
        found = choose(curves[0], objective, constraints)
        return (0, found) if isinstance(found, Choice) else None

    return pick


def world(rng, n, share=0.2, apart=1.5):
    """Calibrated scores of two normal distributions."""
    label = rng.uniform(size=n) < share
    z = apart * rng.normal(apart * label, 1) - apart**2 / 2 + np.log(share / (1 - share))
    return 1 / (1 + np.exp(-z)), label.astype(int)


def truth(t, name, share=0.2, apart=1.5):
    """Return a figure of all such rows at a cut-off."""
    x = (np.log(t / (1 - t)) + apart**2 / 2 - np.log(share / (1 - share))) / apart if t < 1 else 9
    tpr, fpr = norm.sf(x - apart), norm.sf(x)
    four = share * tpr, (1 - share) * fpr, share * (1 - tpr), (1 - share) * (1 - fpr)
    return float(FIGURES[name](*map(np.asarray, four)))


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("kind", ["count", "weight", "logit"])
def test_each_fold_is_decided_by_the_choice_of_the_others(clustered, kind):
    rng = np.random.default_rng(0)
    score, label = world(rng, 300)
    score = np.round(score, 2)
    weight = rng.integers(1, 4, 300)
    mass = weight * 0.5 if kind == "weight" else weight
    logits = kind == "logit"
    stats = ScoreStats.from_arrays(
        np.log((score + 1e-3) / (1.001 - score)) if logits else score,
        label,
        mass,
        logits=logits,
        cluster=rng.integers(0, 30, 300) if clustered else None,
    )
    objective = parse_objective("f1")
    family = CellFamily.of(stats, seed=3)
    found = cross_fit(family, picker(objective))
    parts = stats.split(FOLDS, 3)
    total = np.zeros(4)
    for fold, own in enumerate(parts):
        rest = reduce(ScoreStats.merge, [p for i, p in enumerate(parts) if i != fold])
        best = choose(Curve.from_cells(rest.cut, rest.pos, rest.neg), objective)
        table = Curve.from_cells(own.cut, own.pos, own.neg).at(best.threshold)
        total += [table.tp, table.fp, table.fn, table.tn]
        at = family.curves[0].threshold[found.places[fold][1]]
        # Between two scores that the rows left have none of, candidates decide alike.
        assert Curve.from_cells(rest.cut, rest.pos, rest.neg).at(at) == best.confusion
    counted = table_counts(Judged(found.counts).of_class(1))
    assert sum(counted) == pytest.approx(mass.sum())
    if not clustered:
        assert np.allclose(counted, total, atol=mass.max() * 3)


def test_folds_sum_to_the_whole_at_every_candidate():
    rng = np.random.default_rng(1)
    score, label = world(rng, 200)
    stats = ScoreStats.from_arrays(score, label)
    family = CellFamily.of(stats, seed=0)
    whole = family.curves[0]
    held = [family.held(fold)[0] for fold in range(FOLDS)]
    for name in ("tp", "fp", "fn", "tn"):
        assert np.array_equal(sum(getattr(one, name) for one in held), getattr(whole, name))


def test_a_fold_without_a_choice_leaves_no_figures():
    stats = ScoreStats.from_arrays([0.1, 0.2, 0.3, 0.9], [0, 0, 0, 1])
    bound = (parse_constraint("recall>=0.5"),)
    found = cross_fit(CellFamily.of(stats, 0), picker(parse_objective("precision"), bound))
    assert found.counts is None
    assert found.failed == 1


def test_cut_offs_of_logits_part_what_probabilities_cannot():
    stats = ScoreStats.from_arrays([38.0, 39, 40, 41], [0, 0, 1, 1], logits=True)
    cut = cut_at(stats, 40.0)
    assert (cut.threshold, cut.logit) == (1.0, 40.0)
    assert cut.of_logits().decide(np.array([39.0, 40.0])).tolist() == [False, True]
    above = cut_at(stats, np.nextafter(41.0, 42))
    assert above.threshold > 1.0


@pytest.mark.slow
@pytest.mark.parametrize("rows", [100, 300, 1000])
@pytest.mark.parametrize(
    ("goal", "bounds"),
    [("f1", ()), ("youden", ()), ("recall", ("precision>=0.5",)), ("precision", ("recall>=0.7",))],
)
def test_cross_fitted_figures_are_right_on_average_and_their_intervals_hold(rows, goal, bounds):
    objective = parse_objective(goal)
    constraints = tuple(map(parse_constraint, bounds))
    held = {name: [] for name in SHOWN}
    error = {name: [] for name in SHOWN}
    for seed in range(300):
        stats = ScoreStats.from_arrays(*world(np.random.default_rng(seed), rows))
        family = CellFamily.of(stats, seed)
        chosen = choose(family.curves[0], objective, constraints)
        found = cross_fit(family, picker(objective, constraints))
        if isinstance(chosen, Choice) and found.counts is not None:
            table = table_of(Judged(found.counts).of_class(1), 0.95)
            for name in SHOWN:
                move = moved(family, found, (0, chosen.index), FIGURES[name])
                value, low, high = (
                    getattr(table.rates[name], key) for key in ("value", "low", "high")
                )
                low, high = widened(value, low, high, move, 0.95)
                true = truth(chosen.threshold, name)
                held[name].append(low <= true <= high)
                error[name].append(value - true)
    for name in SHOWN:
        draws = len(held[name])
        assert draws > 250
        assert np.mean(held[name]) >= 0.93 - 2 * np.sqrt(0.93 * 0.07 / draws)
        assert abs(np.mean(error[name])) < np.std(error[name]) / 2
