from __future__ import annotations

import csv
import errno
import gzip
import io
import re

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calibcli.errors import InputError, UsageError
from calibcli.io.output.writers import open_table_sink, output_type

BATCH = pa.RecordBatch.from_pydict(
    {
        "id": ["007", "a,b", 'q"x', "=1+1", "line\nend", "", None],
        "n": [1, 2, None, 4, 5, 6, 7],
        "probability": [0.1, 1 / 3, 1e-300, 0.0, 1.0, None, 0.7],
    }
)


def test_csv_holds_values_as_they_are(tmp_path):
    path = tmp_path / "x.csv"
    with open_table_sink(str(path)) as sink:
        sink.write(BATCH)
    assert path.read_text() == (
        "id,n,probability\n"
        "007,1,0.1\n"
        '"a,b",2,0.3333333333333333\n'
        '"q""x",,1e-300\n'
        "=1+1,4,0\n"
        '"line\nend",5,1\n'
        '"",6,\n'
        ",7,0.7\n"
    )


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)


@settings(deadline=None, max_examples=50)
@given(
    rows=st.lists(
        st.tuples(TEXT, st.floats(allow_nan=False, allow_infinity=False), TEXT), max_size=6
    ),
    name=TEXT,
)
def test_csv_reads_back_by_pythons_reader(rows, name):
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    names = [f"a{name}", "x", f"b{name}"]
    types = [pa.string(), pa.float64(), pa.string()]
    batch = pa.RecordBatch.from_arrays(
        [pa.array(c, t) for c, t in zip(columns, types, strict=True)], names=names
    )
    out = io.BytesIO()
    with open_table_sink("-", stream=out) as sink:
        sink.write(batch)
    found = list(csv.reader(io.StringIO(out.getvalue().decode(), newline="")))
    assert found[0] == names
    assert [(a, float(x), b) for a, x, b in found[1:]] == rows


def test_what_apply_reads_from_a_csv_it_writes_again(tmp_path, opened):
    text = 'id,score,label,note\n007,0.50,1,"a,b"\n1e3,1.0,0,\n,0.25,1,""\n'
    (tmp_path / "in.csv").write_text(text)
    data = opened(tmp_path / "in.csv", keep=True, need_labels=False)
    with open_table_sink(str(tmp_path / "out.csv")) as sink:
        for batch in data.batches():
            sink.write(batch.table)
    assert (tmp_path / "out.csv").read_text() == text


@pytest.mark.parametrize(("suffix", "mark"), [("csv.gz", b"\x1f\x8b"), ("csv.zst", b"\x28\xb5")])
def test_compressed_csv(suffix, mark, tmp_path, read):
    path = tmp_path / f"x.{suffix}"
    batch = pa.RecordBatch.from_pydict({"score": [0.5, 0.25], "label": [1, 0]})
    with open_table_sink(str(path)) as sink:
        sink.write(batch)
        sink.write(batch)
    assert path.read_bytes()[:2] == mark
    np.testing.assert_array_equal(read(path).scores, [0.5, 0.25] * 2)
    if suffix.endswith("gz"):
        assert gzip.decompress(path.read_bytes()) == b"score,label\n" + b"0.5,1\n0.25,0\n" * 2


def test_tsv(tmp_path):
    with open_table_sink(str(tmp_path / "x.tsv")) as sink:
        sink.write(pa.RecordBatch.from_pydict({"a": ["x,y", "t\tb"], "b": [1, 2]}))
    assert (tmp_path / "x.tsv").read_text() == 'a\tb\nx,y\t1\n"t\tb"\t2\n'


def test_a_single_column_keeps_its_missing_rows(tmp_path):
    with open_table_sink(str(tmp_path / "x.csv")) as sink:
        sink.write(pa.RecordBatch.from_pydict({"a": ["x", None, ""]}))
    assert (tmp_path / "x.csv").read_text() == 'a\nx\n""\n""\n'


def test_other_types_in_csv(tmp_path):
    batch = pa.RecordBatch.from_pydict(
        {
            "d": pa.array(["x", "y,z"]).dictionary_encode(),
            "t": pa.array([0, 1], pa.timestamp("s")),
            "b": [True, None],
            "f": pa.array([0.1, 0.7], pa.float32()),
        }
    )
    with open_table_sink(str(tmp_path / "x.csv")) as sink:
        sink.write(batch)
    assert (tmp_path / "x.csv").read_text() == (
        'd,t,b,f\nx,1970-01-01 00:00:00,true,0.1\n"y,z",1970-01-01 00:00:01,,0.7\n'
    )


def test_lists_have_no_place_in_csv(tmp_path):
    sink = open_table_sink(str(tmp_path / "x.csv"))
    with pytest.raises(InputError, match="column 'p' holds lists"), sink:
        sink.write(pa.RecordBatch.from_pydict({"p": [[0.1, 0.9]]}))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_tables_round_trip_in_any_number_of_batches(suffix, tmp_path):
    path = tmp_path / f"x.{suffix}"
    with open_table_sink(str(path)) as sink:
        for start in range(0, 7, 3):
            sink.write(BATCH.slice(start, 3))
    if suffix == "parquet":
        found = pa.parquet.read_table(path)
    else:
        with pa.ipc.open_file(path) as reader:
            found = reader.read_all()
    assert found.to_pydict() == BATCH.to_pydict()
    assert found.schema == BATCH.schema


