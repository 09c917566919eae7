"""Labels in a file of their own, cut by the rows of the scores."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from calibcli.errors import InputError

N = 1_000
RNG = np.random.default_rng(7)
Z = RNG.normal(size=(N, 3)).astype(np.float32)
P = RNG.random(N)
Y3 = RNG.integers(0, 3, N)
Y = RNG.integers(0, 2, N)
NAMES = np.array(["cat", "dog", "owl"])


@pytest.mark.parametrize("kind", ["npy", "csv", "parquet", "arrow", "arrows", "npz"])
def test_any_type_of_labels_file(kind, tmp_path, write, read):
    np.save(tmp_path / "z.npy", Z)
    path = tmp_path / f"y.{kind}"
    if kind == "npy":
        np.save(path, Y3)
    elif kind == "npz":
        np.savez(path, label=Y3)
    else:
        write(path.name, {"label": Y3})
    rows = read(tmp_path / "z.npy", labels=str(path), logits=True)
    np.testing.assert_array_equal(rows.labels, Y3)


def test_many_files_of_scores_and_of_labels_that_end_elsewhere(tmp_path, write, read):
    for name, cut in (("a", slice(0, 100)), ("b", slice(100, 731)), ("c", slice(731, None))):
        np.save(tmp_path / f"{name}.npy", P[cut])
    for name, cut in (("y1", slice(0, 500)), ("y2", slice(500, None))):
        np.save(tmp_path / f"{name}.npy", Y[cut].astype(np.int8))
    rows = read(tmp_path / "[abc].npy", labels=str(tmp_path / "y?.npy"))
    np.testing.assert_array_equal(rows.scores, P)
    np.testing.assert_array_equal(rows.labels, Y)
    csvs = [write(f"s{i}.csv", {"score": part}) for i, part in enumerate(np.array_split(P, 3))]
    write("y.parquet", {"y": Y}, row_group_size=77)
    rows = read(*csvs, labels=str(tmp_path / "y.parquet"))
    np.testing.assert_array_equal(rows.labels, Y)


def test_several_partitions_and_batches(tmp_path, read):
    n = 1_200_000
    p = np.linspace(0, 1, n, dtype=np.float32)
    y = (np.arange(n) % 7 == 0).astype(np.uint8)
    np.save(tmp_path / "p.npy", p)
    np.save(tmp_path / "y.npy", y)
    rows = read(tmp_path / "p.npy", labels=str(tmp_path / "y.npy"))
    np.testing.assert_array_equal(rows.labels, y)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_weights_groups_and_clusters_beside_an_array(kind, tmp_path, write, read):
    np.save(tmp_path / "z.npy", Z)
    columns = {
        "truth": NAMES[Y3],
        "w": RNG.random(N),
        "n": RNG.integers(1, 4, N),
        "camera": np.where(Y == 1, "front", "rear"),
        "patient": np.arange(N) % 10,
    }
    options = {
        "label": "truth",
        "weight": "w",
        "count": "n",
        "groups": ("camera",),
        "cluster": "patient",
        "classes": tuple(NAMES),
    }
    path = write(f"y.{kind}", columns)
    rows = read(tmp_path / "z.npy", labels=str(path), **options)
    np.testing.assert_array_equal(rows.labels, Y3)
    np.testing.assert_array_equal(rows.weight, columns["w"] * columns["n"])
    np.testing.assert_array_equal(rows.count, columns["n"])
    assert rows.groups == [columns["camera"].tolist()]
    together = write(f"t.{kind}", {**columns, **{f"z_{i}": Z[:, i] for i in range(3)}})
    same = read(together, scores=("z_*",), **options)
    np.testing.assert_array_equal(rows.unit, same.unit)


def test_a_labels_file_with_one_column_needs_no_name(tmp_path, write, read):
    np.save(tmp_path / "p.npy", P)
    path = write("truth.csv", {"outcome": Y})
    np.testing.assert_array_equal(read(tmp_path / "p.npy", labels=str(path)).labels, Y)
    path = write("two.csv", {"bought": Y, "other": Y})
    with pytest.raises(InputError, match="no label column; its columns: bought, other"):
        read(tmp_path / "p.npy", labels=str(path))


def test_the_labels_file_wins_over_a_label_column(write, read):
    scores = write("s.csv", {"score": P, "label": 1 - Y})
    labels = write("y.csv", {"label": Y})
    np.testing.assert_array_equal(read(scores, labels=str(labels)).labels, Y)


def test_text_labels_over_many_row_groups(tmp_path, write, read):
    np.save(tmp_path / "z.npy", Z)
    names = pa.array(NAMES[Y3])
    for label in (names, names.dictionary_encode()):
        path = write("y.parquet", {"label": label}, row_group_size=90)
        rows = read(tmp_path / "z.npy", labels=str(path), classes=tuple(NAMES))
        np.testing.assert_array_equal(rows.labels, Y3)


def test_missing_and_unknown_labels_name_the_labels_file(tmp_path, write, read):
    np.save(tmp_path / "a.npy", P[:600])
    np.save(tmp_path / "b.npy", P[600:])
    label = Y.astype(float)
    label[[650, 700]] = np.nan
    path = write("y.parquet", {"label": label})
    scores = (tmp_path / "a.npy", tmp_path / "b.npy")
    with pytest.raises(
        InputError, match=r"y\.parquet: a missing label in 2 rows, the first is row 651"
    ):
        read(*scores, labels=str(path))
    rows = read(*scores, labels=str(path), drop_invalid=True)
    assert (rows.scores.size, rows.dropped) == (N - 2, 2)
    np.testing.assert_array_equal(rows.scores, np.delete(P, [650, 700]))
    np.save(tmp_path / "y.npy", np.where(np.arange(N) == 800, 7, Y))
    with pytest.raises(
        InputError, match=r"y\.npy: a label that is neither 0 nor 1 in 1 row, .* row 801"
    ):
        read(*scores, labels=str(tmp_path / "y.npy"))


def test_missing_cluster_id_in_the_labels_file(tmp_path, write, read):
    np.save(tmp_path / "p.npy", P)
    cluster = ["a"] * N
    cluster[3] = None
    path = write("y.parquet", {"label": Y, "c": cluster})
    with pytest.raises(InputError, match=r"column 'c' of .*y\.parquet, row 4: no value"):
        read(tmp_path / "p.npy", labels=str(path), cluster="c")


def test_an_array_has_no_columns_to_name(tmp_path, read):
    np.save(tmp_path / "p.npy", P)
    np.save(tmp_path / "y.npy", Y)
    with pytest.raises(InputError, match="array without column names"):
        read(tmp_path / "p.npy", labels=str(tmp_path / "y.npy"), groups=("camera",))
    with pytest.raises(InputError, match="array without column names"):
        read(tmp_path / "p.npy", labels=str(tmp_path / "y.npy"), score="p")
    with pytest.raises(InputError, match="holds no labels") as caught:
        read(tmp_path / "p.npy")
    assert caught.value.hint == "--labels FILE, in the same row order"
