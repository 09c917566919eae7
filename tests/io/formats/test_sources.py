from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from calibcli.errors import InputError, UsageError
from calibcli.io.formats import spool
from calibcli.io.formats.source import Source
from calibcli.io.formats.sources import expand

CSV = b"score,label\n0.5,1\n0.25,0\n"


class Stdin(io.BytesIO):
    def __init__(self, content: bytes, *, terminal: bool = False) -> None:
        super().__init__(content)
        self.buffer = self
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture
def stdin(monkeypatch):
    def set_to(content: bytes, **options):
        monkeypatch.setattr(sys, "stdin", Stdin(content, **options))

    return set_to


def parquet_bytes() -> bytes:
    buffer = io.BytesIO()
    pa.parquet.write_table(pa.table({"score": [0.5, 0.25], "label": [1, 0]}), buffer)
    return buffer.getvalue()


def arrow_bytes(*, stream: bool) -> bytes:
    table = pa.table({"score": [0.5, 0.25], "label": [1, 0]})
    buffer = io.BytesIO()
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


def npy_bytes() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([0.5, 0.25]))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "kind", "compression"),
    [
        ("a.parquet", "parquet", None),
        ("a.PQ", "parquet", None),
        ("a.csv", "csv", None),
        ("a.csv.gz", "csv", "gzip"),
        ("a.tsv.zst", "tsv", "zstd"),
        ("a.arrow", "arrow", None),
        ("a.feather", "arrow", None),
        ("a.npy", "npy", None),
        ("a.npz", "npz", None),
        ("a.stats.json", "stats", None),
    ],
)
def test_the_suffix_tells_the_type(name, kind, compression, tmp_path):
    (tmp_path / name).write_bytes(b"")
    (source,) = expand([str(tmp_path / name)])
    assert (source.kind, source.compression) == (kind, compression)


def test_without_a_known_suffix_the_content_tells(tmp_path):
    for content, kind in (
        (parquet_bytes(), "parquet"),
        (arrow_bytes(stream=True), "arrow"),
        (arrow_bytes(stream=False), "arrow"),
        (npy_bytes(), "npy"),
        (b'{"schema": 1}', "stats"),
    ):
        (tmp_path / "dump").write_bytes(content)
        assert expand([str(tmp_path / "dump")])[0].kind == kind
    (tmp_path / "dump").write_bytes(CSV)
    with pytest.raises(InputError, match="suffix"):
        expand([str(tmp_path / "dump")])
    assert expand([str(tmp_path / "dump")], "csv")[0].kind == "csv"


def test_globs_are_sorted_and_mix_with_files(tmp_path):
    for name in ("b.csv", "a.csv", "c.csv", "z.parquet"):
        (tmp_path / name).write_bytes(CSV)
    found = expand([str(tmp_path / "z.parquet"), str(tmp_path / "[ab].csv")])
    assert [Path(s.path).name for s in found] == ["z.parquet", "a.csv", "b.csv"]


def test_a_file_counts_once_whatever_it_is_called(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "soft.csv").symlink_to("a.csv")
    (tmp_path / "hard.csv").hardlink_to(tmp_path / "a.csv")
    monkeypatch.chdir(tmp_path)
    for other in ("soft.csv", "hard.csv", "./a.csv", f"../{tmp_path.name}/a.csv"):
        with pytest.raises(InputError, match=r"are one file|is given twice"):
            expand(["a.csv", other])
    with pytest.raises(InputError, match="are one file"):
        expand(["*.csv"])
    assert len(expand(["soft.csv"])) == 1


def test_links_in_a_folder(tmp_path):
    inside = tmp_path / "d" / "inside"
    inside.mkdir(parents=True)
    (inside / "a.parquet").write_bytes(parquet_bytes())
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.parquet").write_bytes(parquet_bytes())
    (tmp_path / "d" / "k=1").symlink_to(other)
    found = expand([str(tmp_path / "d")])
    assert [Path(s.path).name for s in found] == ["a.parquet", "b.parquet"]
    assert found[1].partition == (("k", "1"),)
    (tmp_path / "d" / "lost.parquet").symlink_to("nowhere.parquet")
    (tmp_path / "d" / "lost.txt").symlink_to("nowhere.txt")
    with pytest.raises(InputError, match=r"lost.parquet is a link to a file that does not exist"):
        expand([str(tmp_path / "d")])
    (tmp_path / "d" / "lost.parquet").unlink()
    (inside / "again").symlink_to(tmp_path / "d")
    with pytest.raises(InputError, match=r"is inside itself"):
        expand([str(tmp_path / "d")])


def test_a_file_whose_name_looks_like_a_glob_is_itself(tmp_path):
    for name in ("x[1].csv", "x1.csv"):
        (tmp_path / name).write_bytes(CSV)
    (found,) = expand([str(tmp_path / "x[1].csv")])
    assert found.path.endswith("x[1].csv")


