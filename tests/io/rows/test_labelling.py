"""What shape labels have: one a row, one-hot, several, sets, or right and wrong predictions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from calibcli.errors import InputError, UsageError
from calibcli.io.rows.labels.coders import (
    IGNORED,
    MISSING,
    BinaryCoder,
    ClassCoder,
    MatchCoder,
    Seen,
)

RNG = np.random.default_rng(3)
K = 3
P = RNG.dirichlet(np.ones(K), 40)
Y = RNG.integers(0, K, 40)
HOT = np.eye(K, dtype=int)[Y]
CLASSES = ("cat", "dog", "owl")


def columns(prefix, values, names=CLASSES):
    return {f"{prefix}{name}": values[:, k] for k, name in enumerate(names)}


class TestOneHot:
    """Probabilities that sum to 1, with a single 1 in each row of labels, are of one class."""

    @pytest.mark.parametrize("kind", ["csv", "parquet", "list", "fixed", "npy", "npz", "labels"])
    def test_in_every_format(self, kind, read, write, tmp_path):
        labels, scores = None, ("p_*",)
        if kind in ("csv", "parquet"):
            path = write(f"x.{kind}", columns("p_", P) | columns("y_", HOT))
        elif kind in ("list", "fixed"):
            of = pa.list_(pa.int8()) if kind == "list" else pa.list_(pa.int8(), K)
            rows = {"probs": P.tolist(), "label": pa.array(HOT.tolist(), of)}
            path, scores = write("x.parquet", rows), None
        elif kind == "npz":
            path, scores = tmp_path / "x.npz", None
            np.savez(path, probs=P, labels=HOT)
        else:
            np.save(tmp_path / "p.npy", P)
            np.save(tmp_path / "y.npy", HOT)
            table = write("y.csv", columns("y_", HOT))
            labels = str(table if kind == "labels" else tmp_path / "y.npy")
            path, scores = tmp_path / "p.npy", None
        label = "y_*" if kind in ("csv", "parquet", "labels") else None
        rows = read(path, scores=scores, label=label, labels=labels)
        np.testing.assert_array_equal(rows.labels, Y)
        for task in ("multiclass", "multilabel"):
            rows = read(path, scores=scores, label=label, labels=labels, task=task)
            np.testing.assert_array_equal(rows.labels, Y if task == "multiclass" else HOT)

    def test_bound_by_name(self, read, write):
        path = write("x.csv", columns("p_", P) | columns("y_", HOT[:, ::-1], CLASSES[::-1]))
        np.testing.assert_array_equal(read(path, scores=("p_*",), label="y_*").labels, Y)

    def test_logits_take_twenty_rows_and_a_remark(self, opened, write):
        for rows, task in ((19, "multilabel"), (20, "multiclass")):
            table = columns("z_", np.log(P[:rows])) | columns("y_", HOT[:rows])
            data = opened(write("x.csv", table), scores=("z_*",), label="y_*", logits=True)
            assert data.task == task
            assert [one.code for one in data.remarks] == ["one-hot"] * (task == "multiclass")

    def test_what_is_not_one_hot_is_apart(self, opened, write):
        several = HOT.copy()
        several[7] = 1
        for scores, labels in ((P, several), (P * 0.9, HOT), (np.sqrt(P), HOT)):
            path = write("x.csv", columns("p_", scores) | columns("y_", labels))
            assert opened(path, scores=("p_*",), label="y_*").task == "multilabel"

    def test_a_later_row_that_is_not_says_what_to_type(self, read, write):
        many = np.tile(P, (100, 1))
        labels = np.tile(HOT, (100, 1))
        labels[3999] = 1
        path = write("x.csv", columns("p_", many) | columns("y_", labels))
        with pytest.raises(InputError, match=r"row 4,000: not one class per row") as error:
            read(path, scores=("p_*",), label="y_*")
        assert error.value.hint.startswith("--task multilabel")


class TestNames:
    """Columns of scores and labels are bound by names, by their order, or not at all."""

    def test_partly_equal_names_are_refused(self, read, write):
        labels = RNG.integers(0, 2, (40, 2))
        scores = columns("p_", P[:, :2], ("cat", "dog"))
        path = write("x.csv", scores | columns("y_", labels, ("dog", "bird")))
        with pytest.raises(InputError, match="share the names dog, but not bird, cat") as error:
            read(path, scores=("p_*",), label="y_*", task="multilabel")
        assert "--classes" in error.value.hint
        named = read(path, scores=("p_*",), label="y_*", task="multilabel", classes=("a", "b"))
        np.testing.assert_array_equal(named.labels, labels)

    def test_names_that_share_nothing_go_by_their_order(self, read, write):
        labels = RNG.integers(0, 2, (40, 3))
        path = write("x.csv", columns("p_", P) | columns("y_", labels, ("one", "two", "three")))
        rows = read(path, scores=("p_*",), label="y_*", task="multilabel")
        np.testing.assert_array_equal(rows.labels, labels)

    def test_labels_may_be_the_names_of_the_columns(self, read, write):
        table = columns("Class_", P, ("1", "2", "3")) | {"label": [f"Class_{k + 1}" for k in Y]}
        np.testing.assert_array_equal(read(write("x.csv", table), scores=("Class_*",)).labels, Y)

    def test_class_names_go_before_the_names_of_columns(self):
        coder = ClassCoder(("a", "p_a"), ("p_a", "p_p_a"))
        assert coder.encode(np.array(["a", "p_a", "p_p_a"]), Seen()).tolist() == [0, 1, 1]


class TestLists:
    def test_a_list_of_one_label(self, read, write):
        for of in (pa.list_(pa.int64()), pa.list_(pa.int64(), 1)):
            label = pa.array([[int(y)] for y in Y], of)
            np.testing.assert_array_equal(
                read(write("x.parquet", {"probs": P.tolist(), "label": label})).labels, Y
            )
        label = pa.array([[bool(y == 1)] for y in Y])
        rows = read(write("x.parquet", {"score": P[:, 0], "label": label}))
        np.testing.assert_array_equal(rows.labels, Y == 1)

    def test_sets_of_classes(self, opened, read, write):
        sets = [["cat"], [], ["owl", "cat"], ["dog"]]
        hot = [[1, 0, 0], [0, 0, 0], [1, 0, 1], [0, 1, 0]]
        numbered = [[CLASSES.index(name) for name in row] for row in sets]
        for label in (sets, numbered):
            path = write("x.parquet", {"probs": P[:4].tolist(), "labels": label})
            data = opened(path, classes=CLASSES)
            assert data.task == "multilabel"
            np.testing.assert_array_equal(read(path, classes=CLASSES).labels, hot)

    def test_messages_speak_of_labels(self, read, write):
        path = write("x.parquet", {"probs": P[:3].tolist(), "labels": [["cat"], ["dog"], ["cow"]]})
        with pytest.raises(InputError, match="none of the 3 classes in 1 row, the first is row 3"):
            read(path, classes=CLASSES)
        path = write("x.parquet", {"probs": P[:3].tolist(), "label": [["cat"], ["dog", "owl"], []]})
        with pytest.raises(InputError, match="lists of several labels, where each row has one"):
            read(path, classes=CLASSES, task="multiclass")
        many = [["cat"]] * 2000 + [["dog", "owl"]]
        path = write("x.parquet", {"probs": P[:1].tolist() * 2001, "label": many})
        with pytest.raises(InputError, match=r"column 'label' of .* row 2,001: a list of 2 labels"):
            read(path, classes=CLASSES)


class TestIgnored:
    @pytest.mark.parametrize("value", [-100, "?", "unknown", 255])
    def test_rows_with_the_label_to_ignore(self, value, opened, write):
        labels = [str(label) for label in (0, value, 1, value, 1)]
        path = write("x.csv", {"score": [0.1, 0.2, 0.3, 0.4, 0.5], "label": labels})
        data = opened(path, ignore_label=value)
        (batch,) = data.batches()
        assert batch.labels.tolist() == [0, 1, 1]
        assert (batch.dropped, batch.ignored, batch.row(2)) == (2, 2, 4)
        (remark,) = data.remarks
        assert (remark.code, remark.text) == (
            "ignored",
            "2 rows have the label to ignore and are left out",
        )

    def test_codes(self):
        coder = BinaryCoder(None, "-1")
        assert coder.encode(np.array([-1, 0, 1]), Seen()).tolist() == [IGNORED, 0, 1]
        coder = BinaryCoder("b", "c")
        codes = coder.encode(pa.array(["a", "b", "c", None]), Seen())
        assert codes.tolist() == [0, 1, IGNORED, MISSING]
        coder = ClassCoder(("0", "1", "2"), (), "0")
        assert coder.encode(np.array([0, 1, 2]), Seen()).tolist() == [IGNORED, 1, 2]

    def test_several_classes(self, read, tmp_path):
        labels = np.where(np.arange(40) % 4 == 0, -100, Y)
        np.save(tmp_path / "p.npy", P)
        np.save(tmp_path / "y.npy", labels)
        rows = read(tmp_path / "p.npy", labels=str(tmp_path / "y.npy"), ignore_label=-100.0)
        np.testing.assert_array_equal(rows.labels, Y[np.arange(40) % 4 != 0])

    def test_three_values_are_explained(self, read, write):
        path = write("x.csv", {"score": [0.1, 0.2, 0.3], "label": [-1, 0, 1]})
        with pytest.raises(InputError, match="-1, 0 and 1, which are three values") as error:
            read(path)
        assert "--positive" not in error.value.hint
        assert "--ignore-label -1" in error.value.hint
        assert read(path, ignore_label=-1.0).labels.tolist() == [0, 1]


class TestPredicted:
    def test_a_prediction_is_right_where_it_is_the_label(self, read, write):
        table = {
            "truth": ["cat", "dog", "owl", "1"],
            "pred": ["cat", "cat", "owl", "1.0"],
            "confidence": [0.9, 0.6, 0.8, 0.7],
        }
        for suffix in ("csv", "parquet"):
            rows = read(write(f"x.{suffix}", table), predicted="pred", groups=("pred",))
            assert rows.labels.tolist() == [1, 0, 1, 1]
            assert rows.groups == [["cat", "cat", "owl", "1.0"]]

    def test_numbers_of_different_types(self):
        match = MatchCoder("9").encode_pair
        assert match(np.array([1, 2, 3, 9]), np.array([1.0, 2.5, 3.0, 9.0]), Seen()).tolist() == [
            1, 0, 1, IGNORED,
        ]  # fmt: skip
        assert match(pa.array(["01", None]), pa.array([1, 1]), Seen()).tolist() == [0, MISSING]

    def test_options_that_do_not_go_with_it(self, read, write):
        path = write("x.csv", columns("p_", P) | {"label": Y, "pred": Y})
        with pytest.raises(UsageError, match="--predicted goes with one score a row"):
            read(path, scores=("p_*",), predicted="pred")
        with pytest.raises(UsageError, match="--predicted and --positive exclude each other"):
            read(path, score="p_cat", predicted="pred", positive="1")
        with pytest.raises(InputError, match=r"no column 'prod' .--predicted"):
            read(path, score="p_cat", predicted="prod")


class TestScores:
    def test_scale(self, read, write):
        percent = write("x.csv", {"score": [77.33, 5, 100], "label": [1, 0, 1]})
        np.testing.assert_array_equal(read(percent, scale=100.0).scores, [0.7733, 0.05, 1.0])
        bytes_ = pa.array([0, 51, 255], pa.uint8())
        rows = read(write("x.parquet", {"score": bytes_, "label": [1, 0, 1]}), scale=255.0)
        np.testing.assert_array_equal(rows.scores, [0, 0.2, 1])

    def test_rounded_probabilities(self, read, write):
        rounded = np.round(RNG.dirichlet(np.ones(12), 300), 2)
        assert np.abs(rounded.sum(axis=1) - 1).max() > 0.01
        names = [f"{k}" for k in range(12)]
        table = columns("p_", rounded, names) | {"label": RNG.integers(0, 12, 300)}
        found = read(write("x.csv", table), scores=("p_*",), renormalise=True).scores
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-15)
        np.testing.assert_allclose(found * rounded.sum(axis=1)[:, None], rounded, atol=1e-15)

    def test_what_no_rounding_explains_is_not_normalised(self, read, write):
        table = columns("p_", np.round(P * 0.8, 2)) | {"label": Y}
        with pytest.raises(InputError, match="row 1: its probabilities do not sum to 1, by more"):
            read(write("x.csv", table), scores=("p_*",), renormalise=True)
        with pytest.raises(UsageError, match="--renormalise is for the probabilities of classes"):
            read(write("x.csv", {"score": [0.5], "label": [1]}), renormalise=True)


def test_weight_and_count_multiply(read, write):
    path = write("x.csv", {"score": [0.1, 0.2], "label": [0, 1], "w": [0.5, 2], "c": [3, 4]})
    rows = read(path, weight="w", count="c")
    assert (rows.weight.tolist(), rows.count.tolist()) == ([1.5, 8.0], [3, 4])
