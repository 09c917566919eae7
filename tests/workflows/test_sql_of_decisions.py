"""`apply --emit sql` with groups, classes and thresholds, run in databases beside `apply`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.sql_engines import ENGINES, RUN

ROWS = 700


@pytest.fixture(params=ENGINES)
def run(request):
    return RUN[request.param]


def expit(z):
    return 1 / (1 + np.exp(-z))


@pytest.fixture
def made(calibcli, tmp_path, monkeypatch):
    """Fit, choose, and return how to apply and to write SQL."""
    monkeypatch.chdir(tmp_path)

    class Made:
        def fit(self, columns, *options):
            parquet.write_table(pa.table(columns), "fit.parquet")
            self.read = options
            ran = calibcli("fit", "fit.parquet", "-o", "c.json", *options)
            assert ran.code == 0, ran.err

        def choose(self, *options):
            read = [o for o in self.read if o not in ("--method", *METHODS)]
            if "--per-group" in read:
                at = read.index("--per-group")
                del read[at : at + 2]
            ran = calibcli("threshold", "fit.parquet", "--calibrator", "c.json", "--no-ci", *read,
                           "-o", "t.json", *options)  # fmt: skip
            assert ran.code == 0, ran.err

        def sql(self, *options):
            ran = calibcli("apply", "c.json", "--emit", "sql", *options)
            assert ran.code == 0, ran.err
            return ran.out

        def apply(self, columns, *options):
            parquet.write_table(pa.table(columns), "new.parquet")
            ran = calibcli("apply", "c.json", "new.parquet", "-o", "out.parquet", *options)
            assert ran.code == 0, ran.err
            return parquet.read_table("out.parquet").to_pydict()

    return Made()


METHODS = ("identity", "temperature", "platt", "beta", "isotonic", "histogram", "venn-abers",
           "spline", "vector", "matrix", "dirichlet", "sms", "svs")  # fmt: skip


def binary(seed=0, n=ROWS, *, logits=False):
    rng = np.random.default_rng(seed)
    z = np.round(rng.normal(0, 2, n), 2)
    site = np.array(["a", "it's", "b"])[rng.integers(0, 3, n)]
    y = rng.random(n) < expit(0.6 * z - 0.4 + 0.5 * (site == "a"))
    score = z if logits else expit(z)
    return {"score": score.tolist(), "label": y.astype(int).tolist(), "site": site.tolist()}


def with_neighbours(columns, *, logits=False):
    """Return the rows, and beside each score the doubles next to it."""
    score = np.array(columns["score"][:150])
    ends = np.array([-50.0, 50.0, 0.0] if logits else [0.0, 1.0, 0.5])
    score = np.concatenate([score, np.nextafter(score, -99), np.nextafter(score, 99), ends])
    if not logits:
        score = np.clip(score, 0, 1)
    site = (columns["site"] * 2)[: len(score)]
    return {"score": score.tolist(), "site": site}


CUTS = {
    "f1": ("--maximize", "f1"),
    "recall": ("--subject-to", "recall>=0.8"),
    "band": ("--cost", "fp=1,fn=4,refer=0.4"),
    "keep": ("--abstain", "accuracy>=0.75"),
}


def slowly(*methods):
    return [pytest.param(one, marks=pytest.mark.slow) for one in methods]


@pytest.mark.parametrize("logits", [False, *slowly(True)], ids=["p", "logits"])
@pytest.mark.parametrize("method", ["platt", *slowly("identity", "isotonic", "histogram",
                                                     "venn-abers")])  # fmt: skip
def test_a_decision_is_that_of_apply_on_every_edge(made, run, method, logits):
    rows = binary(1, logits=logits)
    made.fit(rows, "--method", method, *(("--logits",) if logits else ()))
    new = with_neighbours(rows, logits=logits)
    for options in CUTS.values():
        made.choose(*options)
        text = made.sql("--thresholds", "t.json")
        wanted = made.apply(new, "--thresholds", "t.json")["decision"]
        assert [one for (one,) in run(text, new)] == wanted
        assert "EXP" not in text
        assert run(text, {"score": [None, 0.5]})[0] == (None,)


@pytest.mark.parametrize("method", ["platt", *slowly("isotonic")])
def test_groups_have_their_own_map_and_their_own_cut(made, run, method):
    rows = binary(2, 1500)
    made.fit(rows, "--method", method, "--per-group", "site")
    new = with_neighbours(rows)
    new["site"][:6] = ["c", "", "a", "it's", "d", "b"]
    p = made.apply(new)["probability"]
    found = np.array([one for (one,) in run(made.sql(), new)], float)
    np.testing.assert_allclose(found, p, rtol=0, atol=1e-12)
    for options in (("--subject-to", "recall>=0.7"), ("--per-group", "site")):
        made.choose(*options)
        text = made.sql("--thresholds", "t.json")
        wanted = made.apply(new, "--thresholds", "t.json")["decision"]
        assert [one for (one,) in run(text, new)] == wanted


def test_cuts_by_a_group_that_the_map_does_not_know(made, run):
    rows = binary(3)
    made.fit(rows, "--method", "platt")
    made.choose("--per-group", "site")
    new = with_neighbours(rows)
    new["site"][:3] = ["c", "", "a"]
    wanted = made.apply(new, "--thresholds", "t.json")["decision"]
    assert [one for (one,) in run(made.sql("--thresholds", "t.json"), new)] == wanted
    gone = {"score": new["score"][:5], "site": ["a", None, None, None, None]}
    whole = {"score": new["score"][:5], "site": ["a", "c", "c", "c", "c"]}
    text = made.sql("--thresholds", "t.json")
    assert run(text, gone) == run(text, whole)


def test_names_of_groups_are_read_as_they_are_written(made, run):
    rows = binary(8)
    names = {"a": "C:\\new", "it's": "it's \\\\'", "b": 'b "b"'}
    rows["site"] = [names[one] for one in rows["site"]]
    made.fit(rows, "--method", "platt", "--per-group", "site")
    new = {name: rows[name][:60] for name in ("score", "site")}
    found = np.array([one for (one,) in run(made.sql(), new)], float)
    np.testing.assert_allclose(found, made.apply(new)["probability"], rtol=0, atol=1e-12)
    made.choose("--per-group", "site")
    wanted = made.apply(new, "--thresholds", "t.json")["decision"]
    assert [one for (one,) in run(made.sql("--thresholds", "t.json"), new)] == wanted


def several(seed, n=ROWS, *, logits=False):
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    z = rng.normal(size=(n, 3))
    z[np.arange(n), truth] += 1.5
    z = np.round(1.4 * z, 2)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    p[:4] = [[1, 0, 0], [0.5, 0.5, 0], [0.25, 0.375, 0.375], [0, 0, 1]]
    s = z if logits else p
    site = np.array(["a", "b"])[rng.integers(0, 2, n)]
    label = np.array(["x", "y", "z z"])[truth]
    return {"p_x": s[:, 0].tolist(), "p_y": s[:, 1].tolist(), "p_z z": s[:, 2].tolist(),
            "label": label.tolist(), "site": site.tolist()}  # fmt: skip


READ = ("--scores", "p_*", "--label", "label")


@pytest.mark.parametrize("logits", [False, *slowly(True)], ids=["p", "logits"])
@pytest.mark.parametrize("method", ["identity", *slowly("temperature", "vector", "matrix",
                                                        "dirichlet", "sms", "svs")])  # fmt: skip
def test_classes_have_the_probabilities_and_the_decision_of_apply(made, run, method, logits):
    rows = several(4, logits=logits)
    made.fit(rows, "--method", method, *READ, *(("--logits",) if logits else ()))
    new = {name: values[:200] for name, values in rows.items() if name != "label"}
    applied = made.apply(new)
    found = np.array(run(made.sql(), new), float)
    for k, name in enumerate(("x", "y", "z z")):
        np.testing.assert_allclose(found[:, k], applied[f"probability_{name}"], rtol=0, atol=1e-12)
    for options in (("--maximize", "f1"), ("--abstain", "accuracy>=0.75"), ("--per-group", "site")):
        made.choose(*options)
        wanted = made.apply(new, "--thresholds", "t.json")["decision"]
        got = [one for (one,) in run(made.sql("--thresholds", "t.json"), new)]
        # A row whose probability is a cut-off may be decided otherwise by its last digit.
        different = sum(a != b for a, b in zip(got, wanted, strict=True))
        assert different <= (0 if method == "identity" else 3)
    broken = {name: [None, *values[1:3]] for name, values in new.items() if name != "site"}
    assert run(made.sql("--thresholds", "t.json").replace("site", "'a'"), broken)[0] == (None,)


def test_least_cost_and_groups_of_classes(made, run):
    rows = several(5, 1200)
    made.fit(rows, "--method", "temperature", "--per-group", "site", *READ)
    new = {name: values[:150] for name, values in rows.items() if name != "label"}
    new["site"][:2] = ["q", ""]
    applied = made.apply(new)
    found = np.array(run(made.sql(), new), float)
    for k, name in enumerate(("x", "y", "z z")):
        np.testing.assert_allclose(found[:, k], applied[f"probability_{name}"], rtol=0, atol=1e-9)
    Path("costs.csv").write_text("0,1,5,0.6\n2,0,1,0.6\n9,3,0,0.6\n", encoding="utf-8")
    made.choose("--cost-matrix", "costs.csv")
    wanted = made.apply(new, "--thresholds", "t.json")["decision"]
    assert [one for (one,) in run(made.sql("--thresholds", "t.json"), new)] == wanted


def test_labels_are_decided_one_by_one(made, run):
    rng = np.random.default_rng(6)
    p = np.round(expit(rng.normal(0, 2, (ROWS, 2))), 3)
    y = (rng.random(p.shape) < p).astype(int)
    rows = {"s_u": p[:, 0].tolist(), "s_v": p[:, 1].tolist(),
            "y_u": y[:, 0].tolist(), "y_v": y[:, 1].tolist()}  # fmt: skip
    made.fit(rows, "--method", "platt", "--task", "multilabel", "--scores", "s_u,s_v", "--label",
             "y_u,y_v")  # fmt: skip
    made.choose("--maximize", "f1")
    new = {"s_u": rows["s_u"][:200], "s_v": rows["s_v"][:200]}
    applied = made.apply(new, "--thresholds", "t.json")
    names = [name for name in applied if name.startswith("probability_")]
    found = np.array(run(made.sql(), new), float)
    for k, name in enumerate(names):
        np.testing.assert_allclose(found[:, k], applied[name], rtol=0, atol=1e-12)
    decided = run(made.sql("--thresholds", "t.json"), new)
    wanted = [applied[name.replace("probability", "decision")] for name in names]
    assert decided == list(zip(*wanted, strict=True))
    renamed = made.sql("--scores", "one,two")
    assert run(renamed, {"one": new["s_u"], "two": new["s_v"]}) == run(made.sql(), new)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--coverage", "0.8"), "a set of classes is no single value"),
        ((), "--emit python writes probabilities"),
    ],
)
def test_what_is_no_expression_is_refused(made, calibcli, options, said):
    made.fit(binary(7), "--method", "platt")
    made.choose(*options)
    kind = "sql" if options else "python"
    ran = calibcli("apply", "c.json", "--emit", kind, "--thresholds", "t.json")
    assert ran.code == 2
    assert said in ran.err
