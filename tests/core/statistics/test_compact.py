from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.statistics.compact import compact
from calibcli.core.statistics.stats import ScoreStats


def made(seed, rows, edges=()):
    rng = np.random.default_rng(seed)
    p = rng.beta(0.5, 0.5, rows)
    return ScoreStats.from_arrays(p, rng.random(rows) < p, edges=edges)


@pytest.mark.parametrize("edges", [(), (0.1, 0.25, 0.5, 0.9)])
@pytest.mark.parametrize("cells", [40, 300, 2000])
def test_the_finest_grid_that_is_small_enough(cells, edges):
    family = [made(0, 5000, edges), made(1, 700, edges)]
    small = compact(family, cells)
    bits = {stats.table.bits for stats in small}
    assert len(bits) == 1
    (one,) = bits
    held = sum(len(stats.key) for stats in small)
    assert held <= cells or one == 2
    finer = [stats.coarsened(one + 1) for stats in family]
    assert one == 9 or sum(len(stats.key) for stats in finer) > cells
    assert [stats.positives for stats in small] == [stats.positives for stats in family]


def test_few_cells_stay_the_distinct_scores():
    (same,) = compact([made(0, 100)], 2000)
    assert same.exact
