"""Counts by unit: the same however the rows are divided, also where not all units are kept."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.decisions.promises.counts import UnitCounts


def rows(seed: int, n: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    unit = rng.integers(0, n // 4, n).astype(np.uint64)
    return rng.integers(0, 3, n), unit, rng.integers(0, 20, n), rng.integers(1, 4, n)


def plain(counts: UnitCounts) -> list[tuple[int, ...]]:
    found = counts.read()
    columns = (found.slot, found.unit, found.key, found.count)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("limit", [1 << 20, 700, 90])
def test_any_division_of_the_rows_gives_the_same_counts(limit):
    slot, unit, key, count = rows(1, 4000)
    whole = UnitCounts(limit)
    whole.add(slot, unit, key, count)
    rng = np.random.default_rng(2)
    part = rng.integers(0, 5, 4000)
    pieces = []
    for number in range(5):
        own = UnitCounts(limit)
        for some in np.array_split(np.flatnonzero(part == number), 3):
            own.add(slot[some], unit[some], key[some], count[some])
        pieces.append(own)
    merged = UnitCounts(limit)
    for own in reversed(pieces):
        merged.merge(own)
    assert plain(merged) == plain(whole)
    assert merged.share == whole.share
    assert len(whole.read().slot) <= limit


def test_units_are_kept_whole_or_not_at_all():
    slot, unit, key, count = rows(3, 4000)
    every, some = UnitCounts(), UnitCounts(500)
    every.add(slot, unit, key, count)
    some.add(slot, unit, key, count)
    kept = set(some.read().unit.tolist())
    assert 0 < some.share < 1
    assert plain(some) == [one for one in plain(every) if one[1] in kept]


def test_pixels_of_one_image_are_counted_as_rows_are():
    key = np.random.default_rng(4).integers(0, 9, 500)
    image = np.broadcast_to(np.array([7], np.uint64), 500)
    fast, slow = UnitCounts(), UnitCounts()
    fast.add(1, image, key)
    slow.add(np.ones(500, np.int64), np.array(image), key)
    assert plain(fast) == plain(slow)
