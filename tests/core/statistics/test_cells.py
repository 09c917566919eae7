from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.statistics.cells import cell_base, grid
from calibcli.core.statistics.keys import ONE_KEY, key_probabilities, logit_places, probability_keys

SMALLEST = 5e-324  # the smallest subnormal
BELOW_ONE = math.nextafter(1.0, 0.0)
CORNERS = [0.0, SMALLEST, 2.2e-308, 1e-300, 1e-16, 0.1, 0.3, math.nextafter(0.5, 0), 0.5]
CORNERS += [math.nextafter(0.5, 1), 0.7, 0.9, 1 - 1e-15, BELOW_ONE, 1.0]

probabilities = st.floats(0.0, 1.0) | st.sampled_from(CORNERS)


# -- grids -------------------------------------------------------------------------------------

EDGES = (1e-30, 0.1, 0.3, 0.5, 0.7, 1 - 2**-40)


@pytest.mark.parametrize("bits", [2, 6, 10])
@given(values=st.lists(probabilities | st.sampled_from(EDGES), min_size=1, max_size=40))
def test_a_key_lies_in_the_cell_that_starts_at_or_before_it(bits: int, values: list[float]) -> None:
    cells = grid(bits, EDGES)
    key = probability_keys(np.array(values))
    found = cells.cells(key)
    assert np.array_equal(found, np.searchsorted(cells.starts, key, side="right") - 1)


@pytest.mark.parametrize("bits", [2, 10])
def test_edges_zero_and_one_are_cells_of_their_own(bits: int) -> None:
    cells = grid(bits, EDGES)
    for point in (0.0, *EDGES, 1.0):
        key = int(probability_keys(np.array([point]))[0])
        near = np.array([k for k in (key - 1, key, key + 1) if 0 <= k <= ONE_KEY])
        assert len(set(cells.cells(near).tolist())) == len(near)


@pytest.mark.parametrize("bits", [2, 6, 10])
def test_cells_have_constant_relative_width_in_both_tails(bits: int) -> None:
    starts = key_probabilities(grid(bits, ()).starts)
    inner = (starts > 2.0**-50) & (starts < 0.5)
    width = np.diff(starts[inner]) / starts[inner][:-1]
    assert width.max() <= 2.0**-bits
    tails = 1.0 - starts[(starts > 0.5) & (starts < 1.0 - 2.0**-30)]
    assert (-np.diff(tails) / tails[:-1]).max() <= 2.0**-bits


@pytest.mark.parametrize("bits", [2, 10])
@given(values=st.lists(probabilities, min_size=1, max_size=30))
def test_the_mean_of_one_row_is_the_row(bits: int, values: list[float]) -> None:
    cells = grid(bits, EDGES)
    p = np.array(values)
    key = probability_keys(p)
    start = cells.starts[cells.cells(key)]
    mean = key_probabilities(cells.mean_keys(start, cells.offsets(key), np.ones(len(p))))
    assert np.allclose(mean, p, rtol=2.0**-30, atol=2.0**-64)
    assert np.allclose(1 - mean, 1 - p, rtol=2.0**-29, atol=2.0**-53)


def test_the_mean_of_a_cell_is_the_mean_score_of_its_rows() -> None:
    rng = np.random.default_rng(1)
    cells = grid(10, ())
    for middle in (1e-9, 0.01, 0.3, 0.8, 0.999):
        p = middle + 1e-4 * min(middle, 1 - middle) * rng.random(50)
        key = probability_keys(p)
        assert len(set(cells.cells(key).tolist())) == 1
        start = cells.starts[cells.cells(key[:1])]
        offset = np.array([cells.offsets(key).sum()])
        mean = key_probabilities(cells.mean_keys(start, offset, np.array([50])))[0]
        assert math.isclose(mean, p.mean(), rel_tol=2.0**-29)


@pytest.mark.parametrize("z", [-700.0, -100.0, -46.0, 46.0, 100.0, 700.0])
def test_the_end_cells_keep_the_logits_of_their_rows(z: float) -> None:
    # All of them lie in one cell a side, hundreds of octaves wide.
    cells = grid(10, ())
    key = logit_places(np.array([z]))
    start = cells.starts[cells.cells(key)]
    mean = cells.mean_keys(start, cells.offsets(key), np.array([1]))[0]
    tail = np.int64(min(mean, ONE_KEY - mean)).view(np.float64)
    assert math.isclose(math.log(tail), -abs(z), abs_tol=0.01)


@pytest.mark.parametrize("bits", [2, 5])
@given(values=st.lists(probabilities | st.sampled_from(EDGES), min_size=1, max_size=30))
def test_offsets_by_way_of_a_finer_grid_are_the_same(bits: int, values: list[float]) -> None:
    fine, coarse = grid(10, EDGES), grid(bits, EDGES)
    key = probability_keys(np.array(values))
    start = fine.starts[fine.cells(key)]
    through = fine.offsets(key) + coarse.offsets(cell_base(start, 10))
    assert np.array_equal(through, coarse.offsets(key))
    assert np.array_equal(coarse.cells(start), coarse.cells(key))