def test_folder_with_hive_partitions(tmp_path, read):
    for camera, day, scores in (
        ("front", "2024-01-01", [0.1]),
        ("rear%20left", "2024-01-02", [0.2, 0.3]),
    ):
        folder = tmp_path / "d" / f"camera={camera}" / f"day={day}"
        folder.mkdir(parents=True)
        pa.parquet.write_table(
            pa.table({"score": scores, "label": [1] * len(scores)}), folder / "part-0.parquet"
        )
    lost = tmp_path / "d" / "camera=__HIVE_DEFAULT_PARTITION__"
    lost.mkdir()
    pa.parquet.write_table(pa.table({"score": [0.4], "label": [0]}), lost / "p.parquet")
    for junk in ("_SUCCESS", "_metadata", ".hidden.parquet", "notes.txt"):
        (tmp_path / "d" / junk).write_text("junk")
    paths = [s.path for s in expand([str(tmp_path / "d")])]
    assert paths == sorted(paths)
    assert len(paths) == 3
    rows = read(tmp_path / "d", groups=("camera",))
    order = np.argsort(rows.scores)
    assert [rows.groups[0][i] for i in order] == ["front", "rear left", "rear left", "(missing)"]


def test_hive_partitions_of_a_glob(tmp_path, read):
    for k in (1, 2):
        (tmp_path / f"k={k}").mkdir()
        pa.parquet.write_table(
            pa.table({"score": [0.1], "label": [1]}), tmp_path / f"k={k}" / "x.parquet"
        )
    for pattern in ("k=*/x.parquet", "*/*.parquet", "k=*"):
        assert read(tmp_path / pattern, groups=("k",)).groups == [["1", "2"]]


def test_a_folder_and_a_column_that_disagree(tmp_path, read, write):
    for suffix in ("parquet", "csv"):
        columns = {"score": [0.1, 0.2], "label": [0, 1]}
        write(f"good/m=01/x.{suffix}", {**columns, "m": [1, 1]})
        write(f"bad/m=02/x.{suffix}", {**columns, "m": [2, 3]})
        good, bad = tmp_path / "good" / "*" / f"*.{suffix}", tmp_path / "bad" / "*" / f"*.{suffix}"
        assert read(good, groups=("m",)).groups == [["1", "1"]]
        with pytest.raises(InputError, match=r"column 'm' of .*: other values than .* m=02"):
            read(bad, groups=("m",))
        assert read(bad).scores.tolist() == [0.1, 0.2]  # where the column is not asked for


def test_partition_columns_are_kept_as_columns(tmp_path, opened):
    (tmp_path / "d" / "k=a").mkdir(parents=True)
    pa.parquet.write_table(
        pa.table({"score": [0.1], "label": [1]}), tmp_path / "d" / "k=a" / "x.parquet"
    )
    data = opened(tmp_path / "d", keep=True)
    assert next(data.batches()).table.to_pydict() == {"score": [0.1], "label": [1], "k": ["a"]}


def test_only_partition_columns_may_be_asked_for(tmp_path, read):
    # The group comes from the folder alone, the score from the file.
    (tmp_path / "d" / "label=1").mkdir(parents=True)
    pa.parquet.write_table(
        pa.table({"score": [0.1, 0.2]}), tmp_path / "d" / "label=1" / "x.parquet"
    )
    np.testing.assert_array_equal(read(tmp_path / "d").labels, [1, 1])


@pytest.mark.parametrize("suffix", ["parquet", "csv", "npy", "arrow"])
def test_uris_through_arrow(suffix, tmp_path, read, write):
    if suffix == "npy":
        np.save(tmp_path / "x.npy", np.array([0.5, 0.25]))
        rows = read(f"file://{tmp_path}/x.npy", need_labels=False)
    else:
        write(f"x.{suffix}", {"score": [0.5, 0.25], "label": [1, 0]})
        rows = read(f"file://{tmp_path}/x.{suffix}")
    np.testing.assert_array_equal(rows.scores, [0.5, 0.25])


def test_uris_of_folders_and_globs(tmp_path, read):
    for k in ("a", "b"):
        (tmp_path / "d" / f"k={k}").mkdir(parents=True)
        pa.parquet.write_table(
            pa.table({"score": [0.1], "label": [1]}), tmp_path / "d" / f"k={k}" / "x.parquet"
        )
    assert read(f"file://{tmp_path}/d", groups=("k",)).groups == [["a", "b"]]
    assert read(f"file://{tmp_path}/d/*/x.parquet", groups=("k",)).groups == [["a", "b"]]
    with pytest.raises(InputError, match="no such file"):
        expand([f"file://{tmp_path}/none.parquet"])
    with pytest.raises(InputError, match="no file matches"):
        expand([f"file://{tmp_path}/d/*.csv"])


