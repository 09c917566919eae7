from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibcli.core.statistics.cell_table import CellTable
from calibcli.core.statistics.cells import grid
from calibcli.core.statistics.counting import tally
from calibcli.core.statistics.counting.tally import Tally
from calibcli.core.statistics.keys import key_probabilities, probability_keys
from calibcli.core.statistics.losses import log_loss_sum

EDGES = (0.25, 0.3, 0.75)
COLUMNS = ("slot", "key", "pos", "neg", "offset", "pos_sq", "neg_sq")

# Many scores fall into one cell of a grid, some are edges, ends or deep in a tail.
scores = (
    st.integers(0, 40).map(lambda i: 0.3 + i * 1e-5)
    | st.integers(0, 40).map(lambda i: 0.999 + i * 1e-8)
    | st.sampled_from([0.0, 5e-324, 1e-40, 1e-20, 0.25, 0.3, 0.75, 1 - 2**-53, 1.0])
)
rows = st.lists(
    st.tuples(scores, st.booleans(), st.integers(0, 9), st.integers(1, 5)), min_size=1, max_size=60
)


def counted(
    data: list[Any],
    *,
    weights: str = "none",
    slots: int = 1,
    start_exact: bool = True,
    grown: bool = False,
) -> Tally:
    found = Tally(
        slots, edges=EDGES, weighted=weights == "weight", logits=False, start_exact=start_exact
    )
    if not data:
        return found
    score, label, slot, mass = (np.array(c) for c in zip(*data, strict=True))
    weight = {"none": None, "count": mass, "weight": mass / 8.0}[weights]
    found.add(probability_keys(score), label, slot if grown or slots > 1 else None, weight)
    return found


def assert_same(a: CellTable, b: CellTable) -> None:
    assert a.bits == b.bits
    for name in COLUMNS:
        one, other = getattr(a, name), getattr(b, name)
        if one is None:
            assert other is None
        else:
            assert one.dtype == other.dtype
            assert np.array_equal(one, other), name


@pytest.mark.parametrize("limit", [2, 6, 10**6])
@pytest.mark.parametrize("weights", ["none", "count", "weight"])
@pytest.mark.parametrize("grown", [False, True])
@pytest.mark.parametrize("examples", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_any_order_and_partition_gives_the_same_counts(
    weights: str, limit: int, grown: bool, examples: int
) -> None:
    @settings(max_examples=examples)
    @given(data=rows, seed=st.integers(0, 2**16))
    def check(data: list[Any], seed: int) -> None:
        order_and_partition(data, seed, weights, limit, grown)

    check()


def order_and_partition(data: list[Any], seed: int, weights: str, limit: int, grown: bool) -> None:
    rng = np.random.default_rng(seed)
    with mock.patch.object(tally, "EXACT_CELLS", limit):
        whole = counted(data, weights=weights, grown=grown)
        expected = whole.table()
        shuffled = [data[i] for i in rng.permutation(len(data))]
        cuts = sorted(rng.integers(0, len(data) + 1, 3).tolist())
        parts = [
            shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)
        ]  # some are empty
        tallies = [
            counted(
                part,
                weights=weights,
                grown=grown,
                # Skipping the exact phase is allowed only where it is hopeless.
                start_exact=whole.exact or bool(rng.integers(2)),
            )
            for part in parts
        ]
        total = tallies.pop(int(rng.integers(len(tallies))))
        for other in tallies:
            total.merge(other)
        assert_same(total.table(), expected)
        assert total.losses == pytest.approx(whole.losses[: total.slots], rel=1e-12)


@pytest.mark.parametrize("limit", [3, 10**6])
@given(data=rows, seed=st.integers(0, 2**16))
def test_batches_give_the_same_counts_as_one(data: list[Any], seed: int, limit: int) -> None:
    with mock.patch.object(tally, "EXACT_CELLS", limit):
        whole = counted(data, grown=True).table()
        found = Tally(1, edges=EDGES)
        for start in range(0, len(data), 7):
            score, label, slot, _ = (
                np.array(c) for c in zip(*data[start : start + 7], strict=True)
            )
            found.add(probability_keys(score), label, slot)
        assert_same(found.table(), whole)


