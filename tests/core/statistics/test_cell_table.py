"""Tables of cells are sorted as NumPy's own sort by two columns would."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.statistics.cell_table import CellTable


@pytest.mark.parametrize(
    ("rows", "slots"),
    [(0, 1), (1, 1), (10, 3), (5000, 2), (5000, 100), (90_000, 3000), (500, 40_000)],
)
def test_a_union_is_sorted_and_summed_by_slot_then_key(rows, slots):
    rng = np.random.default_rng(rows + slots)
    parts = []
    for _ in range(2):
        slot = rng.integers(0, slots, rows).astype(np.int32)
        key = rng.integers(0, 50, rows)
        parts.append(CellTable(slot, key, *(rng.integers(0, 9, (3, rows)))))
    union = CellTable.concatenate(parts)
    slot, key, pos, neg = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("slot", "key", "pos", "neg")
    )
    pairs, index = np.unique(np.stack([slot, key], axis=1), axis=0, return_inverse=True)
    assert np.array_equal(np.stack([union.slot, union.key], axis=1), pairs)
    for column, total in ((pos, union.pos), (neg, union.neg)):
        counted = np.bincount(index.reshape(-1), weights=column, minlength=len(pairs))
        assert np.array_equal(total, counted)