def test_credentials_in_a_uri_are_never_shown():
    assert Source("s3://key:secret@bucket/x.parquet", "parquet").name == "s3://bucket/x.parquet"


class TestStandardInput:
    def test_csv_by_default(self, stdin, read):
        stdin(CSV)
        rows = read("-")
        np.testing.assert_array_equal(rows.scores, [0.5, 0.25])
        np.testing.assert_array_equal(rows.labels, [1, 0])

    @pytest.mark.parametrize(
        ("content", "kind"),
        [
            (parquet_bytes(), "parquet"),
            (arrow_bytes(stream=True), "arrow"),
            (arrow_bytes(stream=False), "arrow"),
            (b"score\tlabel\n0.5\t1\n0.25\t0\n", "tsv"),
        ],
    )
    def test_other_formats_are_named(self, content, kind, stdin, read):
        stdin(content)
        np.testing.assert_array_equal(read("-", input_format=kind).labels, [1, 0])

    def test_npy_with_labels_in_a_file(self, stdin, read, tmp_path):
        np.save(tmp_path / "y.npy", [1, 0])
        stdin(npy_bytes())
        rows = read("-", input_format="npy", labels=str(tmp_path / "y.npy"))
        np.testing.assert_array_equal(rows.scores, [0.5, 0.25])

    def test_a_format_that_is_not_named_is_hinted_at(self, stdin, read):
        stdin(parquet_bytes())
        with pytest.raises(InputError, match="does not hold CSV") as error:
            read("-")
        assert error.value.hint == "--input-format parquet"

    def test_saved_statistics_are_recognised(self, stdin):
        stdin(b'{"schema": "calibcli/stats"}')
        assert expand(["-"])[0].kind == "stats"

    def test_it_can_be_read_twice(self, stdin, opened):
        stdin(CSV)
        data = opened("-")
        assert [len(list(data.batches())) for _ in range(2)] == [1, 1]

    def test_it_can_be_opened_twice(self, stdin, read):
        stdin(CSV)
        assert expand(["-"])[0].kind == "csv"
        assert read("-").labels.tolist() == read("-").labels.tolist() == [1, 0]
        stdin(b"score,label\n0.125,1\n")  # another stream
        np.testing.assert_array_equal(read("-").scores, [0.125])

    def test_a_large_one_goes_to_a_temporary_file(self, stdin, opened, monkeypatch):
        monkeypatch.setattr(spool, "IN_MEMORY", 1_000)
        monkeypatch.setattr(spool, "_CHUNK", 300)
        n = 5_000
        stdin(b"score,label\n" + b"0.5,1\n" * n)
        data = opened("-")
        for _ in range(2):
            assert sum(len(batch) for batch in data.batches()) == n
        assert data.inputs == [{"path": "-", "rows": n}]

    def test_empty(self, stdin, read):
        stdin(b"")
        with pytest.raises(InputError, match="standard input is empty"):
            read("-")

    def test_a_terminal(self, stdin):
        stdin(b"", terminal=True)
        with pytest.raises(UsageError, match="terminal"):
            expand(["-"])

    def test_twice(self, stdin):
        stdin(CSV)
        with pytest.raises(InputError, match="standard input is given twice"):
            expand(["-", "-"])

    def test_unknown_format(self):
        with pytest.raises(UsageError, match="unknown input format 'parket'") as error:
            expand(["-"], "parket")
        assert error.value.hint == "did you mean 'parquet'?"


def test_a_named_pipe_is_read_like_standard_input(tmp_path, read):
    pipe = tmp_path / "scores.csv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(CSV,))
    writer.start()
    np.testing.assert_array_equal(read(pipe).labels, [1, 0])
    writer.join()
    np.testing.assert_array_equal(read(pipe).labels, [1, 0])


def test_no_paths():
    with pytest.raises(UsageError, match="no scores are given"):
        expand([])


@pytest.mark.parametrize("end", ["sys.exit()", "os.kill(os.getpid(), 9)"])
def test_a_temporary_file_goes_with_the_process_however_that_ends(tmp_path, end):
    code = (
        "import os, sys; from pathlib import Path; from calibcli.io.formats import spool\n"
        "spool.IN_MEMORY = 10\n"
        "path = Path(spool.keep(sys.stdin.buffer)[1])\n"
        "print([path.read_bytes() == b'x' * 100 for _ in range(2)], flush=True)\n" + end
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=b"x" * 100,
        capture_output=True,
        check=False,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert done.stdout == b"[True, True]\n"
    if sys.platform == "linux":
        assert not list(tmp_path.iterdir())
