"""Rows that are found by a key, and rows whose columns must agree where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.errors import InputError
from calibcli.io.rows.beside.join import DuplicateKeyError, Joins, KeyIndex
from calibcli.io.rows.hashing import ids

N = 1_000
P = np.round(np.linspace(0.001, 0.999, N), 3)
Y = (np.arange(N) % 3 == 0).astype(int)
ORDER = np.random.default_rng(0).permutation(N)


@given(
    st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 40), unique=True, max_size=60),
    st.lists(st.integers(0, 60), max_size=30),
)
def test_the_index_finds_what_a_dictionary_finds(keys, more):
    hashes = np.array(keys, np.uint64)
    index = KeyIndex.of(hashes)
    asked = np.array([*keys, *more], np.uint64)[::-1]
    rows = {key: row for row, key in enumerate(keys)}
    assert index.rows(asked).tolist() == [rows.get(int(key), -1) for key in asked]
    assert index.rows(hashes[3:7], near=3).tolist() == list(range(3, min(7, len(keys))))


@given(st.lists(st.integers(0, 2**64 - 1), unique=True, min_size=2, max_size=40), st.data())
def test_a_key_that_comes_twice(keys, data):
    first = data.draw(st.integers(0, len(keys) - 2))
    second = data.draw(st.integers(first + 1, len(keys) - 1))
    keys[second] = keys[first]
    with pytest.raises(DuplicateKeyError) as error:
        KeyIndex.of(np.array(keys, np.uint64))
    assert error.value.row == second


def test_a_million_keys_of_any_kind():
    for values in (np.arange(2**20), 1000 * np.arange(2**20)):
        hashes, _ = ids(values)
        index = KeyIndex.of(hashes)
        order = np.random.default_rng(1).permutation(len(values))
        np.testing.assert_array_equal(index.rows(hashes[order]), order)
        assert (index.rows(ids(values + 2**40)[0]) == -1).all()


def test_rows_that_are_found_twice():
    joins = Joins()
    assert joins.add(np.array([4, -1, 2]), 9) is None
    assert joins.add(np.array([3, -1, 5, 3]), 9) == 3
    assert joins.add(np.array([-1, 2]), 9) == 1
    other = Joins()
    other.add(np.array([8]), 9)
    assert not joins.take(other.state())
    assert joins.take(other.state())


@pytest.mark.parametrize("kinds", [("csv", "parquet"), ("parquet", "csv"), ("arrow", "csv.gz")])
def test_labels_weights_and_groups_by_key(kinds, write, read):
    scores = write(f"p.{kinds[0]}", {"id": ORDER, "score": P[ORDER]})
    extra = {"label": Y, "w": Y + 0.5, "g": [f"g{i % 4}" for i in range(N)], "c": np.arange(N)}
    labels = write(f"y.{kinds[1]}", {"id": np.arange(N), **extra})
    rows = read(scores, labels=str(labels), key="id", weight="w", groups=("g",), cluster="c")
    np.testing.assert_array_equal(rows.scores, P[ORDER])
    np.testing.assert_array_equal(rows.labels, Y[ORDER])
    np.testing.assert_array_equal(rows.weight, (Y + 0.5)[ORDER])
    assert rows.groups == [[f"g{i % 4}" for i in ORDER]]
    np.testing.assert_array_equal(rows.unit, ids(np.arange(N))[0][ORDER])


def test_keys_of_text_and_of_several_columns(write, read):
    names = [f"case-{i // 10}" for i in range(N)]
    visits = np.arange(N) % 10
    scores = write("p.parquet", {"case": names, "visit": visits, "score": P})
    mixed = {"case": np.array(names)[ORDER].tolist(), "visit": visits[ORDER], "label": Y[ORDER]}
    labels = str(write("y.csv", mixed))
    np.testing.assert_array_equal(read(scores, labels=labels, key="case,visit").labels, Y)
    with pytest.raises(InputError, match=r"y.csv, row \d+: its key comes a second time"):
        read(scores, labels=labels, key="case")


def test_unmatched_rows_are_counted_and_left_out(write, opened):
    scores = write("p.csv", {"id": np.arange(N), "score": P})
    keep = np.arange(N) % 5 != 0
    keys = np.append(np.arange(N)[keep][::-1], [N + 1, N + 2])
    labels = write("y.csv", {"id": keys, "label": np.append(Y[keep][::-1], [0, 1])})
    data = opened(scores, labels=str(labels), key="id")
    batches = list(data.batches())
    np.testing.assert_array_equal(np.concatenate([b.labels for b in batches]), Y[keep])
    assert sum(batch.dropped for batch in batches) == 200
    assert sum(batch.ignored for batch in batches) == 200
    assert [one.text for one in data.remarks] == [
        f"200 of 1,000 rows are left out: their keys are not in {labels}",
        f"2 of 802 rows of {labels} have no scores",
    ]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_keys_that_join_nothing_or_twice(suffix, write, read):
    labels = str(write(f"y.{suffix}", {"id": np.arange(N), "label": Y}))
    for ids_, problem in (
        (np.arange(N) + N, "no key of .* is in"),
        (np.where(np.arange(N) == 700, 3, np.arange(N)), "row 701: its key comes a second time"),
    ):
        with pytest.raises(InputError, match=problem):
            read(write(f"p.{suffix}", {"id": ids_, "score": P}), labels=labels, key="id")
    if suffix == "parquet":
        path = write("p.parquet", {"id": [1, None, 2], "score": [0.1, 0.2, 0.3]})
        with pytest.raises(InputError, match=r"column 'id' of .*p.parquet, row 2: no key"):
            read(path, labels=labels, key="id")


def test_a_duplicate_is_found_across_partitions(write, read):
    scores = [
        write("a.csv", {"id": [1, 2], "score": [0.1, 0.2]}),
        write("b.csv", {"id": [3, 1], "score": [0.3, 0.4]}),
    ]
    labels = str(write("y.csv", {"id": [1, 2, 3], "label": [0, 1, 1]}))
    with pytest.raises(InputError, match=r"b.csv, row 2: its key comes a second time among the"):
        read(*scores, labels=labels, key="id")


def test_passes_may_be_repeated(write, opened):
    scores = write("p.csv", {"id": [3, 1, 2], "score": [0.9, 0.2, 0.7]})
    labels = str(write("y.csv", {"id": [1, 2, 3], "label": [0, 0, 1]}))
    data = opened(scores, labels=labels, key="id")
    for _ in range(3):
        assert [batch.labels.tolist() for batch in data.batches()] == [[1, 0, 0]]


def test_without_a_key_a_column_that_differs_is_an_error(write, read):
    scores = {"id": [3, 1, 2], "score": [0.9, 0.2, 0.7], "site": ["a"] * 3, "x": [0.1, 0.2, 0.3]}
    path = write("p.parquet", scores)
    labels = {"id": [3, 2, 1], "label": [1, 0, 0], "site": ["b"] * 3, "x": [9.5, 1.5, 2.5]}
    differs = r"column 'id' differs between .*row 2, and .*row 2"
    with pytest.raises(InputError, match=differs) as error:
        read(path, labels=str(write("y.csv", labels)))
    assert error.value.hint == "--key id joins the rows by it"
    # A column of one value, and fractions, whose text differs between files, tell no rows apart.
    labels["id"] = [3, 1, 2]
    assert read(path, labels=str(write("z.csv", labels))).labels.tolist() == [1, 0, 0]


def test_a_key_needs_two_tables(write, read, tmp_path):
    np.save(tmp_path / "p.npy", P)
    np.save(tmp_path / "y.npy", Y)
    scores = write("p.csv", {"id": np.arange(N), "score": P})
    table = str(write("y.csv", {"id": np.arange(N), "label": Y}))
    with pytest.raises(InputError, match=r"p.npy is an array without column names"):
        read(tmp_path / "p.npy", labels=table, key="id")
    with pytest.raises(InputError, match=r"y.npy is an array without column names"):
        read(scores, labels=str(tmp_path / "y.npy"), key="id")
    with pytest.raises(InputError, match="has no column 'idd'"):
        read(scores, labels=table, key="idd")
