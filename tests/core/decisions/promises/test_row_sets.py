"""Means over rows of how right their sets of labels are: against each row by itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibcli.core.decisions.cross_fit import FOLDS
from calibcli.core.decisions.objectives import default_objective, parse_constraint
from calibcli.core.decisions.promises.by_unit import ByUnit, allowed_by_unit, steps
from calibcli.core.decisions.promises.counts import UnitCounts
from calibcli.core.decisions.promises.row_sets import RowMeans, choose_rows, folds_of
from calibcli.core.decisions.promises.tables import UnitRows, UnitTable
from calibcli.core.decisions.thresholds import Curve, Unreachable
from calibcli.errors import UsageError

NAMES = ("row-f1", "row-precision", "row-recall")


def draw(rng, rows, labels, base=-1.0):
    """Scores and labels of rows; the labels of a row go together."""
    z = rng.normal(base, 1.3, (rows, labels)) + rng.normal(0, 1, (rows, 1))
    p = 1 / (1 + np.exp(-z))
    hard = rng.normal(0, 0.7, (rows, 1))
    return p.round(2), (rng.random(p.shape) < 1 / (1 + np.exp(-z - hard))).astype(np.int64)


def read(p, y, most=10_000, unit=None):
    flat, label = p.ravel(), y.ravel()
    distinct, place = np.unique(flat, return_inverse=True)
    pos = np.bincount(place, label).astype(np.int64)
    curve = Curve.from_cells(distinct, pos, np.bincount(place).astype(np.int64) - pos)
    at = steps(curve, most)
    cuts = curve.threshold[at]
    unit = np.arange(len(p)) if unit is None else unit
    counts = UnitCounts()
    key = 2 * np.searchsorted(cuts, flat, side="right") + label
    counts.add(0, np.repeat(unit, p.shape[1]).astype(np.uint64), key)
    own = counts.read()
    some = own.where(own.key >= 2)
    right = own.where(own.key % 2 == 1)
    table = UnitTable.of(some.keyed(some.key - 2), right, UnitRows.of(own), len(cuts))
    return curve, at, table


def plainly(name, p, y, cut):
    """Return the mean over rows, row by row; None where no row has the figure."""
    found = []
    for scores, labels in zip(p, y == 1, strict=True):
        chosen = scores >= cut
        size = {"row-precision": chosen.sum(), "row-recall": labels.sum(),
                "row-f1": (chosen.sum() + labels.sum()) / 2}[name]  # fmt: skip
        if size:
            found.append((chosen & labels).sum() / size)
    return float(np.mean(found)) if found else math.nan


@pytest.mark.parametrize("name", NAMES)
def test_means_are_those_of_rows_one_by_one(name):
    p, y = draw(np.random.default_rng(1), 40, 4)
    curve, _, table = read(p, y)
    whole = RowMeans.of(table)[name].whole
    for index in [*range(0, len(curve.threshold), 7), len(curve.threshold) - 1]:
        wanted = plainly(name, p, y, curve.threshold[index])
        assert whole[index] == pytest.approx(wanted, abs=1e-12, nan_ok=True)


def test_a_unit_may_be_a_cluster_of_rows():
    p, y = draw(np.random.default_rng(2), 30, 3)
    curve, _, table = read(p, y, unit=np.arange(30) // 3)
    means = RowMeans.of(table)["row-recall"].whole
    wanted = plainly("row-recall", p.reshape(10, 9), y.reshape(10, 9), curve.threshold[5])
    assert means[5] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_fold_is_without_its_rows(name):
    p, y = draw(np.random.default_rng(3), 60, 3)
    _, at, table = read(p, y)
    means = RowMeans.of(table)[name]
    assert means.counts.sum(axis=0).max() <= 60
    for fold in (0, FOLDS - 1):
        kept = folds_of(60) != fold
        keep = kept[table.place]
        part = UnitTable(
            np.where(kept, table.positives, 0), table.rows, table.step[keep], table.place[keep],
            table.right[keep], table.count[keep], len(at),
        )  # fmt: skip
        np.testing.assert_allclose(means.without(fold), RowMeans.of(part)[name].whole, atol=1e-12)


def test_the_best_cut_off_is_that_of_every_score():
    p, y = draw(np.random.default_rng(4), 50, 4)
    curve, _, table = read(p, y)
    means = {name: one.whole for name, one in RowMeans.of(table).items()}
    bound = parse_constraint("row-recall>=0.7")
    found = choose_rows(curve.threshold, means, "row-precision", (bound,))
    every = [
        (plainly("row-precision", p, y, cut), cut)
        for cut in curve.threshold
        if plainly("row-recall", p, y, cut) >= 0.7
    ]
    assert (found.value, curve.threshold[found.index]) == pytest.approx(max(every))
    none = parse_constraint("row-precision>=0.999"), parse_constraint("row-recall>=0.9")
    refused = choose_rows(curve.threshold, means, "row-f1", none)
    assert isinstance(refused, Unreachable)
    assert "row-recall is at most" in refused.message()


def test_what_bounds_leave_open_is_sought():
    bounds = [parse_constraint(f"{name}>=0.5") for name in ("row-recall", "row_precision")]
    assert default_objective((bounds[0],)).name == "row-precision"
    assert default_objective((bounds[1],)).name == "row-recall"
    assert default_objective(tuple(bounds)).name == "row-f1"
    with pytest.raises(UsageError, match="from below"):
        parse_constraint("row-recall<=0.5")


def kept(texts, rows, labels, draws, base=-1.0, confidence=0.9):
    """Return the shares of draws that were certified, and whose promise is broken."""
    bounds = tuple(map(parse_constraint, texts))
    as_units = tuple(parse_constraint(text.removeprefix("row-")) for text in texts)
    rng = np.random.default_rng([rows, labels])
    population = read(*draw(rng, 60_000, labels, base))
    truth = {name: one.whole for name, one in RowMeans.of(population[2]).items()}
    certified = broken = 0
    for _ in range(draws):
        curve, at, table = read(*draw(rng, rows, labels, base), most=512)
        sure = allowed_by_unit(curve, ByUnit(table, at, "row"), as_units, confidence)
        among = np.flatnonzero(sure)
        if not among.size:
            continue
        certified += 1
        # The end that makes most of the promise: it fails first.
        chosen = among[-1] if texts[0].startswith("row-recall") else among[0]
        place = population[0].index(curve.threshold[chosen])
        broken += not all(one.met(truth[one.name][place : place + 1])[0] for one in bounds)
    return certified / draws, broken / draws


CASES = [
    (("row-recall>=0.8",), 300, 5, -1.0),
    (("row-precision>=0.6",), 300, 5, -1.0),
    (("row-recall>=0.6", "row-precision>=0.45"), 600, 5, -1.0),
    (("row-recall>=0.8",), 400, 20, -3.5),
]


@pytest.mark.parametrize(("texts", "rows", "labels", "base"), CASES[:1])
def test_promises_are_kept(texts, rows, labels, base):
    certified, broken = kept(texts, rows, labels, 20, base)
    assert certified > 0.5
    assert broken <= 0.1 + 2 * math.sqrt(0.09 / 20)


@pytest.mark.slow
@pytest.mark.parametrize(("texts", "rows", "labels", "base"), CASES)
def test_promises_are_kept_over_many_draws(texts, rows, labels, base):
    certified, broken = kept(texts, rows, labels, 1000, base)
    assert certified > 0.5
    assert broken <= 0.1 + 2 * math.sqrt(0.09 / 1000)
