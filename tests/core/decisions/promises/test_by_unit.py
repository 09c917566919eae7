"""Cut-offs that are certified in the mean over units: what is meant, and that it is kept."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibcli.core.decisions.guarantees import Certified, Uncertified, certify
from calibcli.core.decisions.objectives import parse_constraint, parse_objective
from calibcli.core.decisions.promises.by_unit import ByUnit, certify_by_unit, steps
from calibcli.core.decisions.promises.counts import UnitCounts
from calibcli.core.decisions.promises.tables import UnitRows, UnitTable
from calibcli.core.decisions.thresholds import Curve
from calibcli.errors import UsageError

POINTS = 40
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


def draw(rng: np.random.Generator, units: int, size: int, base: float) -> Arrays:
    """Return unit, score and label of clusters, some of which are harder than others."""
    unit = np.repeat(np.arange(units), size)
    hard = rng.normal(0, 0.7, units)[unit]
    logit = rng.normal(0, 2, len(unit)) + base
    label = rng.random(len(unit)) < 1 / (1 + np.exp(-(logit + hard)))
    score = np.round(POINTS / (1 + np.exp(-logit))) / POINTS
    return unit, score, label.astype(np.int64)


def read(unit: np.ndarray, score: np.ndarray, label: np.ndarray, most: int = 512):
    """Return the curve of rows, and what their units have."""
    distinct, place = np.unique(score, return_inverse=True)
    pos = np.bincount(place, label).astype(np.int64)
    neg = np.bincount(place).astype(np.int64) - pos
    curve = Curve.from_cells(distinct, pos, neg)
    at = steps(curve, most)
    cuts = curve.threshold[at]
    counts = UnitCounts()
    counts.add(0, unit.astype(np.uint64), 2 * np.searchsorted(cuts, score, side="right") + label)
    own = counts.read()
    selected = own.where(own.key >= 2)
    selected = selected.keyed(selected.key - 2)
    table = UnitTable.of(selected, own.where(own.key % 2 == 1), UnitRows.of(own), len(cuts))
    return curve, ByUnit(table, at, "patient")


def figure(name: str, unit: np.ndarray, selected: np.ndarray, label: np.ndarray) -> float | None:
    """Return the mean over units of a figure, unit by unit."""
    found = []
    for one in np.unique(unit):
        mine, true = selected[unit == one], label[unit == one] == 1
        part, whole = {
            "recall": (mine & true, true),
            "precision": (mine & true, mine),
            "fpr": (mine & ~true, ~true),
            "npv": (~mine & ~true, ~mine),
            "positive-rate": (mine, np.ones(len(mine), bool)),
        }[name]
        if whole.any():
            found.append(part.sum() / whole.sum())
    return float(np.mean(found)) if found else None


@pytest.mark.parametrize("name", ["recall", "precision", "fpr", "npv", "positive-rate"])
def test_means_are_those_of_units_one_by_one(name):
    rows = draw(np.random.default_rng(1), 30, 7, -1.0)
    curve, units = read(*rows, most=12)
    for index in units.candidates[:-1].tolist():
        _, means = units.means((parse_constraint(f"{name}>=0"),), index)
        wanted = figure(name, rows[0], rows[1] >= curve.threshold[index], rows[2])
        assert means[0] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("downward", [True, False])
def test_walking_the_steps_is_counting_at_each(downward):
    _, units = read(*draw(np.random.default_rng(2), 25, 6, 0.0))
    for step, selected, true in units.table.walk(downward):
        at = units.table.at(step)
        assert (selected == at[0]).all()
        assert (true == at[1]).all()


def test_units_of_one_row_are_told():
    unit, score, label = draw(np.random.default_rng(3), 300, 1, 0.5)
    curve, units = read(unit, score, label)
    assert units.single
    wanted = parse_objective("recall"), (parse_constraint("precision>=0.6"),), 0.9
    exact = certify(curve, *wanted)
    bet = certify_by_unit(curve, units, *wanted)
    assert isinstance(exact, Certified)
    assert isinstance(bet, Certified)
    assert not read(*draw(np.random.default_rng(3), 300, 2, 0.5))[1].single


def kept(
    wanted: tuple[str, ...], units: int, size: int, base: float, draws: int
) -> tuple[float, float]:
    """Return the shares of draws that were certified, and whose promise is broken."""
    rng = np.random.default_rng([units, size, draws])
    constraints = tuple(map(parse_constraint, wanted))
    population = draw(rng, 100_000 // size, size, base)
    truth = read(*population)
    means = [truth[1].means(constraints, one)[1] for one in truth[1].candidates.tolist()]
    certified = broken = 0
    for _ in range(draws):
        curve, own = read(*draw(rng, units, size, base))
        answer = certify_by_unit(curve, own, parse_objective("f1"), constraints, 0.9)
        if isinstance(answer, Certified):
            certified += 1
            true = means[truth[0].index(answer.choice.threshold)]
            pairs = zip(constraints, true, strict=True)
            broken += not all(value is not None and c.met(np.array(value)) for c, value in pairs)
    return certified / draws, broken / draws


CASES = [
    (("recall>=0.8",), 60, 5, -1.0),
    (("recall>=0.8",), 100, 50, -5.0),
    (("precision>=0.6",), 80, 50, -1.0),
    (("precision>=0.6",), 200, 5, -3.0),
    (("recall>=0.6", "fpr<=0.3"), 120, 5, -1.0),
    (("fpr<=0.1",), 40, 50, -4.0),
]


@pytest.mark.parametrize(("wanted", "units", "size", "base"), CASES[:1])
def test_promises_are_kept(wanted, units, size, base):
    certified, broken = kept(wanted, units, size, base, 60)
    assert certified > 0.3
    assert broken <= 0.1 + 2 * math.sqrt(0.09 / 60)


@pytest.mark.slow
@pytest.mark.parametrize(("wanted", "units", "size", "base"), CASES)
def test_promises_are_kept_over_many_draws(wanted, units, size, base):
    certified, broken = kept(wanted, units, size, base, 1000)
    assert certified > 0.2
    assert broken <= 0.1 + 2 * math.sqrt(0.09 / 1000)


def test_what_is_missing_is_told_in_units():
    curve, units = read(*draw(np.random.default_rng(5), 20, 30, 0.0))
    wanted = parse_objective("recall"), (parse_constraint("precision>=0.9"),), 0.95
    answer = certify_by_unit(curve, units, *wanted)
    assert isinstance(answer, Uncertified)
    assert answer.rows == 20
    assert "on 20 values of patient: about" in answer.message()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("f1>=0.5", "no test"),
        ("precision<=0.5", "lower bound"),
        ("recall>=1", "no number of units"),
    ],
)
def test_what_no_unit_has_is_refused(text, said):
    curve, units = read(*draw(np.random.default_rng(6), 10, 3, 0.0))
    with pytest.raises(UsageError, match=said):
        certify_by_unit(curve, units, parse_objective("f1"), (parse_constraint(text),), 0.9)


def test_steps_do_not_depend_on_labels_and_reach_both_ends():
    unit, score, label = draw(np.random.default_rng(7), 400, 10, -2.0)
    score = score + np.random.default_rng(8).random(len(score)) * 1e-3
    curve, units = read(unit, score, label)
    other, _ = read(unit, score, 1 - label)
    assert (steps(curve) == steps(other)).all()
    assert len(units.candidates) <= 512 < len(curve.threshold)
    assert units.candidates[0] == 0
    assert units.candidates[-1] == len(curve.threshold) - 1
