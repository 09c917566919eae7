"""Whole rows of many classes: counted in wide and fine cells, beside what rows say one by one."""

import pickle

import numpy as np
import pytest

from calibcli.core.statistics.counting import tally as tallies
from calibcli.core.statistics.counting.class_rows import ClassRows, Waiting
from calibcli.core.statistics.counting.tally import Tally
from calibcli.core.statistics.stats import ScoreStats

K, ROWS = 80, 900
EDGES = (0.0, 0.001, 0.25, 0.5, 1.0)
rng = np.random.default_rng(0)
Z = rng.normal(0, 3, (ROWS, K))
LABEL = (Z + rng.gumbel(size=Z.shape)).argmax(axis=1)
Z[:40, :30] = -60.0  # below the least cell
Z[3, 5], Z[4] = -np.inf, np.where(np.arange(K) == 7, 0.0, -np.inf)
P = np.exp(Z - Z.max(axis=1, keepdims=True))
P /= P.sum(axis=1, keepdims=True)
P[10:14, 2] = EDGES[1:]


def counted(rows=slice(None), mass=None, *, exact=False, **options):
    found = Tally(K, classes=K, edges=EDGES, start_exact=exact, **options)
    found.add_rows(ClassRows(P[rows], LABEL[rows], None if mass is None else mass[rows]))
    return found


def columns(table):
    squares = () if table.pos_sq is None else (table.pos_sq, table.neg_sq)
    return (table.slot, table.key, table.pos, table.neg, table.offset, *squares)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(columns(one), columns(other), strict=True))


def test_every_count_at_an_edge_and_every_sum_is_that_of_the_rows():
    found = counted()
    truth = np.eye(K, dtype=bool)[LABEL]
    for k in range(K):
        stats = ScoreStats.from_tally(found, k)
        assert (stats.n, stats.positives) == (ROWS, int(truth[:, k].sum()))
        for edge in EDGES:
            above = stats.floor >= edge
            assert stats.total[above].sum() == (P[:, k] >= edge).sum()
            assert stats.pos[above].sum() == (truth[:, k] & (P[:, k] >= edge)).sum()
        assert float(stats.total @ stats.score) == pytest.approx(P[:, k].sum(), rel=1e-8)
        assert stats.squared_loss_sum == pytest.approx(
            ((P[:, k] - truth[:, k]) ** 2).sum(), rel=1e-12
        )
        true = np.where(truth[:, k], P[:, k], 1.0 - P[:, k])
        known = np.maximum(true, 1e-15)
        assert stats.certain_errors == (true == 0).sum()
        if (true > 0).all():
            assert stats.log_loss_sum == pytest.approx(-np.log(known).sum(), rel=1e-11)


def test_cells_hold_the_pairs_whose_scores_lie_in_them():
    table = counted().table()
    assert (np.diff(table.slot) >= 0).all()
    for k in range(0, K, 7):
        stats = ScoreStats.from_tally(counted(), k)
        assert (np.diff(stats.key) > 0).all()
        home = np.searchsorted(stats.floor, P[:, k], side="right") - 1
        assert np.array_equal(np.bincount(home, minlength=len(stats.key)), stats.total)


def test_parts_orders_and_slots_merge_to_the_same_counts():
    whole, order = counted().table(), rng.permutation(ROWS)
    first, *others = [counted(part) for part in np.split(order, [50, 300, 310])]
    for other in others:
        first.merge(other)
    assert same(first.table(), whole)
    moved = Tally(0, classes=K, edges=EDGES, start_exact=False)
    moved.add_rows(ClassRows(P[:100], LABEL[:100]), K)
    moved.add_rows(ClassRows(P[100:], LABEL[100:]), K)
    other = Tally(0, classes=K, edges=EDGES, start_exact=False)
    other.merge(moved, np.arange(2 * K) % K)
    assert same(other.table(), whole)


def test_a_row_that_stands_for_three_is_three_rows():
    three = np.full(ROWS, 3)
    thrice = counted(np.repeat(np.arange(ROWS), 3)).table()
    assert same(counted(mass=three).table(), thrice)
    weighed = counted(mass=three.astype(float), weighted=True).table()
    assert same(weighed, counted(mass=three * 1.0, weighted=True).table())
    for one, other in zip(columns(weighed)[:5], columns(thrice), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(weighed.pos_sq, 3 * weighed.pos, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(weighed.neg_sq, 3 * weighed.neg, rtol=1e-6, atol=1e-12)


def test_cells_of_weighted_rows_have_the_weights_of_their_rows():
    mass = rng.uniform(0.1, 3.0, ROWS)
    table = counted(mass=mass, weighted=True).table()
    assert (table.pos + table.neg > 0.01).all()  # no remainder of a sum in a cell without rows
    assert min(table.pos.min(), table.neg.min()) >= 0.0
    assert np.bincount(table.slot, table.pos + table.neg) == pytest.approx(np.full(K, mass.sum()))
    assert np.bincount(table.slot, table.pos) == pytest.approx(np.bincount(LABEL, mass, K))
    assert np.bincount(table.slot, table.pos_sq + table.neg_sq) == pytest.approx(
        np.full(K, (mass**2).sum())
    )


@pytest.mark.parametrize("exact", [True, False])
def test_rows_without_weights_among_weighted_ones_weigh_one(exact):
    one = counted(weighted=True, exact=exact).table()
    assert same(one, counted(mass=np.ones(ROWS), weighted=True, exact=exact).table())
    assert one.neg_sq is not None
    assert one.neg_sq.sum() + one.pos_sq.sum() == ROWS * K


def test_whole_rows_and_their_pairs_are_in_the_same_cells():
    pairs = Tally(K, classes=K, edges=EDGES, start_exact=False)
    pairs.add(*ClassRows(P, LABEL).pairs()[:3])
    assert same(pairs.table(), counted().table())


def test_rows_that_lie_column_by_column_in_memory_are_the_same_rows():
    found = Tally(K, classes=K, edges=EDGES, start_exact=False)
    found.add_rows(ClassRows(np.asfortranarray(P), LABEL))
    assert same(found.table(), counted().table())
    assert found.losses == pytest.approx(counted().losses, rel=1e-12)


def test_rows_wait_until_their_pairs_are_too_many(monkeypatch):
    monkeypatch.setattr(tallies, "EXACT_CELLS", 5000)
    few = counted(exact=True)
    twice = Tally(K, classes=K, edges=EDGES)
    for _ in range(60):  # the same rows again and again
        twice.add_rows(ClassRows(P[:100], LABEL[:100]))
    assert few.table().bits is not None
    assert twice.table().bits is None
    assert same(few.table(), counted().table())
    assert len(twice.table()) == len(distinct(P[:100]))


def distinct(p):
    return {(k, value) for row in p.tolist() for k, value in enumerate(row)}


def test_more_pairs_are_never_met_than_there_are():
    waiting = Waiting(10**9)
    for _ in range(3):
        waiting.add(ClassRows(P, LABEL), 0)
    met = int(np.count_nonzero(waiting._met))
    assert 0.99 * len(distinct(P)) < met <= len(distinct(P))


@pytest.mark.parametrize("exact", [True, False])
def test_counts_travel(exact):
    first, second = counted(slice(0, 300), exact=exact), counted(slice(300, None), exact=exact)
    first.merge(pickle.loads(pickle.dumps(second)))
    whole = counted(exact=exact)
    assert same(first.table(), whole.table())
    assert first.losses == pytest.approx(whole.losses, rel=1e-12)
    assert first.exact is exact
