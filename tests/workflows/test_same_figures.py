"""The same rows have the same figures and intervals: weights in any unit, rows in any order."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from calibcli.cli.main import main

TASKS = {
    "binary": ("--score", "p_0", "--label", "y_0"),
    "multiclass": ("--scores", "p_*", "--label", "y_0", "--task", "multiclass"),
    "multilabel": ("--scores", "p_*", "--label", "y_*", "--task", "multilabel"),
}


def figures(capsys, *arguments: Any) -> dict[str, Any]:
    """Everything in a result but where it comes from, by path."""
    capsys.readouterr()
    assert main([*map(str, arguments), "--format", "json", "-q"]) == 0
    result = json.loads(capsys.readouterr().out)
    found: dict[str, Any] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict):
            for key, one in value.items():
                walk(one, f"{path}/{key}")
        elif isinstance(value, list):
            for place, one in enumerate(value):
                walk(one, f"{path}/{place}")
        else:
            found[path] = value

    for name in ("overall", "classes", "groups", "warning_codes", "data"):
        walk(result.get(name), name)
    return found


def same(one: dict[str, Any], other: dict[str, Any], *, mass: bool = False) -> None:
    """Check it to 1e-7; `mass` where counts of rows are in another unit."""
    counted = (
        "/n",
        "/n/value",
        "/weight",
        "/tp",
        "/fp",
        "/fn",
        "/tn",
        "/count",
        "/rows",
        "/certain_errors",
    )
    assert one.keys() == other.keys()
    for path, value in one.items():
        if mass and path.endswith(counted):
            continue
        if isinstance(value, int | float):
            value = pytest.approx(value, rel=1e-7, abs=1e-9)
        assert other[path] == value, path


@pytest.fixture(params=TASKS)
def files(request, tmp_path):
    rng = np.random.default_rng(4)
    n = 90
    z = rng.normal(-0.5, 1.5, (n, 4))
    p = 1 / (1 + np.exp(-z))
    y = (rng.random(p.shape) < p).astype(int)
    if request.param == "multiclass":
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        y = (z + rng.gumbel(size=z.shape)).argmax(axis=1)[:, None]
    weight = rng.lognormal(0, 0.7, n).round(3)
    columns = {f"p_{k}": p[:, k] for k in range(4)}
    columns |= {f"y_{k}": y[:, k] for k in range(y.shape[1])}
    columns |= {"w": weight, "w2": weight * 7.3, "person": rng.integers(0, 30, n),
                "site": rng.integers(0, 2, n)}  # fmt: skip

    def write(name: str, order: Any) -> str:
        path = tmp_path / name
        lines = [",".join(repr(column[i].item()) for column in columns.values()) for i in order]
        path.write_text("\n".join([",".join(columns), *lines]) + "\n", encoding="utf-8")
        return str(path)

    return TASKS[request.param], write


@pytest.mark.parametrize("more", [(), ("--cluster", "person")])
def test_weights_in_any_unit(capsys, files, more):
    read, write = files
    path = write("a.csv", range(90))
    every = ("measure", path, *read, "--group", "site", *more)
    one, other = (figures(capsys, *every, "--weight", name) for name in ("w", "w2"))
    same(one, other, mass=True)


def test_few_rows_are_what_weights_are_worth(capsys, files):
    read, write = files
    path = write("a.csv", range(90))
    if "multilabel" in read:
        read = TASKS["binary"]
    assert main(["measure", path, *read, "--weight", "w2"]) == 0
    told = capsys.readouterr()
    assert "too few to tell calibration from chance" in told.out + told.err


def test_weighted_rows_in_any_order_have_one_digest(capsys, files, tmp_path):
    read, write = files
    order = np.random.default_rng(0).permutation(90)
    paths = [write("a.csv", range(90)), write("b.csv", order)]
    rough = [*read, "--weight", "w", "--method", "temperature", "-o", tmp_path / "c.json"]
    one, other = (figures(capsys, "fit", path, *rough)["data"] for path in paths)
    assert one == other


def test_a_group_may_lack_its_last_class(capsys, tmp_path):
    """Whichever group comes first, its last classes may never be the most probable one."""
    p = np.array([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7]])
    site, label = ["a", "b", "b", "a"], [0, 1, 0, 2]
    found = []
    for number, order in enumerate(([0, 1, 2, 3], [3, 2, 1, 0], [1, 2, 0, 3])):
        path = tmp_path / f"{number}.csv"
        lines = [f"{p[i, 0]},{p[i, 1]},{p[i, 2]},{label[i]},{site[i]}" for i in order]
        path.write_text("\n".join(["p_0,p_1,p_2,y_0,site", *lines]) + "\n", encoding="utf-8")
        found.append(figures(capsys, "measure", path, *TASKS["multiclass"], "--group", "site"))
    same(found[0], found[1])
    same(found[0], found[2])
