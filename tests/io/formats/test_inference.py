from __future__ import annotations

import math

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calibcli.io.rows.dataset import InputSpec, open_dataset


def kept(*paths):
    data = open_dataset(
        InputSpec(tuple(map(str, paths))), need_labels=False, keep_columns=True, typed=True
    )
    batches = [batch.table for batch in data.batches()]
    assert all(batch.schema == data.schema for batch in batches)
    return pa.Table.from_batches(batches)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["1", "-20", "0"], "int64", [1, -20, 0]),
        (["1", "", "3"], "int64", [1, None, 3]),
        (["1", "2.5", "-3e-2"], "double", [1, 2.5, -0.03]),
        (["0.10", ".5", "inf"], "double", [0.1, 0.5, math.inf]),
        (["True", "False", ""], "bool", [True, False, None]),
        (["true", "false", "true"], "bool", [True, False, True]),
        (["007", "8", "9"], "string", ["007", "8", "9"]),
        (["12345678901234567890", "1", "2"], "string", ["12345678901234567890", "1", "2"]),
        (["1234567890123456.5", "1", "2"], "string", ["1234567890123456.5", "1", "2"]),
        (["1", "x", "2"], "string", ["1", "x", "2"]),
        (["1", "NA", "2"], "string", ["1", "NA", "2"]),
        (["", "", ""], "string", [None, None, None]),
        (["2024-01-01", "2024-01-02", ""], "string", ["2024-01-01", "2024-01-02", None]),
        (["0x10", "1_000", "1,000"], "string", ["0x10", "1_000", "1,000"]),
        (["1\n", "2", "3"], "string", ["1\n", "2", "3"]),
    ],
    ids=str,
)
def test_a_column_gets_the_type_that_all_its_values_allow(values, kind, expected, write):
    rows = "".join(f'0.5,"{v}"\n' if v else "0.5,\n" for v in values)
    table = kept(write("x.csv", "score,v\n" + rows))
    assert str(table.schema.field("v").type) == kind
    assert table.column("v").to_pylist() == expected
    assert str(table.schema.field("score").type) == "double"


def test_all_files_count(write):
    a = write("a.csv", "score,v,w\n0.5,1,1\n")
    b = write("b.csv", "score,v,w\n0.5,x,1.5\n")
    assert kept(a, b).to_pydict() == {"score": [0.5, 0.5], "v": ["1", "x"], "w": [1.0, 1.5]}


def test_columns_with_types_keep_them(write):
    path = write("x.parquet", {"score": [0.5], "v": ["1"]})
    assert kept(path).to_pydict() == {"score": [0.5], "v": ["1"]}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=st.lists(st.floats(-1e14, 1e14) | st.integers(-(10**15) + 1, 10**15 - 1), min_size=1))
def test_numbers_read_back_as_the_same_value(values, write):
    path = write("x.csv", "score,v\n" + "".join(f"0.5,{v!r}\n" for v in values))
    assert kept(path).column("v").to_pylist() == values