@given(data=rows)
def test_exact_counts_equal_a_dictionary(data: list[Any]) -> None:
    expected: dict[tuple[int, float], list[int]] = {}
    for score, label, slot, mass in data:
        expected.setdefault((slot, score), [0, 0])[label] += mass
    table = counted(data, weights="count", grown=True).table()
    found = zip(table.slot.tolist(), key_probabilities(table.key).tolist(), strict=True)
    counts = np.stack([table.neg, table.pos], axis=1).tolist()
    assert list(zip(found, counts, strict=True)) == sorted(expected.items())


@pytest.mark.parametrize("limit", [3, 10**6])
@given(data=rows)
def test_integer_weights_equal_repeated_rows(data: list[Any], limit: int) -> None:
    repeated = [row for row in data for _ in range(row[3])]
    with mock.patch.object(tally, "EXACT_CELLS", limit):
        a, b = counted(data, weights="count", grown=True), counted(repeated, grown=True)
        assert_same(a.table(), b.table())
        assert a.losses == pytest.approx(b.losses, rel=1e-12)


@given(data=rows)
def test_slots_are_counted_as_if_apart(data: list[Any]) -> None:
    with mock.patch.object(tally, "EXACT_CELLS", 10**6):
        together = counted(data, slots=10).table()
        for slot in range(10):
            alone = counted([row for row in data if row[2] == slot]).table()
            assert_same(together.slots(slot, slot + 1), alone)


@given(data=rows, order=st.permutations(range(10)))
def test_a_slot_map_puts_slots_where_it_says(data: list[Any], order: list[int]) -> None:
    moved = [(score, label, order[slot], mass) for score, label, slot, mass in data]
    for limit in (3, 10**6):
        with mock.patch.object(tally, "EXACT_CELLS", limit):
            total = Tally(0, edges=EDGES)
            total.merge(counted(data, slots=0, grown=True), np.array(order))
            expected = counted(moved, slots=10, grown=True).table()
            assert_same(total.table(), expected)


def test_a_slot_map_may_be_longer_than_the_slots_that_hold_rows() -> None:
    part = counted([(0.5, True, 1, 1)], slots=0, grown=True)
    total = Tally(0, edges=EDGES)
    total.merge(part, np.arange(10)[::-1])
    assert total.table().slot.tolist() == [8]
    assert total.losses[8].tolist() == part.losses[1].tolist()


def test_a_slot_map_may_join_slots() -> None:
    total = Tally(1, edges=EDGES)
    part = counted([(0.5, True, 0, 1), (0.5, False, 1, 1)], slots=2)
    total.merge(part, np.zeros(2, int))
    table = total.table()
    assert (table.slot.tolist(), table.pos.tolist(), table.neg.tolist()) == ([0], [1], [1])


def test_rows_of_weight_0_leave_no_trace() -> None:
    key, label = probability_keys(np.array([0.1, 0.2, 0.2])), np.array([1, 0, 1])
    for weight in (np.array([2, 0, 0]), np.array([2.0, 0.0, 0.0])):
        for exact in (True, False):
            for slot in (None, np.array([1, 0, 1]), np.array([100, 0, 1])):
                found = Tally(weighted=weight.dtype == float, start_exact=exact)
                found.add(key, label, slot, weight)
                assert found.table().pos.tolist() == [2]
                assert found.losses.sum(axis=0)[2] == 0


def test_a_weighted_tally_takes_rows_without_weights_as_1() -> None:
    key, label = probability_keys(np.array([0.1, 0.2])), np.array([1, 0])
    for exact in (True, False):
        found, ones = (Tally(weighted=True, start_exact=exact) for _ in range(2))
        found.add(key, label)
        ones.add(key, label, None, np.ones(2, np.float32))
        assert_same(found.table(), ones.table())
        assert found.table().pos_sq is not None