def test_small_batches_become_large_row_groups(tmp_path):
    n = 131_072
    batch = pa.RecordBatch.from_pydict({"x": np.arange(n)})
    with open_table_sink(str(tmp_path / "x.parquet")) as sink:
        for _ in range(10):
            sink.write(batch)
    metadata = pa.parquet.ParquetFile(tmp_path / "x.parquet").metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [
        8 * n,
        2 * n,
    ]


@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
@pytest.mark.parametrize("shape", [(10,), (10, 3), (0,), (0, 3)])
def test_npy_is_streamed_with_the_header_last(dtype, shape, tmp_path):
    values = np.random.default_rng(0).random(shape).astype(dtype)
    with open_table_sink(str(tmp_path / "x.npy")) as sink:
        for start in range(0, max(shape[0], 1), 4):
            sink.write(values[start : start + 4])
    found = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert (found.dtype, found.shape) == (values.dtype, values.shape)
    np.testing.assert_array_equal(found, values)
    assert found.offset % 64 == 0


def test_npy_rows_of_another_width_are_a_bug(tmp_path):
    sink = open_table_sink(str(tmp_path / "x.npy"))
    sink.write(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="rows of shape"), sink:
        sink.write(np.zeros((2, 4)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["parquet", "csv", "arrow", "csv.gz"])
def test_no_batches_but_a_schema(suffix, tmp_path):
    path = tmp_path / f"x.{suffix}"
    with open_table_sink(str(path), BATCH.schema):
        pass
    if suffix == "csv":
        assert path.read_text() == "id,n,probability\n"
    elif suffix == "parquet":
        assert pa.parquet.read_table(path).schema == BATCH.schema


@pytest.mark.parametrize("suffix", ["parquet", "csv", "arrow", "csv.gz", "npy"])
def test_an_error_leaves_nothing_and_the_old_file_whole(suffix, tmp_path):
    path = tmp_path / f"x.{suffix}"
    path.write_text("old")
    sink = open_table_sink(str(path))
    sink.write(np.zeros(3) if suffix == "npy" else BATCH)
    with pytest.raises(RuntimeError), sink:
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "arrow", "npy", "csv.zst"])
def test_a_disk_that_fills_up_while_writing(suffix, tmp_path, monkeypatch):
    path = tmp_path / f"x.{suffix}"
    path.write_text("old")
    sink = open_table_sink(str(path))

    class Full(io.RawIOBase):
        def writable(self):
            return True

        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    sink._file = sink._gate.file = Full()

    def run():
        with sink:
            for _ in range(20):
                sink.write(np.zeros(100_000) if suffix == "npy" else BATCH)

    with pytest.raises(InputError, match="the disk is full"):
        run()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "arrow", "npy", "csv.gz"])
def test_a_small_disk(suffix, small_disk):
    path = small_disk / f"x.{suffix}"
    path.write_text("old")
    values = np.random.default_rng(0).random(50_000)

    def run():
        with open_table_sink(str(path)) as sink:
            for _ in range(3):
                sink.write(values if suffix == "npy" else pa.RecordBatch.from_pydict({"p": values}))

    with pytest.raises(InputError, match="the disk is full"):
        run()
    assert path.read_text() == "old"
    assert [p.name for p in small_disk.iterdir()] == [path.name]


def test_a_stream_stays_open():
    out = io.BytesIO()
    with open_table_sink("-", stream=out) as sink:
        sink.write(BATCH.select(["n"]))
    assert not out.closed
    assert out.getvalue().startswith(b"n\n1\n2\n")
    with open_table_sink("-", stream=out, kind="parquet") as sink:
        sink.write(BATCH)
    assert not out.closed
    with pytest.raises(UsageError, match="NPY cannot be written to a stream"):
        open_table_sink("-", stream=out, kind="npy")


def test_a_reader_that_leaves_is_no_failed_write():
    class Closed(io.BytesIO):
        def write(self, data):
            raise BrokenPipeError

    sink = open_table_sink("-", stream=Closed())
    with pytest.raises(BrokenPipeError), sink:
        sink.write(BATCH)


@pytest.mark.parametrize("name", ["x", "x.txt", "x.parquet.gz", "x.json"])
def test_a_suffix_that_names_no_type(name):
    with pytest.raises(UsageError, match=re.escape(name)):
        output_type(name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(st.integers(1, 30))
def test_csv_is_the_same_bytes_for_any_batches(step):
    def written(size):
        out = io.BytesIO()
        with open_table_sink("-", stream=out) as sink:
            for start in range(0, BATCH.num_rows, size):
                sink.write(BATCH.slice(start, size))
        return out.getvalue()

    assert written(step) == written(100)
