"""`apply --fail-if`: gates on what needs no labels; rows are put in place only where all pass."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.stats import binomtest


@pytest.fixture
def apply(calibcli, scores, calibrator, cuts, tmp_path):
    def run(*more, out="out.csv"):
        place = tmp_path / out
        return calibcli("apply", calibrator, scores, "--thresholds", cuts, "-o", place, *more)

    return run


def decisions(path):
    header, *rows = path.read_text().splitlines()
    names = header.split(",")
    values = [row.split(",") for row in rows]
    wanted = [names.index(name) for name in ("probability", "decision")]
    return {names[i]: np.array([float(row[i]) for row in values]) for i in wanted}


def test_gates_read_what_was_decided(apply, tmp_path):
    gates = ("decision.positive-rate<0", "decision.alerts<0", "calibrated.mean_score<0", "n<0")
    ran = apply("--format", "json", *(x for g in gates for x in ("--fail-if", g)))
    assert ran.code == 0, ran.err
    written = decisions(tmp_path / "out.csv")
    values = [gate["value"] for gate in json.loads(ran.out)["gates"]]
    alerts, n = int(written["decision"].sum()), len(written["decision"])
    assert values[:2] == [alerts / n, alerts]
    assert values[2] == pytest.approx(written["probability"].mean(), abs=1e-12)
    assert values[3] == n
    found = json.loads(ran.out)["decided"]["metrics"]["positive-rate"]
    known = binomtest(alerts, n).proportion_ci(method="wilson")
    assert (found["low"], found["high"]) == pytest.approx((known.low, known.high), abs=1e-9)


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow"])
def test_a_failed_gate_leaves_the_old_output(apply, tmp_path, kind):
    kept = tmp_path / f"kept.{kind}"
    kept.write_text("as it was")
    before = sorted(tmp_path.iterdir())
    ran = apply("--fail-if", "decision.positive-rate>0.01", "--format", "csv", out=kept.name)
    assert ran.code == 1
    assert kept.read_text() == "as it was"
    assert sorted(tmp_path.iterdir()) == before, "nothing is left beside it"
    first, second = ran.err.splitlines()[-2:]
    assert first.startswith("calibcli: gate 'decision.positive-rate>0.01' failed: 0.")
    assert first.endswith("]")
    assert second == f"calibcli: {kept} is not written"
    assert "gates,decision.positive-rate>0.01,gate,0." in ran.out


@pytest.mark.parametrize("gate", ["ece>0.1", "decision.recall<0.5", "decision.undecided>0.1"])
def test_what_needs_labels_cannot_be_evaluated(apply, tmp_path, gate):
    ran = apply("--fail-if", gate, "--format", "junit")
    assert ran.code == 2
    assert not (tmp_path / "out.csv").exists()
    assert ElementTree.fromstring(ran.out)[0][0].find("error") is not None


def test_gates_change_no_byte(apply, tmp_path):
    assert apply(out="plain.csv").code == 0
    assert apply("--fail-if", "decision.positive-rate>1", out="gated.csv").code == 0
    assert (tmp_path / "plain.csv").read_bytes() == (tmp_path / "gated.csv").read_bytes()


def test_forms(apply):
    gate = ("--fail-if", "decision.positive-rate>0.01")
    case = ElementTree.fromstring(apply(*gate, "--format", "junit").out)[0].find("testcase")
    assert "failed: 0." in case.find("failure").text
    lines = apply(*gate, "--format", "github").out.splitlines()
    assert lines[1].startswith("::error title=calibcli::gate")
    text = apply(*gate, "--format", "prometheus").out
    assert 'calibcli_gate_passed{expr="decision.positive-rate>0.01",command="apply"} 0' in text
    assert "calibcli_decision_positive_rate{" in text
    assert "FAIL" in apply(*gate, "--format", "md").out
    assert "FAIL" in apply(*gate).out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("-o", "-", "--fail-if", "n<5"), "--fail-if: rows on standard output leave no room"),
        (("-o", "-", "--format", "json"), "--format: rows on standard output leave no room"),
        (("--emit", "sql", "--fail-if", "n<5"), "--fail-if is of rows, and --emit reads none"),
    ],
)
def test_gates_beside_no_file_are_refused(calibcli, scores, calibrator, more, said):
    given = () if "--emit" in more else (scores,)
    ran = calibcli("apply", calibrator, *given, *more)
    assert ran.code == 2
    assert said in ran.err


def classes_file(write):
    rng = np.random.default_rng(3)
    p = rng.dirichlet([2, 1, 1], 600)
    label = np.array(list("abc"))[(p.cumsum(axis=1) < rng.random((600, 1))).sum(axis=1)]
    columns = {f"p_{name}": np.round(p[:, k], 6) for k, name in enumerate("abc")}
    return write("classes.csv", {**columns, "label": label})


def test_each_class_has_its_share(good, calibcli, write, tmp_path):
    rows = classes_file(write)
    how = ("--scores", "p_*", "--renormalise")
    good("fit", rows, *how, "--method", "temperature", "-o", tmp_path / "cal.json")
    good(
        "threshold", rows, *how, "--calibrator", tmp_path / "cal.json", "-o", tmp_path / "t.json",
        "--subject-to", "precision>=0.6",
    )  # fmt: skip
    gates = ["class.a.decision.alerts<0", "decision.positive-rate.b<0", "decision.undecided<0"]
    gates += ["worst(class).decision.positive-rate>0.99", "class.c.calibrated.mean_score<0"]
    ran = calibcli(
        "apply", tmp_path / "cal.json", rows, *how, "--thresholds", tmp_path / "t.json", "-o",
        tmp_path / "out.csv", *(x for g in gates for x in ("--fail-if", g)), "--format", "json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    values = [gate["value"] for gate in json.loads(ran.out)["gates"]]
    decided = [line.split(",")[7] for line in (tmp_path / "out.csv").read_text().splitlines()[1:]]
    assert values[0] == decided.count("a")
    assert values[1] == decided.count("b") / 600
    assert values[2] == decided.count("") / 600
    assert values[3] == max(decided.count(name) for name in "abc") / 600


def test_the_share_does_not_depend_on_threads(apply):
    told = [
        json.loads(apply("--format", "json", "--fail-if", "n<0", "--threads", t).out)["decided"]
        for t in ("1", "4")
    ]
    assert told[0] == told[1]
