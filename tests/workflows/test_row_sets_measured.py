"""`measure --thresholds` tells how right the set of labels of a row is."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from calibcli.cli.main import main
from calibcli.workflows.measure.decided.judged import mean_figure

SCORES = {"row-precision": precision_score, "row-recall": recall_score, "row-f1": f1_score}


def run(capsys, *arguments, code=0):
    capsys.readouterr()
    assert main([*map(str, arguments), "--format", "json"]) == code
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def rows(tmp_path):
    rng = np.random.default_rng(3)
    z = rng.normal(-1.5, 1.5, (300, 4)) + rng.normal(0, 1, (300, 1))
    p = (1 / (1 + np.exp(-z))).round(3)
    y = (rng.random(p.shape) < p).astype(int)
    site, person = rng.choice(["b", "a"], 300), rng.integers(0, 90, 300)
    head = ",".join([f"p_{k},y_{k}" for k in "rstu"]) + ",site,person,w\n"
    lines = [
        ",".join(f"{a},{b}" for a, b in zip(p[i], y[i], strict=True)) + f",{site[i]},{person[i]},2"
        for i in range(300)
    ]
    path = tmp_path / "rows.csv"
    path.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    files = (path, "--scores", "p_*", "--label", "y_*", "--task", "multilabel")
    cuts = tmp_path / "cuts.json"
    code = main(["threshold", *map(str, files), "--maximize", "f1", "-o", str(cuts), "-q"])
    assert code == 0
    kept = json.loads(cuts.read_text())["thresholds"]
    return p >= [one["threshold"] for one in kept], y, site, person, (*files, "--thresholds", cuts)


def expected(name, chosen, true):
    """Means over rows that have the figure, as scikit-learn has them."""
    there = {
        "row-precision": chosen.any(axis=1),
        "row-recall": true.any(axis=1),
        "row-f1": chosen.any(axis=1) | true.any(axis=1),
    }[name]
    return SCORES[name](true[there], chosen[there].astype(int), average="samples"), there.sum()


def test_figures_of_rows_are_scikit_learns_in_all_rows_and_by_group(capsys, rows):
    chosen, true, site, _, files = rows
    found = run(capsys, "measure", *files, "--group", "site")["decision"]
    parts = [(found, np.ones(300, bool))]
    parts += [(part, site == part["slice"]["value"]) for part in found["groups"]]
    assert [part["slice"]["value"] for part in found["groups"]] == ["a", "b"]
    for part, own in parts:
        for name in SCORES:
            figure = part["metrics"][name]
            assert figure["value"] == pytest.approx(expected(name, chosen[own], true[own])[0])
            assert figure["low"] < figure["value"] < figure["high"]


def test_the_labels_of_a_cluster_are_taken_together(capsys, rows):
    chosen, true, site, person, files = rows
    found = run(capsys, "measure", *files, "--cluster", "person", "--group", "site")["decision"]
    for part, own in [(found, np.ones(300, bool)), (found["groups"][0], site == "a")]:
        recalls = []
        for one in np.unique(person[own]):
            mine = own & (person == one)
            if true[mine].any():
                recalls.append((chosen & (true == 1))[mine].sum() / true[mine].sum())
        assert part["metrics"]["row-recall"]["value"] == pytest.approx(np.mean(recalls))


def test_gates_read_them_and_weighted_rows_have_none(capsys, rows):
    *_, files = rows
    gate = ("--fail-if", "decision.row-recall<0.999", "--fail-if", "decision.row-f1.low<0.01")
    assert [one["passed"] for one in run(capsys, "measure", *files, *gate, code=1)["gates"]] == [
        False,
        True,
    ]
    weighted = run(capsys, "measure", *files, "--weight", "w")["decision"]["metrics"]
    assert not set(SCORES) & set(weighted)


def test_shards_and_order_change_nothing(capsys, rows, tmp_path):
    *_, files = rows
    head, *lines = files[0].read_text().splitlines()
    shards = [tmp_path / "s1.csv", tmp_path / "s2.csv"]
    for path, own in zip(shards, (lines[200:], lines[:200][::-1]), strict=True):
        path.write_text("\n".join([head, *own]) + "\n", encoding="utf-8")
    for more in ((), ("--cluster", "person")):
        whole = run(capsys, "measure", *files, *more, "--group", "site")["decision"]
        again = run(capsys, "measure", *shards, *files[1:], *more, "--group", "site")["decision"]
        for one, other in [(whole, again), *zip(whole["groups"], again["groups"], strict=True)]:
            for name in SCORES:
                for end in ("value", "low", "high"):
                    assert one["metrics"][name][end] == pytest.approx(
                        other["metrics"][name][end], abs=1e-12
                    )


@pytest.mark.parametrize(("units", "seen"), [(8, 0.999), (20, 0.94), (50, 0.7), (200, 0.94)])
def test_intervals_of_means_that_are_mostly_one_cover(units, seen):
    rng, held = np.random.default_rng(units), 0
    for _ in range(300):
        values = 1.0 - 0.5 * (rng.random(units) < 2 * (1 - seen))
        found = mean_figure(units, float(values.sum()), float(values @ values), 0.95)
        held += found.low <= seen <= found.high
    assert held >= 0.93 * 300


def test_units_that_agree_are_not_certain():
    found = mean_figure(20, 10.0, 5.0, 0.95)
    assert found.low < 0.49 < 0.51 < found.high
    assert mean_figure(0, 0.0, 0.0, 0.95).value is None
    assert mean_figure(1, 1.0, 1.0, 0.95).low is None
