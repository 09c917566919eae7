"""Every unusable input is one line that names file, column and row, and shows no contents."""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from calibcli.errors import CalibcliError, ExitCode, InputError
from calibcli.io.formats.sources import expand
from calibcli.io.images.files import open_images
from calibcli.io.rows.dataset import InputSpec, open_dataset

SECRET = "hunter2"


@pytest.fixture
def fail():
    """Read everything, expect exit code 3, and return the error."""

    def run(*paths, need_labels=True, **options) -> InputError:
        spec = InputSpec(tuple(map(str, paths)), **options)
        with pytest.raises(CalibcliError) as caught:
            list(open_dataset(spec, need_labels=need_labels).batches())
        error = caught.value
        assert error.exit_code == ExitCode.INPUT
        assert "\n" not in error.message
        assert error.hint
        assert "\n" not in error.hint
        assert SECRET not in f"{error.message} {error.hint}"
        return error

    return run


def test_missing_file(fail, write, tmp_path):
    write("scores.csv", "score,label\n.5,1\n")
    error = fail(tmp_path / "score.csv")
    assert error.message == f"{tmp_path}/score.csv: no such file or folder"
    assert error.hint == "did you mean 'scores.csv'?"
    assert "does not exist" in fail(tmp_path / "no" / "x.csv").hint


def test_glob_without_a_match(fail, tmp_path):
    assert "no file matches" in fail(tmp_path / "*.csv").message


def test_folder_without_data(fail, tmp_path, write):
    (tmp_path / "d").mkdir()
    assert fail(tmp_path / "d").message == f"the folder {tmp_path}/d holds no Parquet files"
    write("d/a.csv", "score,label\n.5,1\n")
    assert fail(tmp_path / "d").hint == f"quote a glob for other types: '{tmp_path}/d/*.csv'"


@pytest.mark.parametrize(
    "name", ["x.csv", "x.parquet", "x.arrow", "x.npy", "x.npz", "x.csv.gz", "x.csv.zst"]
)
def test_empty_file(name, fail, write):
    assert name in fail(write(name, b"")).message


@pytest.mark.parametrize("text", ["score,label\n", "score,label", "score,label\n\n\r\n \n"])
def test_header_only(text, fail, write):
    assert fail(write("x.csv", text)).message.endswith("x.csv holds no rows")


@pytest.mark.parametrize("kind", ["parquet", "arrow", "arrows"])
def test_table_without_rows(kind, fail, write):
    table = pa.table({"score": pa.array([], pa.float64()), "label": pa.array([], pa.int64())})
    assert fail(
        write(f"x.{kind}", dict(zip(table.column_names, table.columns, strict=True)))
    ).message.endswith("holds no rows")


def test_array_without_rows(fail, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(0))
    assert "holds no rows" in fail(tmp_path / "x.npy", need_labels=False).message


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["parquet", "arrow", "npy", "npz", "csv.gz", "csv.zst"])
def test_truncated_file(kind, keep, fail, write, tmp_path):
    n = 5_000
    columns = {"score": np.random.default_rng(0).random(n), "label": np.zeros(n, dtype=np.int64)}
    path = tmp_path / f"x.{kind}"
    if kind == "npy":
        np.save(path, columns["score"])
    elif kind == "npz":
        np.savez(path, **columns)
    else:
        write(path.name, columns)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    assert f"x.{kind}" in fail(path, need_labels=kind != "npy").message


@pytest.mark.parametrize("suffix", ["csv.gz", "csv.zst", "parquet", "arrow", "npy", "npz"])
def test_file_that_is_not_what_its_suffix_says(suffix, fail, write):
    path = write(f"x.{suffix}", f"score,label\n0.5,{SECRET}\n" * 50)
    assert path.name in fail(path).message


def test_damaged_parquet_pages(fail, write):
    path = write(
        "x.parquet", {"score": np.random.default_rng(0).random(10_000), "label": [0] * 10_000}
    )
    content = bytearray(path.read_bytes())
    content[8:2_000] = b"\xff" * 1_992
    path.write_bytes(content)
    assert "x.parquet" in fail(path).message