def test_squares_of_float32_weights_are_taken_in_float64() -> None:
    weight = np.full(3, 0.1, np.float32)
    found = Tally(weighted=True)
    found.add(probability_keys(np.full(3, 0.5)), np.ones(3), None, weight)
    assert found.table().pos_sq == pytest.approx(3 * float(weight[0]) ** 2, rel=1e-15)


def test_a_slot_of_too_many_cells_and_all_slots_of_too_many_both_leave_the_exact_phase() -> None:
    with mock.patch.object(tally, "EXACT_CELLS", 10):
        score = np.linspace(0.1, 0.9, 11)
        for size, slots, exact in ((10, 1, True), (11, 1, False), (10, 4, True), (10, 5, False)):
            found = Tally(slots)
            for slot in range(slots):
                key = probability_keys(score[:size])
                found.add(key, np.ones(size), np.full(size, slot))
            assert (found.table().bits is None) == exact


def test_the_grid_coarsens_as_slots_grow_and_stays_small() -> None:
    found = Tally(start_exact=False)
    key = probability_keys(np.random.default_rng(0).random(1000))
    bits = []
    for slots in (1, 4, 8, 64, 1024, 2000):
        found.add(key, np.ones(1000), np.full(1000, slots - 1))
        bits.append(found.bits)
    assert bits == [10, 10, 9, 6, 2, 2]
    assert found.table().pos.sum() == 6000


def test_counts_at_edges_are_exact_in_any_grid() -> None:
    rng = np.random.default_rng(0)
    score = np.concatenate([rng.random(2000), np.repeat([0.0, *EDGES, 1.0], 5)])
    for slots in (1, 64, 5000):
        found = Tally(slots, edges=EDGES, start_exact=False)
        found.add(probability_keys(score), np.ones(len(score)))
        table = found.table()
        for edge in EDGES:
            key = probability_keys(np.array([edge]))[0]
            assert table.pos[table.key < key].sum() == (score < edge).sum()
            assert table.pos[table.key <= key].sum() == (score <= edge).sum()


def test_sums_are_exact_for_huge_counts() -> None:
    # A float64 sum of these offsets would round.
    found, halves = Tally(start_exact=False), Tally(start_exact=False)
    score = np.array([0.3 + 1e-13, 0.3 + 2e-13])
    count = np.array([2**40 + 1, 2**40 + 3])
    found.add(probability_keys(score), np.ones(2), None, count)
    for i in (1, 0):
        halves.add(probability_keys(score[[i]]), np.ones(1), None, count[[i]])
    assert_same(found.table(), halves.table())
    own = grid(10, ())
    offsets = own.offsets(probability_keys(score)).tolist()
    exact = sum(o * c for o, c in zip(offsets, count.tolist(), strict=True))
    assert found.table().offset.tolist() == [exact]


def test_losses_are_sums_over_rows() -> None:
    score = np.array([0.0, 0.2, 1.0, 0.9])
    label = np.array([1, 0, 1, 1])
    found = Tally(2, start_exact=False)
    found.add(probability_keys(score), label, np.array([0, 0, 0, 1]))
    clip = -np.log(1e-15)
    assert found.losses[0] == pytest.approx([1 + 0.04, -np.log(0.8), 1, 0])
    assert log_loss_sum(found.losses[0]) == pytest.approx(clip - np.log(0.8))
    assert found.losses[1] == pytest.approx([0.01, -np.log(0.9), 0, 0])


def test_empty_batches_and_tallies_are_nothing() -> None:
    none = np.zeros(0)
    found = Tally(weighted=True)
    found.add(probability_keys(none), none.astype(bool), None, none)
    found.merge(Tally(0, weighted=True))
    table = found.table()
    assert len(table) == 0
    assert table.pos.dtype == np.float64
