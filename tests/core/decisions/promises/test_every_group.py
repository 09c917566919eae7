"""One cut-off certified in every group: the tests of all reject, and the promise is kept."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibcli.core.decisions.guarantees import Certified, certify
from calibcli.core.decisions.objectives import parse_constraint, parse_objective
from calibcli.core.decisions.promises.by_unit import ByUnit, Scope, certify_by_unit, steps
from calibcli.core.decisions.promises.counts import UnitCounts
from calibcli.core.decisions.promises.tables import UnitRows, UnitTable
from calibcli.core.decisions.thresholds import Curve

GROUPS = 3
F1 = parse_objective("f1")


def draw(rng, units, size):
    """Return unit, group, score and label; groups differ in prevalence, units in difficulty."""
    unit = np.repeat(np.arange(units), size)
    group = rng.integers(0, GROUPS, units)[unit]
    z = rng.normal(-0.5, 1.6, len(unit))
    hard = rng.normal(0, 0.6, units)[unit]
    label = rng.random(len(unit)) < 1 / (1 + np.exp(-(z + 0.5 * (group - 1) + hard)))
    return unit, group, np.round(100 / (1 + np.exp(-z))) / 100, label.astype(np.int64)


def curves_of(group, score, label):
    """Return the curve of all rows, and that of each group at its candidates."""
    distinct, place = np.unique(score, return_inverse=True)

    def curve(some):
        pos = np.bincount(place[some], label[some], len(distinct)).astype(np.int64)
        return Curve.from_cells(distinct, pos, np.bincount(place[some], minlength=len(pos)) - pos)

    return curve(np.ones(len(score), bool)), [curve(group == one) for one in range(GROUPS)]


def units_of(curve, unit, score, label):
    at = steps(curve)
    cuts, counts = curve.threshold[at], UnitCounts()
    counts.add(0, unit.astype(np.uint64), 2 * np.searchsorted(cuts, score, side="right") + label)
    own = counts.read()
    some = own.where(own.key >= 2)
    right = own.where(own.key % 2 == 1)
    table = UnitTable.of(some.keyed(some.key - 2), right, UnitRows.of(own), len(cuts))
    return ByUnit(table, at, "patient")


def answer(rows, constraints, confidence=0.9, *, by_unit=False):
    unit, group, score, label = rows
    curve, own = curves_of(group, score, label)
    if not by_unit:
        return certify(curve, F1, constraints, confidence, within=own)
    scopes = [
        Scope(mine, units_of(curve, unit[some], score[some], label[some]))
        for one, mine in enumerate(own)
        for some in [group == one]
    ]
    whole = units_of(curve, unit, score, label)
    return certify_by_unit(curve, whole, F1, constraints, confidence, within=scopes)


def bounds(*texts):
    return tuple(parse_constraint(text) for text in texts)


def test_its_name_is_that_of_gates():
    one = parse_constraint("worst(group.site).recall>=0.9")
    assert (one.name, one.within, str(one)) == ("recall", "site", "worst(group.site).recall>=0.9")


@pytest.mark.parametrize("by_unit", [False, True])
def test_what_is_certified_in_every_group_is_certified_in_each(by_unit):
    rows = draw(np.random.default_rng(1), 3000, 1 if not by_unit else 4)
    found = answer(rows, bounds("worst(group.site).recall>=0.7"), by_unit=by_unit)
    unit, group, score, label = rows
    curve, own = curves_of(group, score, label)
    highest = []
    for one in range(GROUPS):
        some = group == one
        wanted = F1, bounds("recall>=0.7"), 0.9
        if by_unit:
            units = units_of(curve, unit[some], score[some], label[some])
            highest.append(certify_by_unit(own[one], units, *wanted).high)
        else:
            highest.append(certify(own[one], *wanted).high)
    assert found.high == min(highest)


def kept(texts, units, size, draws, *, by_unit):
    """Return the shares of draws that were certified, and whose promise is broken in some group."""
    constraints = bounds(*texts)
    rng = np.random.default_rng([units, size])
    population = draw(rng, 240_000 // size, size)
    curve, own = curves_of(*population[1:])
    truth = {}
    if by_unit:
        for one in range(GROUPS):
            some = population[1] == one
            truth[one] = units_of(
                curve, *(column[some] for column in population[:1] + population[2:])
            )
    certified = broken = 0
    for _ in range(draws):
        found = answer(draw(rng, units, size), constraints, by_unit=by_unit)
        if not isinstance(found, Certified):
            continue
        certified += 1
        upward = "recall" in texts[0]
        place = curve.index(found.high if upward else found.low)
        met = []
        for bound in constraints:
            for one in range(GROUPS):
                value = (
                    truth[one].means((bound,), place)[1][0]
                    if by_unit
                    else float(own[one].figure(bound.function)[place])
                )
                met.append(value is not None and bool(bound.met(np.array(value))))
        broken += not all(met)
    return certified / draws, broken / draws


CASES = [
    (("worst(group.site).recall>=0.7",), 1200, 1, False),
    (("worst(group.site).precision>=0.55",), 2400, 1, False),
    (("worst(group.site).recall>=0.5", "worst(group.site).fpr<=0.4"), 1200, 1, False),
    (("worst(group.site).recall>=0.7",), 400, 8, True),
    (("worst(group.site).fpr<=0.3", "worst(group.site).precision>=0.45"), 400, 8, True),
]


@pytest.mark.parametrize(("texts", "units", "size", "by_unit"), CASES[:1])
def test_promises_are_kept(texts, units, size, by_unit):
    certified, broken = kept(texts, units, size, 30, by_unit=by_unit)
    assert certified > 0.3
    assert broken <= 0.1 + 2 * math.sqrt(0.09 / 30)


@pytest.mark.slow
@pytest.mark.parametrize(("texts", "units", "size", "by_unit"), CASES)
def test_promises_are_kept_over_many_draws(texts, units, size, by_unit):
    certified, broken = kept(texts, units, size, 600, by_unit=by_unit)
    assert certified > 0.3
    assert broken <= 0.1 + 2 * math.sqrt(0.09 / 600)
