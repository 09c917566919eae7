"""Rows of several classes and labels are units by what they hold: not by file, order or count."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.statistics.buckets import BUCKETS, buckets_of
from calibcli.io.rows.dataset import InputSpec, open_dataset

K, ROWS = 3, 240
OPTIONS = {
    "multiclass": ["--scores", "p_*", "--label", "label"],
    "multilabel": ["--task", "multilabel", "--scores", "p_*", "--label", "y_*"],
}


def drawn(task):
    """Coarse scores, of which many rows are equal."""
    rng = np.random.default_rng(8)
    if task == "multiclass":
        kinds = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.125, 0.125, 0.75]])
        p = kinds[rng.integers(0, K, ROWS)]
        label = (rng.random((ROWS, 1)) > p.cumsum(axis=1)).sum(axis=1)
        return {f"p_{k}": p[:, k] for k in range(K)} | {"label": label}
    p = rng.integers(0, 9, (ROWS, K)) / 8
    y = (rng.random((ROWS, K)) < p).astype(int)
    return {f"p_{k}": p[:, k] for k in range(K)} | {f"y_{k}": y[:, k] for k in range(K)}


def part(columns, rows):
    return {name: values[rows] for name, values in columns.items()}


def counted(columns):
    cells, rows = np.unique(np.stack(list(columns.values())), axis=1, return_counts=True)
    return dict(zip(columns, cells, strict=True)) | {"rows": rows}


def figures(found, path="", *, into=None):
    """Return every number of a result by its path, but for what the input files are."""
    into = {} if into is None else into
    items = found.items() if isinstance(found, dict) else enumerate(found)
    for key, value in items:
        if key in ("inputs", "params", "warnings", "warning_codes"):
            continue
        if isinstance(value, dict | list):
            figures(value, f"{path}.{key}", into=into)
        elif isinstance(value, int | float):
            into[f"{path}.{key}"] = value
    return into


@pytest.mark.parametrize("command", ["measure", "fit"])
@pytest.mark.parametrize("task", list(OPTIONS))
def test_order_shards_and_counts_are_nothing_to_intervals_and_folds(
    good, write, tmp_path, task, command
):
    columns = drawn(task)
    mixed = np.random.default_rng(1).permutation(ROWS)
    parts = [write(f"part{i}.csv", part(columns, slice(i, None, 3))) for i in range(3)]
    named = OPTIONS[task] + ["--format", "json", "--quiet"]
    if command == "fit":
        method = "vector" if task == "multiclass" else "platt"
        named += ["--method", method, "-o", tmp_path / "fitted.json"]
    expected, *others = (
        figures(good(command, *files, *named, *more).json)
        for files, more in (
            ([write("whole.csv", columns)], []),
            ([write("mixed.csv", part(columns, mixed))], []),
            (parts, []),
            ([write("counts.csv", counted(columns))], ["--count", "rows"]),
        )
    )
    assert len(expected) > 100
    for other in others:
        assert other == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("task", list(OPTIONS))
def test_a_counted_row_with_a_weight_is_as_many_rows_of_that_weight(good, write, task):
    columns = part(drawn(task), slice(150))
    rng = np.random.default_rng(3)
    rows, weight = rng.integers(0, 4, 150), rng.lognormal(0.0, 1.0, 150)
    rows[:2] = 60, 5
    files = (
        write("counts.csv", columns | {"w": weight, "rows": rows}),
        write("rows.csv", part(columns | {"w": weight}, np.repeat(np.arange(150), rows))),
    )
    counted, repeated = (
        figures(good("measure", file, *OPTIONS[task], "--weight", "w", *more,
                     "--format", "json", "--quiet").json["overall"])
        for file, more in zip(files, (["--count", "rows"], []), strict=True)
    )  # fmt: skip
    assert counted == pytest.approx(repeated, rel=1e-9, abs=1e-12)


def test_weights_in_another_unit_are_nothing_to_intervals(good, write):
    columns = drawn("multiclass")
    weight = np.random.default_rng(2).lognormal(0.0, 1.0, ROWS)
    one, other = (
        good("measure", write(f"{unit}.csv", columns | {"w": weight * unit}), "--weight", "w",
             *OPTIONS["multiclass"], "--format", "json", "--quiet").json["overall"]["metrics"]
        for unit in (1.0, 1024.0)
    )  # fmt: skip
    assert figures(other | {"n": one["n"]}) == pytest.approx(figures(one), rel=1e-9)


def units(path, **options):
    """Return how many rows of each label are in each bucket (64, K)."""
    spec = InputSpec(paths=(str(path),), scores=("p_*",), label="label", **options)
    found = np.zeros((BUCKETS, K))
    for batch in open_dataset(spec).by_content().batches():
        rows = np.ones(len(batch)) if batch.count is None else batch.count
        np.add.at(found, (buckets_of(batch.unit), batch.labels), rows)
    return found


def test_a_row_that_counts_for_many_is_in_as_many_buckets_as_they_would_be(write):
    columns = {"p_0": [0.5, 0.25], "p_1": [0.25, 0.5], "p_2": [0.25, 0.25], "label": [0, 2]}
    many = [5000, 40]
    counts = units(write("counts.csv", columns | {"rows": many}), count="rows")
    repeated = {name: np.repeat(values, many) for name, values in columns.items()}
    assert (counts == units(write("rows.csv", repeated))).all()
    assert counts[:, 0].sum() == 5000
    assert 30 < counts[:, 0].min() <= counts[:, 0].max() < 130


def test_more_rows_than_can_be_told_apart_are_dealt_at_random(write):
    columns = {"p_0": [0.5], "p_1": [0.25], "p_2": [0.25], "label": [1], "rows": [10**9]}
    counts = units(write("counts.csv", columns), count="rows")[:, 1]
    assert counts.sum() == 10**9
    assert counts.std() < 10 * np.sqrt(10**9 / BUCKETS)
