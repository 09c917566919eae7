"""Many statistics that are read at once say what each says by itself."""

from itertools import pairwise

import numpy as np
import pytest

from calibcli.core.metrics.binary import Undefined, View
from calibcli.core.metrics.registry import METRICS
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.core.statistics.counting.class_rows import ClassRows
from calibcli.core.statistics.counting.tally import Tally
from calibcli.core.statistics.curves import Binning, pav
from calibcli.core.statistics.keys import probability_keys
from calibcli.core.statistics.side_by_side import coarsened, of_slots
from calibcli.core.statistics.stats import ScoreStats

K, ROWS = 70, 400
EDGES = (0.0, 0.004, 0.5, 1.0)
rng = np.random.default_rng(1)
P = rng.dirichlet(np.full(K, 0.2), ROWS)
P[:, 3], P[5, 4], P[6:9, 5] = 0.0, 1.0, 0.004
LABEL = rng.integers(0, K - 1, ROWS)  # none of the last class
MASS = {"counts": None, "weights": rng.uniform(0.5, 2.0, ROWS)}


def counted(kind, *, edges=EDGES, exact=False, parts=False):
    mass, options = MASS[kind], {"edges": edges, "weighted": kind == "weights"}
    found = Tally(K, classes=K, start_exact=exact, **options)
    found.add_rows(ClassRows(P, LABEL, mass))
    if not parts:
        return found, None
    buckets = Tally(K * BUCKETS, start_exact=exact, **options)
    slot = np.tile(np.arange(K) * BUCKETS, ROWS) + np.repeat(np.arange(ROWS) % BUCKETS, K)
    label = (np.arange(K) == LABEL[:, None]).ravel()
    weight = None if mass is None else np.repeat(mass, K)
    buckets.add(probability_keys(P.ravel()), label, slot, weight)
    return found, buckets


def same(one, other):
    for name in ("key", "pos", "neg", "place", "score", "total", "mixed", "floor", "squares"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    for name in ("n", "loss_sums", "edges", "weighted", "logits"):
        assert getattr(one, name) == getattr(other, name), name
    assert (one.parts is None) == (other.parts is None)
    if one.parts is not None:
        for name in ("slot", "key", "pos", "neg"):
            assert np.array_equal(getattr(one.parts, name), getattr(other.parts, name)), name


@pytest.mark.parametrize("kind", MASS)
@pytest.mark.parametrize("edges", [(), EDGES])
@pytest.mark.parametrize(("exact", "parts"), [(True, True), (False, True), (False, False)])
def test_slots_are_those_that_are_read_one_by_one(kind, edges, exact, parts):
    tally, buckets = counted(kind, edges=edges, exact=exact, parts=parts)
    found = of_slots(tally, 2, K, buckets)
    assert len(found) == K - 2
    for number, one in enumerate(found):
        same(one, ScoreStats.from_tally(tally, number + 2, buckets))


@pytest.mark.parametrize("exact", [True, False])
def test_wider_cells_are_those_of_each(exact):
    stats = of_slots(counted("counts", exact=exact)[0], 0, K, None)
    for one, wide in zip(stats, coarsened(stats, 3), strict=True):
        same(wide, one.coarsened(3))


@pytest.mark.parametrize("kind", MASS)
@pytest.mark.parametrize(
    "binning", [Binning(), Binning("mass", 5), Binning("edges", 0, "left", (0.0, 0.1, 1.0))]
)
def test_figures_are_those_of_each(kind, binning):
    tally, _ = counted(kind)
    views = View.of_each(of_slots(tally, 0, K, None), binning)
    for k, view in enumerate(views):
        alone = View(ScoreStats.from_tally(tally, k), binning)
        for name, figure in METRICS.items():
            try:
                expected = figure(alone)
            except Undefined as undefined:
                with pytest.raises(Undefined, match=str(undefined)):
                    figure(view)
            else:
                assert figure(view) == expected, name
        assert np.array_equal(view.isotonic[1], alone.isotonic[1])
        assert np.array_equal(view.bins.index, alone.bins.index)


def test_views_that_are_known_are_not_made_again():
    stats = of_slots(counted("counts")[0], 0, K, None)
    first = View.of_each(stats[:3], Binning())
    assert View.of_each(stats[:5], Binning())[:3] == first
    assert View.of_each(stats[:3], Binning()) == first
    assert View.of_each([], Binning()) == []


def test_sequences_that_are_fitted_apart_are_fitted_as_one_by_one():
    # The staircases need the stack, in which none may reach back into the one before.
    lengths = [0, 3, 0, 700, 1, 900, 0]
    totals = np.where(np.arange(sum(lengths)) % 2, 3, 1)
    values = np.concatenate([np.sort(rng.random(size))[::-1] for size in lengths])
    values[::2] -= 0.3
    ends = np.cumsum([0, *lengths])
    apart = [slice(a, b) for a, b in pairwise(ends)]
    fit, block = pav(values * totals, totals, apart)
    assert (np.diff(block) >= 0).all()
    for own in apart:
        expected, home = pav((values * totals)[own], totals[own])
        assert fit[own] == pytest.approx(expected, rel=1e-13)
        assert np.array_equal(block[own] - block[own][:1], home)
