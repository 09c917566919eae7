"""One pass over a data set: counts that do not depend on how the rows were cut up."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from calibcli.errors import InputError
from calibcli.io.rows.dataset import InputSpec, open_dataset
from calibcli.tasks.collect import Layout, count

EDGES = tuple(i / 10 for i in range(1, 10))


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=3_000) ** 3
    p[:200] = np.round(p[:200], 1)
    return {
        "score": p,
        "label": (rng.uniform(size=3_000) < p).astype(int),
        "camera": rng.choice(["a", "b", "c"], 3_000),
        "visit": rng.integers(0, 500, 3_000),
    }


@pytest.fixture
def counted(write, tmp_path):
    """Write the rows in files of these numbers of rows, and count them."""

    def run(rows, sizes, *, threads=1, **layout):
        ends = np.cumsum([0, *sizes])
        paths = [
            write(f"{n}-{len(sizes)}.parquet", {k: v[a:b] for k, v in rows.items()})
            for n, (a, b) in enumerate(pairwise(ends))
        ]
        clustered = layout.pop("clustered", False)
        spec = InputSpec(
            tuple(map(str, paths)), groups=("camera",), cluster="visit" if clustered else None
        )
        wanted = Layout(
            "binary", groups=("camera",), edges=EDGES, clustered=clustered, **layout
        )  # fmt: skip
        return count(open_dataset(spec), wanted, threads=threads)

    return run


CUTS = ([3_000], [1, 2_999], [1_000, 1_000, 1_000], [2_500, 400, 100])


@pytest.mark.slow
@pytest.mark.parametrize("exact_cells", [1 << 18, 100])
def test_counts_are_identical_for_any_partition(counted, rows, monkeypatch, exact_cells):
    monkeypatch.setattr("calibcli.core.statistics.counting.tally.EXACT_CELLS", exact_cells)
    found = [counted(rows, sizes, threads=t) for sizes in CUTS for t in (1, 3)]
    digests = {one.overall.population().pairs.digest() for one in found}
    assert len(digests) == 1
    for name in ("a", "b", "c"):
        groups = [one.groups[0] for one in found]
        assert len({one.population(one.values[name]).pairs.digest() for one in groups}) == 1


@pytest.mark.parametrize("exact_cells", [1 << 18, 100])
def test_counts_at_the_edges_are_exact_however_coarse_the_cells(
    counted, rows, monkeypatch, exact_cells
):
    monkeypatch.setattr("calibcli.core.statistics.counting.tally.EXACT_CELLS", exact_cells)
    pairs = counted(rows, [3_000]).overall.population().pairs
    assert pairs.exact == (exact_cells > 3_000)
    for edge in (0.0, *EDGES, 1.0):
        below, above = pairs.floor < edge, pairs.floor > edge
        for column, label in ((pairs.pos, 1), (pairs.neg, 0)):
            mine = rows["score"][rows["label"] == label]
            assert column[below].sum() == (mine < edge).sum()
            assert column[above].sum() == (mine > edge).sum()


def test_cells_are_the_distinct_scores(counted, rows):
    pairs = counted(rows, [1_500, 1_500]).overall.population().pairs
    distinct, total = np.unique(rows["score"], return_counts=True)
    np.testing.assert_array_equal(pairs.score, distinct)
    np.testing.assert_array_equal(pairs.total, total)


def test_groups_add_up_to_the_whole(counted, rows):
    found = counted(rows, [700, 2_300])
    scope = found.groups[0]
    parts = [scope.population(member).pairs for member in scope.values.values()]
    assert sum(part.n for part in parts) == 3_000
    assert sum(part.positives for part in parts) == rows["label"].sum()


def test_clusters_are_kept_whole_in_their_buckets(counted, rows):
    pairs = counted(rows, [1_000, 2_000], clustered=True).overall.population().pairs
    one = np.ones(len(pairs.score))
    sizes = pairs.bucket_sums(one, one)
    assert sizes.sum() == 3_000
    clusters = np.unique(rows["visit"], return_counts=True)[1]
    assert len(sizes) <= 64
    assert sizes.min() >= clusters.min()


def test_a_column_of_too_many_values_is_no_group(write, monkeypatch):
    monkeypatch.setattr("calibcli.tasks.collect.MOST_GROUPS", 5)
    path = write("x.parquet", {"score": np.full(9, 0.5), "label": np.ones(9, int),
                               "row": np.arange(9)})  # fmt: skip
    spec = InputSpec((str(path),), groups=("row",))
    with pytest.raises(InputError, match="more than 5 values") as caught:
        count(open_dataset(spec), Layout("binary", groups=("row",)))
    assert "--cluster" in caught.value.hint


def test_missing_scores_are_counted_over_the_whole_data_set(write):
    scores = np.full(50, 0.5)
    paths = []
    for n in range(3):
        part = scores.copy()
        part[[10, 20]] = np.nan
        paths.append(str(write(f"{n}.parquet", {"score": part, "label": np.ones(50, int)})))
    with pytest.raises(InputError, match=r"6 rows without a score, the first is row 11 of .*0\.p"):
        count(open_dataset(InputSpec(tuple(paths))), Layout("binary"), threads=3)
    left = count(
        open_dataset(InputSpec(tuple(paths), drop_invalid=True)),
        Layout("binary", drop_invalid=True),
    )
    assert (left.dropped, left.rows) == (6, 144)


def test_rows_of_weight_zero_count_nothing(write):
    columns = {"score": [0.1, 0.2, 0.9], "label": [0, 1, 1], "w": [1.5, 0.0, 2.0]}
    spec = InputSpec((str(write("x.parquet", columns)),), weight="w")
    pairs = count(open_dataset(spec), Layout("binary", weighted=True)).overall.population().pairs
    assert pairs.score.tolist() == [0.1, 0.9]
    assert (pairs.n, pairs.positives) == (3.5, 2.0)


def test_progress_ends_at_the_number_of_rows(write):
    path = write("x.csv", {"score": np.full(500, 0.5), "label": np.ones(500, int)})
    told = []
    count(open_dataset(InputSpec((str(path),))), Layout("binary"), progress=told.append)
    assert told[-1] == 500
    assert told == sorted(told)
