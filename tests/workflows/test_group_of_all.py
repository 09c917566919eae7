"""A group that holds every row has the figures and the intervals of all rows."""

import numpy as np
import pandas as pd
import pytest

K, ROWS = 4, 400


def frame(task):
    rng = np.random.default_rng(11)
    z = rng.normal(0, 1, (ROWS, 1)) + rng.normal(0, 0.7, (ROWS, K))
    p = 1 / (1 + np.exp(-z))
    found = pd.DataFrame({"g": "x", "pt": rng.integers(0, 60, ROWS)})
    found["w"], found["c"] = rng.uniform(0.5, 2.0, ROWS), rng.integers(1, 4, ROWS)
    if task == "binary":
        return found.assign(score=p[:, 0], label=(rng.random(ROWS) < p[:, 0]).astype(int))
    scores = p / p.sum(axis=1, keepdims=True) if task == "multiclass" else p
    for k in range(K):
        found[f"s_{k}"] = scores[:, k]
    if task == "multiclass":
        return found.assign(y=(rng.random((ROWS, 1)) > scores.cumsum(axis=1)).sum(axis=1))
    draws = rng.random((ROWS, 1))  # the labels of a row go together
    for k in range(K):
        found[f"y_{k}"] = (draws[:, 0] < scores[:, k]).astype(int)
    return found


COLUMNS = {
    "binary": ["--score", "score", "--label", "label"],
    "multiclass": ["--scores", "s_*", "--label", "y"],
    "multilabel": ["--scores", "s_*", "--label", "y_*", "--task", "multilabel"],
}


@pytest.mark.parametrize("more", [[], ["--cluster", "pt"], ["--weight", "w"], ["--count", "c"]])
@pytest.mark.parametrize("task", COLUMNS)
def test_a_group_of_all_rows(good, tmp_path, task, more):
    path = tmp_path / "all.csv"
    frame(task).to_csv(path, index=False)
    asked = ["measure", path, *COLUMNS[task], *more, "--group", "g", "--format", "json", "--quiet"]
    found = good(*asked).json
    (group,) = found["groups"]
    for name, figure in found["overall"]["metrics"].items():
        for part, value in figure.items():
            other = group["metrics"][name][part]
            same = value == other if not isinstance(value, float) else None
            assert same or other == pytest.approx(value, rel=1e-9, abs=1e-12), (name, part)
