"""The same rows through every type of file give the same batches."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calibcli.errors import InputError, UsageError
from calibcli.io.rows.dataset import InputSpec, open_dataset

RNG = np.random.default_rng(20_240_501)
N = 1_000
SCORE = RNG.random(N)
LABEL = (RNG.random(N) < SCORE).astype(np.int64)
CAMERA = np.array(["front", "rear", "left, far", 'q"x'])[RNG.integers(0, 4, N)]
PATIENT = RNG.integers(0, 50, N)
WEIGHT = RNG.random(N) * 3
COUNT = RNG.integers(0, 5, N)
COLUMNS = {
    "score": SCORE,
    "label": LABEL,
    "camera": CAMERA,
    "patient": PATIENT,
    "weight": WEIGHT,
    "n": COUNT,
}
TABLES = ("x.parquet", "x.csv", "x.csv.gz", "x.csv.zst", "x.arrow", "x.arrows", "x.jsonl")


@pytest.mark.parametrize("name", TABLES)
def test_every_table_gives_the_same_rows(name, write, read):
    rows = read(
        write(name, COLUMNS),
        groups=("camera",),
        cluster="patient",
        weight="weight",
        count="n",
    )
    np.testing.assert_array_equal(rows.scores, SCORE)
    assert rows.scores.dtype == np.float64
    np.testing.assert_array_equal(rows.labels, LABEL)
    assert rows.labels.dtype == np.int8
    np.testing.assert_array_equal(rows.weight, WEIGHT * COUNT)
    np.testing.assert_array_equal(rows.count, COUNT)
    assert rows.groups == [CAMERA.tolist()]
    # One hash for each patient, another for each other one.
    by_patient = {p: set(rows.unit[PATIENT == p].tolist()) for p in range(50)}
    assert all(len(hashes) == 1 for hashes in by_patient.values())
    assert len(set.union(*by_patient.values())) == 50


def test_cluster_hashes_agree_between_text_and_integers(write, read):
    hashes = [read(write(name, COLUMNS), cluster="patient").unit for name in TABLES]
    for other in hashes[1:]:
        np.testing.assert_array_equal(hashes[0], other)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    score=hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1)),
    seed=st.integers(0, 2**32 - 1),
)
def test_csv_parquet_arrow_and_npy_agree_to_the_last_bit(score, seed, write, read, tmp_path):
    label = np.random.default_rng(seed).integers(0, 2, score.size)
    np.save(tmp_path / "s.npy", score)
    np.save(tmp_path / "y.npy", label)
    found = [read(write(f"h.{t}", {"p": score, "y": label})) for t in ("csv", "parquet", "arrow")]
    found.append(read(tmp_path / "s.npy", labels=str(tmp_path / "y.npy")))
    for rows in found:
        np.testing.assert_array_equal(rows.scores, score)
        np.testing.assert_array_equal(rows.labels, label)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", ["parquet", "arrow", "npy"])
def test_scores_keep_their_precision(dtype, kind, write, read, tmp_path):
    score = np.array([0.1, 0.7, 0.25], dtype=dtype)
    if kind == "npy":
        np.save(tmp_path / "s.npy", score)
        rows = read(tmp_path / "s.npy", need_labels=False)
    else:
        rows = read(write(f"x.{kind}", {"score": score, "label": [0, 1, 1]}))
    assert rows.scores.dtype == dtype
    np.testing.assert_array_equal(rows.scores, score)


def test_batches_are_bounded_and_in_row_order(write, opened):
    n = 300_000
    score = np.linspace(0, 1, n)
    for name in ("big.parquet", "big.arrow", "big.csv"):
        data = opened(write(name, {"score": score, "label": np.arange(n) % 2}))
        at = 0
        for batch in data.batches():
            assert len(batch) <= 131_072
            assert batch.first_row == at
            at += len(batch)
        assert at == n
        assert data.inputs == [{"path": data.paths[0], "rows": n}]


def test_wide_rows_come_in_batches_of_about_a_million_numbers(opened, tmp_path):
    np.save(tmp_path / "z.npy", np.zeros((25_000, 100), dtype=np.float32))
    data = opened(tmp_path / "z.npy", need_labels=False, logits=True)
    sizes = [batch.scores.size for batch in data.batches()]
    assert max(sizes) <= 2**20
    assert sum(sizes) == 2_500_000


def test_row_groups_become_partitions_of_about_a_million_rows(write, opened):
    n = 2_500_000
    path = write(
        "g.parquet",
        {"score": np.zeros(n, dtype=np.float32), "label": np.zeros(n, dtype=np.int8)},
        row_group_size=100_000,
    )
    data = opened(path)
    assert [p.rows for p in data.partitions] == [1_000_000, 1_000_000, 500_000]
    assert [p.first_row for p in data.partitions] == [0, 1_000_000, 2_000_000]
    assert data.inputs[0]["rows"] == n  # known without a pass


def test_partitions_can_be_read_from_threads_and_again(write, opened):
    n = 200_000
    path = write(
        "t.parquet", {"score": RNG.random(n), "label": RNG.integers(0, 2, n)}, row_group_size=10_000
    )
    parts = [path, write("t.csv", {"score": RNG.random(n), "label": RNG.integers(0, 2, n)})]
    data = opened(*parts)

    def total(partition):
        return sum(float(b.scores.sum()) + int(b.labels.sum()) for b in partition.batches())

    alone = [total(partition) for partition in data.partitions]
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(total, p) for _ in range(3) for p in data.partitions]
        assert [job.result() for job in jobs] == alone * 3


def test_partitions_survive_pickling(write, opened, tmp_path):
    np.save(tmp_path / "y.npy", LABEL)
    np.save(tmp_path / "s.npy", SCORE)
    write_names = [write(name, COLUMNS) for name in TABLES]
    for data in (
        *[opened(path, cluster="patient") for path in write_names],
        opened(tmp_path / "s.npy", labels=str(tmp_path / "y.npy")),
    ):
        for partition in data.partitions:
            again = pickle.loads(pickle.dumps(partition))
            for a, b in zip(partition.batches(), again.batches(), strict=True):
                np.testing.assert_array_equal(a.scores, b.scores)
                np.testing.assert_array_equal(a.labels, b.labels)


def test_several_files_are_one_data_set(write, opened):
    a = write("a.csv", {"score": SCORE[:400], "label": LABEL[:400]})
    b = write("b.parquet", {"label": LABEL[400:], "extra": LABEL[400:], "score": SCORE[400:]})
    data = opened(a, b)
    assert data.inputs == [{"path": str(a), "rows": None}, {"path": str(b), "rows": 600}]
    batches = list(data.batches())
    np.testing.assert_array_equal(np.concatenate([x.scores for x in batches]), SCORE)
    assert [x.source for x in batches] == [str(a), str(b)]
    assert [x.source_index for x in batches] == [0, 1]
    assert data.inputs == [{"path": str(a), "rows": 400}, {"path": str(b), "rows": 600}]


class TestMulticlass:
    Z = RNG.normal(size=(60, 3)).astype(np.float32)
    Y = RNG.integers(0, 3, 60)
    NAMES = np.array(["cat", "dog", "=1+1"])

    @pytest.mark.parametrize("kind", ["parquet", "csv", "arrow"])
    def test_named_columns_with_labels_by_name(self, kind, write, opened):
        columns = {f"p_{c}": self.Z[:, i].astype(float) for i, c in enumerate(self.NAMES)}
        path = write(f"m.{kind}", {**columns, "label": self.NAMES[self.Y]})
        for scores in (("p_*",), tuple(columns)):
            data = opened(path, scores=scores, logits=True)
            assert (data.task, data.classes) == ("multiclass", ("cat", "dog", "=1+1"))
            (batch,) = data.batches()
            np.testing.assert_array_equal(batch.scores, self.Z.astype(float))
            np.testing.assert_array_equal(batch.labels, self.Y)

    @pytest.mark.parametrize("kind", ["parquet", "csv"])
    def test_labels_may_be_the_index_of_the_class(self, kind, write, opened):
        columns = {c: self.Z[:, i].astype(float) for i, c in enumerate(["VF", "F", "M"])}
        path = write(f"m.{kind}", {**columns, "y": self.Y})
        data = opened(path, scores=("VF", "F", "M"))
        assert data.classes == ("VF", "F", "M")
        (batch,) = data.batches()
        np.testing.assert_array_equal(batch.labels, self.Y)
        assert batch.labels.dtype == np.int64

    @pytest.mark.parametrize("kind", ["parquet", "arrow"])
    @pytest.mark.parametrize("fixed", [True, False])
    def test_a_list_column_is_k_scores(self, kind, fixed, write, opened):
        flat = pa.array(self.Z.reshape(-1))
        lists = (
            pa.FixedSizeListArray.from_arrays(flat, 3)
            if fixed
            else pa.ListArray.from_arrays(np.arange(61, dtype=np.int32) * 3, flat)
        )
        path = write(f"l.{kind}", {"probs": lists, "label": self.Y})
        for options in ({"scores": ("probs",)}, {"score": "probs"}, {}):
            data = opened(path, logits=True, **options)
            assert (data.task, data.classes) == ("multiclass", ("0", "1", "2"))
            (batch,) = data.batches()
            np.testing.assert_array_equal(batch.scores, self.Z)
            assert batch.scores.dtype == np.float32

    def test_lists_of_different_length_are_refused(self, write, opened):
        path = write("l.parquet", {"probs": [[0.1, 0.9], [0.5, 0.5], [1.0]], "label": [0, 1, 0]})
        with pytest.raises(InputError, match=r"column 'probs' .* row 3: 1 value, where the first"):
            list(opened(path).batches())

    def test_class_names_bind_to_columns_in_order(self, opened, tmp_path, write):
        np.save(tmp_path / "z.npy", self.Z)
        labels = write("y.csv", "truth\n" + "\n".join(self.NAMES[self.Y]) + "\n")
        data = opened(tmp_path / "z.npy", labels=str(labels), classes=tuple(self.NAMES))
        (batch,) = data.batches()
        np.testing.assert_array_equal(batch.labels, self.Y)

    def test_a_class_that_does_not_occur_is_no_error(self, opened, tmp_path):
        np.save(tmp_path / "z.npy", self.Z)
        np.save(tmp_path / "y.npy", np.zeros(60, dtype=np.uint8))
        data = opened(tmp_path / "z.npy", labels=str(tmp_path / "y.npy"))
        assert data.classes == ("0", "1", "2")
        assert next(data.batches()).labels.sum() == 0

    def test_one_hot_labels_with_the_task_named(self, opened, tmp_path):
        np.save(tmp_path / "z.npy", self.Z)
        np.save(tmp_path / "y.npy", np.eye(3)[self.Y])
        data = opened(tmp_path / "z.npy", labels=str(tmp_path / "y.npy"), task="multiclass")
        np.testing.assert_array_equal(next(data.batches()).labels, self.Y)
        bad = np.eye(3)[self.Y]
        bad[7, :] = 1
        np.save(tmp_path / "y.npy", bad)
        data = opened(tmp_path / "z.npy", labels=str(tmp_path / "y.npy"), task="multiclass")
        with pytest.raises(InputError, match="row 8: not one class"):
            list(data.batches())

    def test_wrong_number_of_classes(self, opened, tmp_path):
        np.save(tmp_path / "z.npy", self.Z)
        with pytest.raises(UsageError, match="names 2 classes, but each row has 3 scores"):
            opened(tmp_path / "z.npy", need_labels=False, classes=("a", "b"))
        with pytest.raises(UsageError, match="twice"):
            opened(tmp_path / "z.npy", need_labels=False, classes=("a", "b", "a"))


class TestTwoColumns:
    def test_probability_of_the_second_column(self, opened, tmp_path):
        p = np.array([[0.25, 0.75], [0.5, 0.5]], dtype=np.float32)
        np.save(tmp_path / "p.npy", p)
        np.save(tmp_path / "y.npy", [1, 0])
        data = opened(tmp_path / "p.npy", labels=str(tmp_path / "y.npy"), task="binary")
        (batch,) = data.batches()
        np.testing.assert_array_equal(batch.scores, p[:, 1])
        assert (data.task, data.classes, batch.labels.dtype) == ("binary", (), np.int8)

    def test_difference_of_two_logits(self, opened, tmp_path):
        z = np.array([[1.5, -2.0], [0.1, 0.7]], dtype=np.float16)
        np.save(tmp_path / "z.npy", z)
        data = opened(tmp_path / "z.npy", task="binary", logits=True, need_labels=False)
        (batch,) = data.batches()
        np.testing.assert_array_equal(batch.scores, z[:, 1].astype(float) - z[:, 0].astype(float))
        assert batch.scores.dtype == np.float64

    def test_without_a_task_it_is_multiclass(self, opened, tmp_path):
        np.save(tmp_path / "p.npy", np.full((4, 2), 0.5))
        np.save(tmp_path / "y.npy", [0, 1, 0, 1])
        data = opened(tmp_path / "p.npy", labels=str(tmp_path / "y.npy"))
        assert (data.task, data.classes) == ("multiclass", ("0", "1"))

    def test_class_names_make_the_second_one_positive(self, opened, tmp_path, write):
        np.save(tmp_path / "p.npy", np.full((3, 2), 0.5))
        labels = write("y.csv", "y\nbad\ngood\nbad\n")
        data = opened(
            tmp_path / "p.npy", labels=str(labels), task="binary", classes=("good", "bad")
        )
        np.testing.assert_array_equal(next(data.batches()).labels, [1, 0, 1])

    def test_three_columns_are_not_binary(self, opened, tmp_path):
        np.save(tmp_path / "p.npy", np.full((3, 3), 1 / 3))
        with pytest.raises(InputError, match="3 scores in each row, which is not binary"):
            opened(tmp_path / "p.npy", task="binary", need_labels=False)


class TestMultilabel:
    P = RNG.random((50, 4))
    Y = RNG.integers(0, 2, (50, 4))

    def test_arrays(self, opened, tmp_path):
        np.save(tmp_path / "p.npy", self.P)
        for dtype in (np.int64, np.float32, bool):
            np.save(tmp_path / "y.npy", self.Y.astype(dtype))
            data = opened(tmp_path / "p.npy", labels=str(tmp_path / "y.npy"))
            (batch,) = data.batches()
            assert (data.task, data.classes) == ("multilabel", ("0", "1", "2", "3"))
            np.testing.assert_array_equal(batch.labels, self.Y)
            assert batch.labels.dtype == np.int8

    @pytest.mark.parametrize("kind", ["csv", "parquet"])
    def test_label_columns_bind_to_score_columns_by_suffix(self, kind, write, opened):
        names = ["cat", "dog", "owl", "bat"]
        scores = {f"p_{c}": self.P[:, i] for i, c in enumerate(names)}
        labels = {f"y_{c}": self.Y[:, i] for i, c in reversed(list(enumerate(names)))}
        path = write(f"t.{kind}", {**labels, **scores})
        data = opened(path, scores=("p_*",), label="y_*")
        (batch,) = data.batches()
        assert data.task == "multilabel"
        assert data.classes == tuple(names)
        np.testing.assert_array_equal(batch.labels, self.Y)
        chosen = ",".join(f"y_{c}" for c in names)
        np.testing.assert_array_equal(
            next(opened(path, scores=("p_*",), label=chosen).batches()).labels, self.Y
        )

    def test_a_list_column_of_labels(self, write, opened):
        path = write("t.parquet", {"probs": self.P.tolist(), "label": self.Y.tolist()})
        data = opened(path, scores=("probs",))
        assert data.task == "multilabel"
        np.testing.assert_array_equal(next(data.batches()).labels, self.Y)

    def test_another_number_of_labels(self, opened, tmp_path):
        np.save(tmp_path / "p.npy", self.P)
        np.save(tmp_path / "y.npy", self.Y[:, :3])
        with pytest.raises(InputError, match="4 scores in each row, but 3 labels"):
            opened(tmp_path / "p.npy", labels=str(tmp_path / "y.npy"))


class TestDropInvalid:
    CSV = "score,label,g,w\n0.5,1,a,1\n0.25,,b,2\n0.75,0,c,3\n,1,d,4\n0.1,NA,e,5\n"

    def test_missing_labels_are_an_error_with_the_count_and_the_first_row(self, write, read):
        with pytest.raises(
            InputError,
            match=r"column 'label' of .*x.csv: a missing label in 2 rows, the first is row 2",
        ) as e:
            read(write("x.csv", self.CSV))
        assert "--drop-invalid" in e.value.hint

    def test_dropped_rows_are_counted_and_rows_keep_their_number(self, write, opened):
        data = opened(write("x.csv", self.CSV), drop_invalid=True, groups=("g",), weight="w")
        (batch,) = data.batches()
        assert batch.dropped == 2
        assert [batch.row(i) for i in range(len(batch))] == [0, 2, 3]
        np.testing.assert_array_equal(batch.scores, [0.5, 0.75, np.nan])
        np.testing.assert_array_equal(batch.labels, [1, 0, 1])
        np.testing.assert_array_equal(batch.weight, [1, 3, 4])
        assert [batch.groups[0].values[c] for c in batch.groups[0].codes] == ["a", "c", "d"]
        assert data.inputs[0]["rows"] == 5

    def test_unknown_labels_are_not_dropped(self, write, read):
        with pytest.raises(InputError, match="neither 0 nor 1 in 1 row, the first is row 2"):
            read(write("x.csv", "score,label\n.5,1\n.5,2\n.5,\n"), drop_invalid=True)

    def test_the_count_is_that_of_the_whole_data_set(self, write, opened):
        n = 60_000
        label = np.zeros(n)
        label[[5, 20_001, 59_999]] = np.nan
        path = write("x.parquet", {"score": np.zeros(n), "label": label}, row_group_size=20_000)
        data = opened(path)
        # A later partition meets its own missing label first; the message is the same.
        for partition in (data.partitions[-1], data.partitions[0]):
            with pytest.raises(InputError, match="in 3 rows, the first is row 6"):
                list(partition.batches())


class TestKeepColumns:
    def test_csv_columns_are_kept_as_text(self, write, opened):
        text = 'id,score,label,note\n007,0.50,1,"a,b"\n1e3,1.0,0,\n,0.25,1,""\n'
        data = opened(write("x.csv", text), keep=True)
        (batch,) = data.batches()
        assert batch.table.to_pydict() == {
            "id": ["007", "1e3", None],
            "score": ["0.50", "1.0", "0.25"],
            "label": ["1", "0", "1"],
            "note": ["a,b", None, ""],
        }
        np.testing.assert_array_equal(batch.scores, [0.5, 1.0, 0.25])
        assert batch.table.schema == data.schema

    def test_parquet_columns_keep_type_and_order(self, write, opened):
        path = write("x.parquet", COLUMNS)
        data = opened(path, keep=True, need_labels=False)
        (batch,) = data.batches()
        assert batch.labels is None
        assert batch.table.schema.names == list(COLUMNS)
        assert batch.table.to_pydict() == {k: v.tolist() for k, v in COLUMNS.items()}

    def test_later_files_are_brought_to_the_types_of_the_first(self, write, opened):
        a = write("a.parquet", {"score": [0.5], "k": pa.array([1], pa.int64())})
        b = write("b.parquet", {"k": pa.array([2], pa.int16()), "score": [0.25]})
        data = opened(a, b, keep=True, need_labels=False)
        tables = pa.Table.from_batches([x.table for x in data.batches()])
        assert tables.to_pydict() == {"score": [0.5, 0.25], "k": [1, 2]}

    def test_files_with_other_columns_are_refused(self, write, opened):
        a = write("a.parquet", {"score": [0.5], "k": [1]})
        b = write("b.parquet", {"score": [0.5]})
        with pytest.raises(InputError, match=r"b\.parquet has no column 'k'"):
            opened(a, b, keep=True, need_labels=False)
        with pytest.raises(InputError, match=r"a\.parquet has the columns k, which"):
            opened(b, a, keep=True, need_labels=False)
        assert opened(a, b, need_labels=False).inputs[1]["rows"] == 1


class TestPositive:
    @pytest.mark.parametrize("kind", ["csv", "parquet"])
    def test_the_named_label_is_one_and_all_others_zero(self, kind, write, read):
        path = write(f"x.{kind}", {"score": [0.1, 0.2, 0.3], "truth": ["Class1", "B", "Class2"]})
        rows = read(path, label="truth", positive="Class1")
        np.testing.assert_array_equal(rows.labels, [1, 0, 0])

    def test_a_label_that_no_row_has_is_an_error(self, write, read):
        path = write("x.csv", {"score": [0.1, 0.2], "label": ["yes", "no"]})
        with pytest.raises(InputError, match="no row has the label 'Yes'") as e:
            read(path, positive="Yes")
        assert e.value.hint == "--positive is one of no, yes"

    def test_labels_by_name_need_it(self, write, read):
        path = write("x.csv", {"score": [0.1, 0.2], "label": ["Class1", "Class2"]})
        with pytest.raises(InputError, match="neither 0 nor 1 in 2 rows") as e:
            read(path)
        assert e.value.hint == "name the label that means 1: --positive Class1 or --positive Class2"

    def test_minus_one_and_zero_do_not_mix(self, write, read):
        with pytest.raises(InputError, match="the labels are -1, 0 and 1, which are three values"):
            read(write("x.csv", {"score": [0.1, 0.2, 0.3], "label": [-1, 0, 1]}))
        a = write("a.csv", {"score": [0.1, 0.2], "label": [-1, 1]})
        b = write("b.parquet", {"score": [0.1, 0.2], "label": [0, 1]})
        with pytest.raises(InputError, match="the labels are -1, 0 and 1, which are three values"):
            read(a, b)

    def test_it_is_for_binary(self, opened, tmp_path):
        np.save(tmp_path / "z.npy", np.zeros((3, 3)))
        with pytest.raises(UsageError, match="--positive is for binary"):
            opened(tmp_path / "z.npy", need_labels=False, positive="1")


def test_labels_may_be_asked_for_only_if_there_are_any(write, opened):
    with_label = write("a.csv", {"score": [0.5], "label": [1]})
    without = write("b.csv", {"score": [0.5], "other": [1]})
    assert next(opened(with_label, need_labels=None).batches()).labels is not None
    assert next(opened(without, need_labels=None).batches()).labels is None
    assert next(opened(with_label, need_labels=False).batches()).labels is None
    with pytest.raises(InputError, match="no label column; its columns: score, other"):
        opened(without)


def test_missing_groups_are_a_group_of_their_own(write, read):
    groups = ["a", None, "b", ""]
    expected = ["a", "(missing)", "b", "(missing)"]
    columns = {"score": [0.5] * 4, "label": [0, 1, 0, 1], "g": groups}
    for name in ("x.parquet", "x.arrow", "x.csv"):
        assert read(write(name, columns), groups=("g",)).groups == [expected]


def test_a_number_as_group_reads_the_same_from_every_file(write, read):
    columns = {"score": [0.5] * 3, "label": [0, 1, 0], "g": [3, 1, 3], "b": [True, False, True]}
    for name in ("x.parquet", "x.arrow", "x.csv"):
        rows = read(write(name, columns), groups=("g", "b"))
        assert rows.groups == [["3", "1", "3"], ["true", "false", "true"]]


def test_empty_files_among_others_are_skipped(write, read):
    empty = write("a.csv", "score,label\n")
    full = write("b.csv", "score,label\n.5,1\n")
    np.testing.assert_array_equal(read(empty, full).scores, [0.5])


def test_a_column_may_play_several_roles(write, read):
    columns = {"score": [0.0, 1.0, 1.0], "label": [0, 1, 1]}
    for name in ("x.parquet", "x.csv"):
        rows = read(
            write(name, columns), groups=("label", "score"), cluster="label", weight="score"
        )
        np.testing.assert_array_equal(rows.scores, [0, 1, 1])
        np.testing.assert_array_equal(rows.weight, [0, 1, 1])
        assert rows.groups[0] == ["0", "1", "1"]
        assert len(set(rows.unit.tolist())) == 2


def test_open_dataset_reads_only_headers(write, monkeypatch):
    from calibcli.io.formats.arrow import ParquetReader

    path = write("x.parquet", COLUMNS)
    monkeypatch.setattr(ParquetReader, "read", None)
    assert open_dataset(InputSpec((str(path),))).task == "binary"
