"""Units to buckets: each its own while they are few, and the same however the rows are cut up."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from calibcli.core.statistics.stats import BUCKETS, buckets_of
from calibcli.io.rows.dataset import InputSpec, open_dataset
from calibcli.tasks.collect import Layout, count
from calibcli.tasks.units import Units, bucket_of


def hashes(size, seed=0):
    return np.random.default_rng(seed).integers(0, 2**64, size, np.uint64)


def met(unit):
    units = Units()
    fresh = units.fresh(unit)
    if units.fits(fresh):
        units.extend(fresh)
    else:
        units.share()
    return units


def test_few_units_have_a_bucket_each():
    unit = hashes(BUCKETS)
    units = met(np.repeat(unit, 50))
    assert len(set(units.buckets(unit).tolist())) == BUCKETS
    assert [units.bucket(int(one)) for one in unit] == units.buckets(unit).tolist()
    rank = units.rank()
    np.testing.assert_array_equal(rank[units.buckets(np.sort(unit))], np.arange(BUCKETS))


def test_many_units_share_buckets_by_their_hash():
    unit = hashes(BUCKETS + 1)
    units = met(unit)
    assert units.known is None
    np.testing.assert_array_equal(units.buckets(unit), buckets_of(unit))
    assert [bucket_of(int(one)) for one in unit] == buckets_of(unit).tolist()


@pytest.mark.parametrize("sizes", [(5, 7), (40, 30), (40, 70), (70, 40), (70, 70)])
def test_merged_units_are_those_of_all_rows(sizes):
    one, other = hashes(sizes[0]), hashes(sizes[1], 1)
    other[:3] = one[:3]
    a, b = met(one), met(other)
    before = [x.buckets(u) for x, u in ((a, one), (b, other))]
    moves = a.merge(b)
    whole = met(np.concatenate([one, other]))
    assert (a.known is None) == (whole.known is None)
    for unit, was, moved in zip((one, other), before, moves, strict=True):
        now = was if moved is None else moved[was]
        np.testing.assert_array_equal(now, a.buckets(unit))


@pytest.fixture
def counted(write):
    def run(columns, sizes, *, exact=True):
        ends = np.cumsum([0, *sizes])
        paths = [
            str(write(f"{len(sizes)}-{i}.parquet", {k: v[a:b] for k, v in columns.items()}))
            for i, (a, b) in enumerate(pairwise(ends))
        ]
        spec = InputSpec(tuple(paths), cluster="unit", groups=("g",))
        layout = Layout("binary", groups=("g",), edges=(0.5,), clustered=True)
        return count(open_dataset(spec), layout, threads=2)

    return run


@pytest.mark.parametrize("units", [9, 64, 65, 500])
@pytest.mark.parametrize("exact_cells", [1 << 18, 50])
def test_counts_by_bucket_are_the_same_for_any_order_and_partition(
    counted, monkeypatch, units, exact_cells
):
    monkeypatch.setattr("calibcli.core.statistics.counting.tally.EXACT_CELLS", exact_cells)
    rng = np.random.default_rng(units)
    rows = 2_000
    columns = {
        "score": rng.random(rows),
        "label": rng.integers(0, 2, rows),
        "unit": np.sort(rng.integers(0, units, rows)),
        "g": rng.choice(["a", "b"], rows),
    }
    turned = rng.permutation(rows)
    other = {name: values[turned] for name, values in columns.items()}
    found = [
        counted(columns, [rows]),
        counted(columns, [100, 1_000, 900]),
        counted(other, [700, 1_300]),
    ]
    wanted = len(np.unique(columns["unit"]))
    for pick in (
        lambda one: one.side.population(),
        lambda one: one.side.group(0, "a"),
    ):
        stats = [pick(one).pairs for one in found]
        sizes = [one.bucket_sums(np.ones(len(one.key)), np.ones(len(one.key))) for one in stats]
        assert len(sizes[0]) == wanted if wanted <= BUCKETS else len(sizes[0]) <= BUCKETS
        for one, size in zip(stats, sizes, strict=True):
            np.testing.assert_array_equal(size, sizes[0])
            np.testing.assert_array_equal(one.parts.slot, stats[0].parts.slot)
            np.testing.assert_array_equal(one.parts.key, stats[0].parts.key)
            np.testing.assert_array_equal(one.parts.pos, stats[0].parts.pos)
