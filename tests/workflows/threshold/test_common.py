"""`--maximize macro-f1|micro-f1`: one cut-off for all classes or labels."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from calibcli.cli.main import main
from calibcli.core.decisions.common_cut import best_common, common_value
from calibcli.core.decisions.cross_fit import CellFamily
from calibcli.core.decisions.thresholds import Curve
from calibcli.core.results.figures import Where
from calibcli.core.statistics.stats import ScoreStats
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.threshold.classes.common import choose_common
from calibcli.workflows.threshold.wish import Wish


def run(capsys, *arguments, code=0):
    capsys.readouterr()
    assert main([*map(str, arguments), "--format", "json"]) == code
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def labels(tmp_path):
    rng = np.random.default_rng(1)
    p = (rng.random((600, 3)) ** np.array([1, 2, 4])).round(3)
    y = (rng.random(p.shape) < p).astype(int)
    np.save(tmp_path / "p.npy", p)
    np.save(tmp_path / "y.npy", y)
    return p, y, (tmp_path / "p.npy", "--labels", tmp_path / "y.npy")


@pytest.mark.slow
@pytest.mark.parametrize("average", ["macro", "micro"])
def test_of_labels_it_is_the_best_of_every_score(capsys, labels, average, tmp_path):
    p, y, files = labels
    cuts = tmp_path / "t.json"
    options = ("--task", "multilabel", "--maximize", f"{average}-f1", "-o", cuts)
    found = run(capsys, "threshold", *files, *options)
    best = max(f1_score(y, p >= t, average=average, zero_division=0) for t in np.unique(p))
    assert found["common"]["value"] == pytest.approx(best, abs=1e-12)
    at = found["common"]["threshold"]
    assert f1_score(y, p >= at, average=average) == pytest.approx(best, abs=1e-12)
    assert {item["threshold"] for item in found["thresholds"]} == {at}
    crossed = found["common"]["cross_fitted"]["value"]
    assert crossed["low"] < crossed["value"] <= best + 1e-3
    assert crossed["value"] < crossed["high"]
    # What the artifact decides is what was printed.
    measured = run(capsys, "measure", *files, "--task", "multilabel", "--thresholds", cuts)
    if average == "macro":
        macro = measured["decision"]["metrics"]["macro_f1"]["value"]
        assert macro == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_of_classes_the_most_probable_one_is_kept_or_none(capsys, tmp_path, average):
    rng = np.random.default_rng(2)
    p = rng.dirichlet(np.full(4, 0.7), 500)
    y = np.array([rng.choice(4, p=row) for row in p])
    np.save(tmp_path / "p.npy", p)
    np.save(tmp_path / "y.npy", y)
    files = (tmp_path / "p.npy", "--labels", tmp_path / "y.npy")
    found = run(capsys, "threshold", *files, "--maximize", f"{average}-f1")

    def f1(cut):
        decided = np.where(p.max(1) >= cut, p.argmax(1), 4)
        return f1_score(y, decided, average=average, labels=range(4), zero_division=0)

    assert found["common"]["value"] == pytest.approx(max(map(f1, p.max(1))), abs=1e-12)
    assert f1(found["common"]["threshold"]) == pytest.approx(found["common"]["value"], abs=1e-12)


def test_of_many_labels_no_label_is_cross_fitted_by_a_choice_of_its_own(capsys, tmp_path):
    rng = np.random.default_rng(3)
    p = rng.random((60, 101)).round(2)
    np.save(tmp_path / "p.npy", p)
    np.save(tmp_path / "y.npy", (rng.random(p.shape) < p).astype(int))
    files = (tmp_path / "p.npy", "--labels", tmp_path / "y.npy", "--task", "multilabel")
    found = run(capsys, "threshold", *files, "--maximize", "macro-f1")
    assert "cross_fitted" not in found["common"]
    assert not any("cross_fitted" in item for item in found["thresholds"])


def test_the_cross_fitted_figure_is_that_of_fresh_rows():
    rng = np.random.default_rng(3)
    wish, conventions = Wish.parse("macro-f1"), Conventions()
    wheres = [Where("class", name) for name in "abc"]
    fresh = np.linspace(0, 1, 2001)
    chosen, crossed, true = [], [], []
    for _ in range(40):
        p = rng.random((80, 3))
        y = rng.random(p.shape) < p
        families = [CellFamily.of(ScoreStats.from_arrays(p[:, k], y[:, k]), 0) for k in range(3)]
        told = choose_common(wheres, families, conventions, wish, exclusive=False, folded=True).told
        tp = (fresh * (fresh >= told.threshold)).mean()
        decided = (fresh >= told.threshold).mean()
        true.append(2 * tp / (decided + fresh.mean()))
        chosen.append(told.value)
        crossed.append(told.cross_fitted.value.value)
    flattery, bias = (np.array(one) - np.array(true) for one in (chosen, crossed))
    assert flattery.mean() > 2 * flattery.std() / 40**0.5
    assert abs(bias.mean()) < 2 * bias.std() / 40**0.5


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2), st.booleans()), min_size=1),
    st.booleans(),
)
def test_best_is_brute_force(rows, pooled):
    score, cls, label = (np.array(column) for column in zip(*rows, strict=True))
    curves = []
    for k in range(3):
        mine = cls == k
        stats = ScoreStats.from_arrays(score[mine] / 8, label[mine])
        curves.append(Curve.from_cells(stats.cut, stats.pos, stats.neg))
    found = best_common(curves, pooled=pooled)

    def brute(cut):
        parts = []
        for k in range(3):
            said, true = score[cls == k] / 8 >= cut, label[cls == k]
            parts.append((2 * (said & true).sum(), said.sum() + true.sum()))
        if pooled:
            top, bottom = map(sum, zip(*parts, strict=True))
            return top / bottom if bottom else np.nan
        there = [top / bottom for top, bottom in parts if bottom]
        return np.mean(there) if there else np.nan

    values = [brute(cut) for cut in [*np.arange(9) / 8, 1.5]]
    if found is None:
        assert np.isnan(values).all()
        return
    assert found.value == pytest.approx(np.nanmax(values))
    assert brute(found.threshold) == pytest.approx(found.value)
    assert common_value(curves, found.threshold, pooled=pooled) == pytest.approx(found.value)


@pytest.mark.parametrize(
    "more", [("--subject-to", "precision>=0.5"), ("--prior", "0.1,0.2,0.7"), ("--per-group", "g")]
)
def test_what_is_about_each_class_is_refused(capsys, labels, more):
    files = labels[2]
    arguments = ["threshold", *files, "--task", "multilabel", "--maximize", "macro-f1", *more]
    assert main(list(map(str, arguments))) in (2, 3)
    assert capsys.readouterr().err.startswith("calibcli: error: ")


def test_one_score_has_no_mean_over_classes(capsys, tmp_path):
    (tmp_path / "s.csv").write_text("score,label\n0.2,0\n0.7,1\n")
    assert main(["threshold", str(tmp_path / "s.csv"), "--maximize", "macro-f1"]) == 2
    assert "--maximize f1 is the same of one score" in capsys.readouterr().err