def test_npy_that_holds_a_pickle(fail, tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.array([{"a": 1}], dtype=object))
    assert "never loaded" in fail(path, need_labels=False).message
    path.write_bytes(pickle.dumps(np.zeros(3)))
    assert "pickle" in fail(path, need_labels=False).message


def test_npy_is_never_unpickled(fail, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    for name in ("x.npy", "x.npz"):
        if name == "x.npy":
            np.save(tmp_path / name, np.array([Bomb()], dtype=object))
        else:
            np.savez(tmp_path / name, score=np.array([Bomb()], dtype=object))
        (tmp_path / "exploded").unlink(missing_ok=True)
        fail(tmp_path / name, need_labels=False)
        assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("shape", [(10**15,), (10**9, 10**6), (2**62, 2**62)])
def test_npy_header_that_claims_far_more_than_the_file_holds(shape, fail, tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    path = tmp_path / "x.npy"
    path.write_bytes(buffer.getvalue() + b"\0" * 64)
    error = fail(path, need_labels=False)
    assert "its header promises" in error.message
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("score.npy", path.read_bytes())
    assert "array 'score'" in fail(tmp_path / "x.npz", need_labels=False).message


def test_npy_header_that_is_code_or_garbage(fail, tmp_path):
    for header in (
        b"__import__('os').system('true')",
        b"{'descr': '<f4'}",
        b"\xff" * 20,
        b"[" * 5_000,
    ):
        size = len(header) + 1
        path = tmp_path / "x.npy"
        path.write_bytes(b"\x93NUMPY\x01\x00" + size.to_bytes(2, "little") + header + b"\n")
        fail(path, need_labels=False)


def test_npy_with_trailing_bytes(fail, tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros(3))
    path.write_bytes(path.read_bytes() + b"more")
    assert "promises 24 bytes of data, the file holds 28" in fail(path, need_labels=False).message


def test_npy_of_other_shapes_and_types(fail, tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((2, 3, 4)))
    assert "segmentation" in fail(path, need_labels=False).hint
    np.save(path, np.float64(0.5))
    assert "shape ()" in fail(path, need_labels=False).message
    np.save(path, np.zeros(3, dtype=complex))
    assert "not numbers" in fail(path, need_labels=False).message
    np.save(path, np.array(["a", "b"]))
    assert "holds text, where scores are expected" in fail(path, need_labels=False).message
    np.save(path, np.zeros((3, 0)))
    assert "no columns" in fail(path, need_labels=False).message


def test_wrong_column(fail, write):
    path = write("x.csv", "score,label,camera\n.5,1,a\n")
    error = fail(path, score="scores")
    assert error.message == f"{path} has no column 'scores' (--score)"
    assert error.hint == "did you mean 'score'?; columns: score, label, camera"
    assert "(--group)" in fail(path, groups=("kamera",)).message
    assert "(--label)" in fail(path, label="truth").message
    assert "(--cluster)" in fail(path, cluster="patient").message
    assert "'p_*'" in fail(path, scores=("p_*",)).message


def test_ambiguous_or_absent_column(fail, write):
    path = write("x.csv", "score,prob,label\n.5,.5,1\n")
    assert "2 columns that may be the score: score, prob" in fail(path).message
    path = write("y.csv", "score,label,y\n.5,1,1\n")
    assert "2 columns that may be the label: label, y" in fail(path).message
    path = write("z.csv", "a,b\n.5,1\n")
    assert "no score column; its columns: a, b" in fail(path).message


def test_no_header(fail, write):
    assert "begins with numbers" in fail(write("x.csv", "0.5,1\n0.25,0\n")).message


def test_duplicate_column_names(fail, write, tmp_path):
    assert (
        "more than one column score" in fail(write("x.csv", "score,score,label\n.5,.5,1\n")).message
    )
    table = pa.table([[0.5], [0.5], [1]], names=["score", "score", "label"])
    pa.parquet.write_table(table, tmp_path / "x.parquet")
    assert "more than one column score" in fail(tmp_path / "x.parquet").message


def test_text_in_a_score_column(fail, write):
    rows = "".join(f"0.{i % 9},1\n" for i in range(300_000))
    path = write("x.csv", f"score,label\n{rows}{SECRET},1\n0.5,0\n{SECRET},0\n")
    error = fail(path)
    assert error.message == f"column 'score' of {path}, row 300,001: not a number (and 1 more)"


def test_text_column_as_score(fail, write):
    for kind in ("parquet", "arrow"):
        path = write(f"x.{kind}", {"score": [SECRET, "0.5"], "label": [0, 1]})
        assert (
            fail(path).message == f"column 'score' of {path}: holds text, where scores are expected"
        )
    path = write(
        "d.parquet", {"score": pa.array(["0.5", "x"]).dictionary_encode(), "label": [0, 1]}
    )
    assert "holds text" in fail(path).message
    path = write("t.parquet", {"score": pa.array([0, 1], pa.timestamp("s")), "label": [0, 1]})
    assert "holds no numbers" in fail(path).message


def test_rows_with_too_few_or_too_many_values(fail, write):
    good = "0.5,1\n" * 10
    path = write("x.csv", f"score,label\n{good}0.5,1,{SECRET}\n")
    assert fail(path).message == f"{path}, row 11: 3 values, the header names 2 columns"
    path = write("y.csv", f"score,label\n{good}0.5\n")
    assert fail(path).message == f"{path}, row 11: 1 values, the header names 2 columns"


def test_a_quote_that_is_never_closed(fail, write):
    assert "x.csv" in fail(write("x.csv", f'score,label\n0.5,"1\n{SECRET},2\n')).message


def test_text_that_is_not_utf8(fail, write):
    for content in (
        "score,läbel\n.5,1\n".encode("latin1"),
        b"score,label,g\n" + f".5,1,{SECRET}é\n".encode("latin1"),
        "score,label\n.5,1\n".encode("utf-16"),
    ):
        options = {"groups": ("g",)} if b"g\n" in content else {}
        error = fail(write("x.csv", content), **options)
        assert "is not UTF-8 text" in error.message


def test_labels_of_three_kinds_in_a_binary_file(fail, write):
    for kind in ("csv", "parquet"):
        path = write(f"x.{kind}", {"score": [0.5] * 4, "label": [0, 1, 2, 2]})
        error = fail(path)
        assert error.message == (
            f"column 'label' of {path}: a label that is neither 0 nor 1 in 2 rows, "
            "the first is row 3"
        )
        assert "--positive 2" in error.hint


def test_labels_of_many_kinds_are_not_shown(fail, write):
    path = write("x.csv", {"score": [0.5] * 40, "label": [f"{SECRET}{i}" for i in range(40)]})
    assert "in 40 rows" in fail(path).message


def test_labels_beyond_k(fail, tmp_path):
    np.save(tmp_path / "z.npy", np.zeros((5, 3)))
    np.save(tmp_path / "y.npy", [0, 1, 2, 3, -1])
    error = fail(tmp_path / "z.npy", labels=str(tmp_path / "y.npy"))
    assert error.message == (
        f"{tmp_path}/y.npy: a label that is none of the 3 classes in 2 rows, the first is row 4"
    )
    assert error.hint.startswith("the classes are 0, 1, 2")


@pytest.mark.parametrize("kind", ["npy", "csv", "parquet"])
def test_scores_and_labels_of_different_length(kind, fail, write, tmp_path):
    np.save(tmp_path / "s.npy", np.zeros(5))
    if kind == "npy":
        np.save(tmp_path / "y.npy", np.zeros(4))
    else:
        write(f"y.{kind}", {"label": [0, 1, 0, 1]})
    error = fail(tmp_path / "s.npy", labels=str(tmp_path / f"y.{kind}"))
    assert "holds 5 rows of scores" in error.message
    assert "4 labels" in error.message
    scores = write("s.csv", {"score": [0.5] * 5})
    assert "5 rows of scores" in fail(scores, labels=str(tmp_path / f"y.{kind}")).message


def test_mixed_schemas(fail, write, tmp_path):
    a = write("a.parquet", {"score": [0.5], "label": [1]})
    b = write("b.parquet", {"p": [0.5], "label": [1]})
    assert fail(a, b).message == f"{b} has no column 'score', which {a} has"
    c = write("c.parquet", {"score": ["x"], "label": [1]})
    assert "another type" in fail(a, c).message
    np.save(tmp_path / "d.npy", np.zeros(3))
    assert "cannot be one data set" in fail(a, tmp_path / "d.npy").message
    np.save(tmp_path / "e.npy", np.zeros((3, 2)))
    assert (
        "another type or width"
        in fail(tmp_path / "d.npy", tmp_path / "e.npy", need_labels=False).message
    )


def test_the_same_file_twice(fail, write, tmp_path):
    path = write("a.csv", "score,label\n.5,1\n")
    assert "is given twice" in fail(path, tmp_path / "*.csv").message


def test_unknown_suffix(fail, write):
    error = fail(write("scores.dat", "score,label\n.5,1\n"))
    assert "suffix" in error.message
    assert "--input-format" in error.hint


def test_negative_weight_and_broken_count(fail, write):
    path = write("x.csv", "score,label,w,n\n.5,1,1,1\n.5,1,-1,1.5\n.5,1,,x\n")
    assert fail(path, weight="w").message == (
        f"column 'w' of {path}, row 2: not a weight (a number of 0 or more) (and 1 more)"
    )
    assert fail(path, count="n").message == f"column 'n' of {path}, row 3: not a number"
    path = write("y.csv", "score,label,n\n.5,1,1\n.5,1,1.5\n")
    assert "row 2: not a count" in fail(path, count="n").message


def test_missing_cluster_id(fail, write):
    columns = {"score": [0.5] * 3, "label": [0, 1, 0], "c": ["a", None, "b"]}
    for name in ("x.parquet", "x.csv", "x.arrow"):
        path = write(name, columns)
        assert fail(path, cluster="c").message == f"column 'c' of {path}, row 2: no cluster id"


def test_saved_statistics_are_no_rows(fail, write):
    assert "holds no rows of scores" in fail(write("x.json", "{}")).message


def test_a_first_line_without_an_end(fail, write):
    assert "longer than 8 MB" in fail(write("x.csv", b"a," * 5_000_000)).message


def test_a_row_without_an_end(fail, write):
    path = write("x.csv", b"score,label\n" + b"0.5,1\n" * 10 + b"0" * 9_000_000)
    assert "x.csv" in fail(path).message


def test_decompression_bomb_stays_in_memory_bounds(fail, tmp_path):
    path = tmp_path / "bomb.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"score,label\n")
        for _ in range(64):
            file.write(b"0" * 2**20)  # one endless value
    assert "bomb.csv.gz" in fail(path).message


def test_npz_member_that_is_cut(fail, tmp_path):
    np.savez(tmp_path / "x.npz", score=np.zeros(5), label=np.zeros(5))
    content = (tmp_path / "x.npz").read_bytes()
    at = content.index(b"score.npy")
    broken = content[: at + 180] + b"\x01" + content[at + 181 :]  # a checksum that fails
    (tmp_path / "x.npz").write_bytes(broken)
    fail(tmp_path / "x.npz")


def test_npz_that_is_encrypted(fail, tmp_path):
    np.savez(tmp_path / "x.npz", scores=np.zeros((1, 2, 2)), labels=np.zeros((1, 2, 2)))
    content = bytearray((tmp_path / "x.npz").read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + place] |= 1  # the flag of an encrypted member
            at = content.find(mark, at + 4)
    (tmp_path / "x.npz").write_bytes(content)
    for source in expand((str(tmp_path / "x.npz"),)):
        with pytest.raises(InputError, match="damaged or of another type"):
            open_images(source, ("scores",), "scores")
    fail(tmp_path / "x.npz")


def test_messages_stay_on_one_line_whatever_the_names(fail, write):
    path = write("a\nb.csv", "score,label\n")
    assert "'" in fail(path).message
    path = write("x.csv", '"sc\nore","<script>","=1+1"\n.5,1,2\n')
    assert "'sc\\nore'" in fail(path).hint or "'sc\\nore'" in fail(path).message
