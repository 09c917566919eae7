from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.statistics.cell_table import CellTable
from calibcli.core.statistics.counting.distinct import Distinct
from calibcli.core.statistics.keys import key_probabilities, probability_keys

batches = st.lists(
    st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.integers(1, 4)), min_size=1),
    min_size=1,
    max_size=6,
)


def counts(table: CellTable) -> dict[float, tuple[Any, Any]]:
    p = key_probabilities(table.key).tolist()
    return dict(zip(p, zip(table.neg.tolist(), table.pos.tolist(), strict=True), strict=True))


@given(batches, st.booleans(), st.integers(1, 3))
def test_known_and_new_scores_are_counted_as_a_dictionary_would(
    data: list[Any], weighted: bool, every: int
) -> None:
    found = Distinct(weighted=weighted)
    wanted: dict[bool, Counter[float]] = {False: Counter(), True: Counter()}
    for number, rows in enumerate(data):
        score, label, mass = (np.array(c) for c in zip(*rows, strict=True))
        weight = mass / 8.0 if weighted else mass
        found.add(probability_keys(score / 30), label, None, weight)
        for s, y, w in zip((score / 30).tolist(), label.tolist(), weight.tolist(), strict=True):
            wanted[y][s] += w
        if number % every == 0:
            found.expect()
    table = found.table()
    assert (np.diff(table.key) > 0).all()
    scores = {*wanted[False], *wanted[True]}
    assert counts(table) == {s: (wanted[False][s], wanted[True][s]) for s in scores}


def test_scores_that_share_a_place_of_the_hash_are_all_counted() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(200_000)  # so many that some must share one
    label = rng.random(200_000) < p
    found = Distinct(weighted=False)
    found.add(probability_keys(p), label, None, None)
    found.expect()
    found.add(probability_keys(p), ~label, None, None)
    table = found.table()
    assert len(table) == len(np.unique(p))
    assert (table.pos == table.neg).all()
    assert table.pos.sum() == 200_000


@pytest.mark.parametrize(("distinct", "limit", "many"), [(100, 99, True), (100, 100, False)])
def test_outnumber_counts_distinct_scores(distinct: int, limit: int, many: bool) -> None:
    found = Distinct(weighted=False)
    key = probability_keys(np.arange(5000) % distinct / distinct)
    found._rows, found.waiting = [(key, key > 0, None)], len(key)
    assert found.outnumber(limit) is many
