"""Rows of values in one column, however a tool writes them: one matrix, or the row that errs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.errors import InputError
from calibcli.io.formats.buffers import BadValueError
from calibcli.io.formats.nested import column_of, described, inside, matrix

ROWS = [[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [0.0, 0.0, 1.0], [0.25, 0.25, 0.5]]
NAMES = ("a", "b", "c")
LABEL = [0, 1, 2, 2]
INDICES, VALUES = pa.list_(pa.int32()), pa.list_(pa.float64())
SPARK = pa.struct(
    {"type": pa.int8(), "size": pa.int32(), "indices": INDICES, "values": VALUES}.items()
)


def pairs(row, order):
    return [{"label": NAMES[k], "prob": row[k]} for k in order]


def spark(row, *, sparse):
    if not sparse:
        return {"type": 1, "size": None, "indices": None, "values": row}
    at = [k for k, value in enumerate(row) if value]
    return {"type": 0, "size": len(row), "indices": at, "values": [row[k] for k in at]}


def makes():
    """One column in every make, by its name."""
    orders = [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)]
    yield "list", pa.array(ROWS)
    yield "float", pa.array(ROWS, pa.list_(pa.float32()))
    yield "large", pa.array(ROWS, pa.large_list(pa.float64()))
    yield "fixed", pa.array(ROWS, pa.list_(pa.float64(), 3))
    yield "struct", pa.array([dict(zip(NAMES, row, strict=True)) for row in ROWS])
    named = [[(NAMES[k], row[k]) for k in order] for row, order in zip(ROWS, orders, strict=True)]
    yield "map", pa.array(named, pa.map_(pa.string(), pa.float64()))
    listed = [pairs(row, order) for row, order in zip(ROWS, orders, strict=True)]
    yield "pairs", pa.array(listed)
    for name, every in (("dense", 1), ("sparse", 0), ("mixed", 2)):
        kinds = [{1: False, 0: True, 2: bool(i % 2)}[every] for i in range(len(ROWS))]
        vectors = [spark(row, sparse=kind) for row, kind in zip(ROWS, kinds, strict=True)]
        yield f"spark {name}", pa.array(vectors, SPARK)
    if hasattr(pa, "list_view"):
        yield "view", pa.array(ROWS, pa.list_view(pa.float64()))
        yield "large view", pa.array(ROWS, pa.large_list_view(pa.float64()))


MAKES = dict(makes())


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("part", [slice(0, 4), slice(1, 3), slice(3, 4), slice(2, 2)])
def test_every_make_is_the_same_matrix(make, part):
    column = MAKES[make][part]
    assert column_of(column.type).kind == "number"
    names = NAMES if column_of(column.type).named else None
    np.testing.assert_array_equal(matrix(column, 3, names), np.reshape(ROWS[part], (-1, 3)))
    if len(column) and not column_of(column.type).names:
        assert described(column) == (3, names)


@pytest.mark.parametrize("make", [make for make in MAKES if make != "struct"])
def test_rows_that_hold_nothing_are_missing(make):
    column = MAKES[make]
    gaps = pa.array([None], column.type)
    together = pa.concat_arrays([column[:1], gaps, column[1:], gaps])
    names = NAMES if column_of(column.type).named else None
    found = matrix(together, 3, names)
    assert np.isnan(found).all(axis=1).tolist() == [False, True, False, False, False, True]
    np.testing.assert_array_equal(found[[0, 2, 3, 4]], ROWS)
    assert described(gaps) == (0, None)


def test_empty_lists_are_missing_too():
    found = matrix(pa.array([[], [0.5, 0.5], None]), 2)
    assert np.isnan(found[:, 0]).tolist() == [True, False, True]
    assert described(pa.array([[], None, [0.5, 0.5]])) == (2, None)


@given(
    st.lists(st.none() | st.lists(st.floats(0, 1), min_size=2, max_size=2), max_size=20), st.data()
)
def test_slices_of_lists(rows, data):
    start = data.draw(st.integers(0, len(rows)))
    expected = [row or [np.nan, np.nan] for row in rows[start:]]
    for kind in (pa.list_(pa.float64()), pa.large_list(pa.float64()), pa.list_(pa.float64(), 2)):
        found = matrix(pa.array(rows, kind)[start:], 2)
        np.testing.assert_array_equal(found, np.reshape(expected, (-1, 2)))


@pytest.mark.parametrize(
    ("column", "row", "problem"),
    [
        (pa.array([[0.5, 0.5], None, [1.0], [0.1, 0.2, 0.7]]), 2, "1 value, where the first row"),
        (pa.array([["0.5", "0.5"], ["x", "0.5"]]), 1, "not a number"),
        (pa.array([[("a", 1.0), ("b", 0.0)], [("a", 1.0), ("x", 0.0)]],
                  pa.map_(pa.string(), pa.float64())), 1, "other names than in the first row"),
        (pa.array([[("a", 1.0), ("b", 0.0)], [("a", 1.0), ("a", 0.0)]],
                  pa.map_(pa.string(), pa.float64())), 1, "other names than in the first row"),
        (pa.array([spark([0.5, 0.5], sparse=False), spark([1.0], sparse=False)], SPARK), 1,
         "1 value, where the first row has 2"),
        (pa.array([{"type": 0, "size": 2, "indices": [5], "values": [1.0]}], SPARK), 0,
         "an index outside its vector"),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit(column, row, problem):
    size, names = described(column)
    with pytest.raises(BadValueError, match=problem) as error:
        matrix(column, size, names)
    assert error.value.row == row


def test_paths_lead_into_structs_maps_and_lists():
    kind = pa.struct(
        {"a": pa.struct({"b": VALUES}.items()), "m": pa.map_(pa.string(), pa.float64())}.items()
    )
    first = {"a": {"b": [0.5, 0.25]}, "m": [("x", 1.0)]}
    column = pa.array([first, {"a": {"b": [0.125]}, "m": [("y", 2.0)]}, None], kind)
    for part in (slice(0, 3), slice(1, 3)):
        for path, expected in (
            (("a", "b", "0"), [0.5, 0.125, None]),
            (("a", "b", "1"), [0.25, None, None]),
            (("m", "x"), [1.0, None, None]),
            (("m", "y"), [None, 2.0, None]),
        ):
            assert inside(column[part], path).to_pylist() == expected[part], path
    described_type = column_of(column.type)
    assert described_type.inside(("a", "b", "0")).kind == "number"
    assert described_type.inside(("a", "c")) is None
    assert described_type.inside(("m", "x")).kind == "number"


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_files_of_every_make(make, suffix, read, write, opened):
    if "view" in make and suffix == "parquet":
        pytest.skip("Parquet has no list views")
    path = write(f"x.{suffix}", {"probs": MAKES[make], "label": LABEL})
    np.testing.assert_array_equal(read(path).scores, ROWS)
    assert opened(path).classes == (
        NAMES if make in ("struct", "map", "pairs") else ("0", "1", "2")
    )
    place = "b" if make in ("struct", "map") else "1"
    if "spark" not in make and make != "pairs":
        rows = read(path, score=f"probs.{place}", label="label", positive="2")
        np.testing.assert_array_equal(rows.scores, [row[1] for row in ROWS])


def test_a_dotted_name_is_a_column_first_and_leads_inside_else(read, write):
    columns = {
        "a.p": [0.5, 0.25],
        "a": [{"p": 0.1, "q": "x"}, {"p": 0.2, "q": "y"}],
        "label": [0, 1],
    }
    for suffix in ("parquet", "arrow"):
        path = write(f"x.{suffix}", columns)
        np.testing.assert_array_equal(read(path, score="a.p").scores, [0.5, 0.25])
        assert read(path, score="a.p", groups=("a.q",)).groups == [["x", "y"]]
        with pytest.raises(InputError, match=r"has no column 'a.z'") as error:
            read(path, score="a.z")
        assert "a.q" in error.value.hint


def test_bigquery_names_are_known(read, write, opened):
    rows = [pairs(row, (0, 1, 2)) for row in ROWS]
    label = [NAMES[k] for k in LABEL]
    columns = {"predicted_kind": label, "predicted_kind_probs": rows, "kind": label}
    path = write("x.parquet", columns)
    np.testing.assert_array_equal(read(path).scores, ROWS)
    assert read(path).labels.tolist() == LABEL


def test_lists_of_one_score(read, write):
    lists = [[0.5], None, [0.25]]
    columns = [
        pa.array(lists, pa.list_(pa.float32())),
        pa.array(lists, pa.large_list(pa.float64())),
    ]
    # Arrow before 21 writes no list of fixed size that is missing.
    columns.append(pa.array([[0.5], [np.nan], [0.25]], pa.list_(pa.float64(), 1)))
    for column in columns:
        for name in ("score", "scores"):
            rows = read(write("x.parquet", {name: column, "label": [1, 0, 1]}))
            np.testing.assert_array_equal(rows.scores, [0.5, np.nan, 0.25])


def test_logits_of_different_length_say_how_to_pad(read, write):
    path = write("x.parquet", {"logits": [[1.0, 2.0], [0.5, 0.25, 3.0]], "label": [0, 2]})
    with pytest.raises(InputError, match="row 2: 3 values, where the first row has 2") as error:
        read(path, logits=True)
    assert error.value.hint == "rows of different length: pad the shorter ones with -inf"
