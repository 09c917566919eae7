"""Scores that are no probabilities: what is told of them, and what they become."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from calibcli import load
from calibcli.core.calibrators import Platt
from calibcli.core.statistics.stats import ScoreStats
from tests.schemas import fits_schema

RNG = np.random.default_rng(5)
N = 1200
Z = RNG.normal(0, 1.3, N)
Y = (RNG.random(N) < 1 / (1 + np.exp(-Z))).astype(int)
POINTS = np.round(600 + 40 * Z).astype(int)
SITE = np.where(np.arange(N) % 2, "a", "b")


@pytest.fixture
def points(write):
    return write("points.csv", {"score": POINTS, "label": Y, "site": SITE})


@pytest.fixture
def distances(write):
    return write("distances.csv", {"score": 1200 - POINTS, "label": Y, "site": SITE})


def auc():
    above = (POINTS[Y == 1][:, None] > POINTS[Y == 0]).mean()
    return above + (POINTS[Y == 1][:, None] == POINTS[Y == 0]).mean() / 2


def counts(at):
    up = at <= POINTS
    return {
        "tp": int((up & (Y == 1)).sum()), "fp": int((up & (Y == 0)).sum()),
        "fn": int((~up & (Y == 1)).sum()), "tn": int((~up & (Y == 0)).sum()),
    }  # fmt: skip


def test_ranking_figures_and_cut_offs_in_the_unit_of_the_scores(points, good):
    found = good("measure", points, "--raw", "--threshold", "600", "--group", "site",
                 "--format", "json").json  # fmt: skip
    figures = found["overall"]["metrics"]
    assert figures["auc"]["value"] == pytest.approx(auc(), abs=1e-12)
    table = found["overall"]["confusion"][0]
    assert {name: table[name] for name in ("tp", "fp", "fn", "tn")} == counts(600)
    assert table["threshold"] == 600.0
    assert figures["ece"] == {
        "value": None, "low": None, "high": None, "reason": "raw scores are no probabilities",
    }  # fmt: skip
    assert len(found["groups"]) == 2
    assert (found["params"]["logits"], found["params"]["raw"]["descending"]) == (False, False)
    short = good("measure", points, "--raw", "--threshold", "600").out
    assert "at 600: precision" in short
    typed = short[short.index("next: ") : short.index("(--all")].replace(" \\\n   ", "").strip()
    assert typed == f"next: calibcli fit {points} --raw -o calibrator.json"


def test_low_scores_may_mean_label_1(points, distances, good):
    up = good("measure", points, "--raw", "--threshold", "600", "--format", "json").json
    down = good("measure", distances, "--raw", "--descending", "--threshold", "600",
                "--format", "json").json  # fmt: skip
    for name in ("auc", "average_precision"):
        one, other = (r["overall"]["metrics"][name] for r in (up, down))
        assert one["value"] == pytest.approx(other["value"], rel=1e-12)
        assert list(one.values()) == pytest.approx(list(other.values()), rel=1e-3)
    assert down["overall"]["confusion"] == up["overall"]["confusion"]
    assert "at 600 or below" in good(
        "measure", distances, "--raw", "--descending", "--threshold", "600"
    ).out  # fmt: skip


def test_the_best_cut_off_is_that_of_all_scores_tried(points, distances, good, tmp_path):
    youden = {
        at: c["tp"] / (c["tp"] + c["fn"]) - c["fp"] / (c["fp"] + c["tn"])
        for at, c in ((int(at), counts(at)) for at in np.unique(POINTS))
    }
    best = max(youden, key=lambda at: (youden[at], at))
    out = tmp_path / "cut.json"
    found = good("threshold", points, "--raw", "--maximize", "youden", "--format", "json",
                 "-o", out).json["thresholds"][0]  # fmt: skip
    assert found["threshold"] == best
    assert found["value"]["value"] == pytest.approx(youden[best])
    assert found["threshold_low"] <= best <= found["threshold_high"]
    assert set(np.unique(POINTS)) >= {found["threshold_low"], found["threshold_high"]}
    assert load(str(out)).decide(POINTS[:50]).tolist() == (best <= POINTS[:50]).tolist()
    again = good("measure", points, "--thresholds", out, "--format", "json").json
    table = again["overall"]["confusion"][0]
    assert {name: table[name] for name in ("tp", "fp", "fn", "tn")} == counts(best)
    assert again["decision"]["metrics"]["accuracy"]["value"] == pytest.approx(
        np.mean((best <= POINTS) == Y)
    )
    low = good("threshold", distances, "--raw", "--descending", "--maximize", "youden").out
    assert low.startswith(f"threshold {1200 - best}.0 or below: maximises youden")


def test_cut_offs_of_groups_say_which_side_is_positive(points, distances, good):
    for sign, path, options in ((">=", points, ()), ("<=", distances, ("--descending",))):
        out = good("threshold", path, "--raw", *options, "--per-group", "site").out
        lines = [line.split() for line in out.splitlines()[2:5]]
        assert [line[:2] for line in lines] == [[name, sign] for name in ("overall", "a", "b")]


def test_guarantees_groups_and_candidates(distances, good, calibcli, tmp_path):
    out, curve = tmp_path / "cut.json", tmp_path / "curve.csv"
    found = good("threshold", distances, "--raw", "--descending", "--subject-to", "precision>=0.7",
                 "--guarantee", "0.95", "--per-group", "site", "--candidates", curve,
                 "-o", out, "--format", "json", "-q").json  # fmt: skip
    assert found["kind"] == "certified"
    for item in found["thresholds"]:
        own = np.ones(N, bool) if item["slice"]["kind"] == "overall" else (
            SITE == item["slice"]["value"])  # fmt: skip
        up = (1200 - POINTS <= item["threshold"]) & own
        assert item["confusion"]["tp"] == int((up & (Y == 1)).sum())
    rows = [line.split(",") for line in curve.read_text().splitlines()[1:]]
    assert {float(row[1]) for row in rows[:-1]} <= {*np.unique(1200.0 - POINTS), 0} | {
        float(row[1]) for row in rows if row[2] == row[3] == "0"
    }
    ran = calibcli("threshold", distances, "--raw", "--descending", "--subject-to", "precision>=2")
    assert ran.code in (1, 2)
    assert "logit" not in ran.err


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", ["auto", "platt", "beta", "spline", "isotonic", "venn-abers", "histogram"]
)
def test_they_are_fitted_to_probabilities(method, points, calibcli, good, tmp_path):
    out, table = tmp_path / "cal.json", tmp_path / "out.csv"
    ran = calibcli("fit", points, "--raw", "--method", method, "-o", out, "--format", "json")
    assert ran.code == 0, ran.err
    after = ran.json["after"]["metrics"]
    assert after["ece"]["value"] < 0.08
    assert ran.json["before"]["metrics"]["brier"]["value"] is None
    good("apply", out, points, "-o", table)
    rows = [line.split(",") for line in table.read_text().splitlines()[1:]]
    p = np.array([float(row[-1]) for row in rows])
    assert [int(row[0]) for row in rows] == POINTS.tolist()
    assert np.abs(p - 1 / (1 + np.exp(-Z))).mean() < 0.05
    assert load(str(out)).apply(POINTS).tolist() == p.tolist()
    names: dict[str, Any] = {}
    exec(good("apply", out, "--emit", "python", "--score", "points").out, names)
    assert [names["calibrate"](float(x)) for x in POINTS] == pytest.approx(p, rel=1e-12)
    ran = calibcli("measure", points, "--calibrator", out, "--format", "json")
    figures = ran.json["overall"]["calibrated"]["metrics"]
    assert figures["brier"]["value"] == pytest.approx(np.mean((p - Y) ** 2))


def test_sql_reads_the_scores_as_they_are(distances, good, tmp_path):
    duckdb = pytest.importorskip("duckdb")
    out = tmp_path / "cal.json"
    good("fit", distances, "--raw", "--descending", "--method", "platt", "-o", out)
    expression = good("apply", out, "--emit", "sql").out
    query = f"SELECT {expression} FROM read_csv('{distances}')"
    found = [row[0] for row in duckdb.sql(query).fetchall()]
    assert found == pytest.approx(load(str(out)).apply(1200 - POINTS), rel=1e-12)


def test_platt_is_the_same_map_in_any_unit(good, tmp_path):
    plain = Platt.fit(ScoreStats.from_arrays(Z, Y, logits=True)).apply(Z)
    for name, raw in {"margins": 300 * Z, "points": 1e6 + 5 * Z, "small": 1e-9 * Z}.items():
        path, out = tmp_path / f"{name}.npz", tmp_path / f"{name}.json"
        np.savez(path, score=raw, label=Y)
        good("fit", path, "--raw", "--method", "platt", "-o", out)
        assert load(str(out)).apply(raw) == pytest.approx(plain, abs=1e-7)


def test_many_scores_are_counted_exactly_at_cut_offs(good, tmp_path):
    rng = np.random.default_rng(3)
    n = 300_000  # more distinct scores than are kept one by one
    z = rng.normal(0, 1, n)
    label = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(np.int8)
    raw = 1e4 + 7 * z
    path = tmp_path / "many.npz"
    np.savez(path, score=raw, label=label)
    found = good("measure", path, "--raw", "--threshold", repr(float(raw[5])), "--no-ci",
                 "--format", "json").json["overall"]  # fmt: skip
    assert "grid_error" in found
    assert found["confusion"][0]["tp"] == int(((raw >= raw[5]) & (label == 1)).sum())
    rank = np.empty(n)
    rank[np.argsort(raw)] = np.arange(1, n + 1)
    ones = int(label.sum())
    exact = (rank[label == 1].sum() - ones * (ones + 1) / 2) / (ones * (n - ones))
    assert found["metrics"]["auc"]["value"] == pytest.approx(exact, abs=1e-6)


def test_each_period_is_ranked_by_itself(points, good, calibcli):
    by = ("measure", points, "--raw", "--by", "site", "--format", "json", "-q")
    told = good(*by, "--threshold", "600").json["series"]
    for period in told["periods"]:
        own = period["value"] == SITE
        up, down = POINTS[own & (Y == 1)][:, None], POINTS[own & (Y == 0)]
        by_hand = (up > down).mean() + (up == down).mean() / 2
        assert list(period["metrics"]) == ["n", "prevalence", "auc", "average_precision"]
        assert period["metrics"]["auc"]["value"] == pytest.approx(by_hand, abs=1e-12)
        assert period["metrics"]["n"]["value"] == own.sum()
    # Without a gate there is nothing to judge by, and that is said.
    assert (told["first_bad"], told["limits"]) == (None, {})
    assert told["rule"].startswith("raw scores have no calibration error")
    value = told["periods"][0]["metrics"]["auc"]["value"]
    ran = calibcli(*by, "--fail-if", f"auc<={value!r}", "--fail-if", "tp@600<0")
    assert ran.code == 2  # no such gate
    ran = calibcli(*by, "--threshold", "600", "--fail-if", f"auc<={value!r}")
    bad = [one["value"] for one in ran.json["series"]["periods"] if one["bad"]]
    assert "a" in bad
    assert ran.json["series"]["limits"] == {}


def test_periods_know_groups_and_what_a_calibrator_makes_of_them(points, good, tmp_path):
    calibrator = tmp_path / "raw.json"
    good("fit", points, "--raw", "--method", "platt", "-o", calibrator, "-q")
    by = ("measure", points, "--raw", "--by", "rows:400", "--group", "site", "--format", "json")
    gate = ("--calibrator", calibrator, "--fail-if", "calibrated.ece>0.9", "-q")
    told = good(*by, *gate).json["series"]
    assert len(told["periods"]) == 3
    assert told["first_bad"] is None
    groups = told["periods"][0]["groups"]
    assert [one["slice"]["value"] for one in groups] == ["a", "b"]
    assert all(one["metrics"]["auc"]["value"] > 0.5 for one in groups)
    assert "auc" in good(*by[:-2]).out


def test_the_page_shows_their_order_and_no_probabilities(points, distances, good, tmp_path):
    page, cuts = tmp_path / "r.html", tmp_path / "cut.json"
    good("threshold", points, "--raw", "--maximize", "youden", "-o", cuts)
    good("report", points, "--group", "site", "--by", "rows:400", "--thresholds", cuts, "-o", page,
         "-q")  # fmt: skip
    text = page.read_text()
    shown = re.sub(r"<[^>]+>", " ", text[text.index("<body") :])
    assert f"They rank the rows, AUC {auc():.4f}" in shown
    for part in ("ranking", "cutoff", "periods", "slices0"):
        assert f'id="{part}"' in text
    assert 'id="reliability"' not in text
    assert "ECE per" not in shown
    assert shown.count("raw scores are no probabilities") == 0
    data = tmp_path / "r.json"
    good("report", points, "--raw", "--threshold", "600", "-o", data, "-q")
    roc = json.loads(data.read_text())["measure"]["overall"]["roc"]
    # Every point of the curve is what its cut-off does, in the unit of the scores.
    for at, fpr, tpr in list(zip(roc["threshold"], roc["fpr"], roc["tpr"], strict=True))[1::9]:
        c = counts(at)
        assert fpr == pytest.approx(c["fp"] / (c["fp"] + c["tn"]))
        assert tpr == pytest.approx(c["tp"] / (c["tp"] + c["fn"]))
    good("report", distances, "--raw", "--descending", "--threshold", "600", "-o", page, "-q")
    assert "score &lt;= threshold" in page.read_text()


def test_the_page_after_a_calibrator_has_its_diagram(points, good, calibcli, tmp_path):
    out, page = tmp_path / "c.json", tmp_path / "r.html"
    good("fit", points, "--raw", "--method", "platt", "-o", out, "-q")
    ran = calibcli("report", points, "--calibrator", out, "--cost", "fp=1,fn=4", "-o", page, "-q")
    assert ran.code == 0, ran.err
    text = page.read_text()
    assert 'id="reliability"' in text
    assert "After calibration" in text


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("measure", ("--at", "0.8")),
        ("measure", ("--worst", "3")),
        ("measure", ("--bins", "10")),
        ("threshold", ("--cost", "fp=1,fn=4")),
        ("threshold", ("--abstain", "accuracy>=0.9")),
        ("threshold", ("--coverage", "0.9")),
        ("fit", ("--method", "temperature", "-o", "x.json")),
        ("report", ("--cost", "fp=1,fn=4", "-o", "x.html")),
        ("report", ("--at", "0.8", "-o", "x.html")),
        ("report", ("--bins", "10", "-o", "x.html")),
        ("measure", ("--logits",)),
        ("measure", ("--scale", "100")),
    ],
)
def test_what_needs_probabilities_is_refused(command, options, points, calibcli):
    ran = calibcli(command, points, "--raw", *options)
    assert ran.code == 2
    assert "hint: " in ran.err


def test_several_scores_are_refused(write, calibcli):
    columns = {f"z_{k}": RNG.normal(size=30) for k in "abc"}
    path = write("margins.csv", columns | {"label": ["a", "b", "c"] * 10})
    ran = calibcli("measure", path, "--raw", "--scores", "z_*", "--classes", "a,b,c")
    assert (ran.code, "read with --logits" in ran.err) == (2, True)
    assert calibcli("measure", path, "--raw", "--task", "segmentation").code == 2


def test_the_wrong_way_up_is_told(points, distances, calibcli):
    for path, given, said in (
        (distances, ("--raw",), "add --descending"),
        (points, ("--raw", "--descending"), "leave out --descending"),
    ):
        ran = calibcli("measure", path, *given, "--format", "json")
        assert "turned" in ran.json["warning_codes"]
        assert said in ran.err
    assert calibcli("measure", points, "--raw", "--format", "json").json["warning_codes"] == []


@pytest.mark.parametrize(
    ("command", "options"),
    [("measure", ("--threshold", "600")), ("fit", ("-o", "cal.json")), ("threshold", ())],
)
def test_results_keep_to_their_schemas(command, options, distances, good, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ("--raw", "--descending", *options, "--format", "json", "-q")
    fits_schema(good(command, distances, *given).json, command)


def test_gates_are_of_the_figures_that_there_are(points, calibcli):
    assert calibcli("measure", points, "--raw", "--fail-if", "auc<0.5").code == 0
    assert calibcli("measure", points, "--raw", "--fail-if", "auc<0.99").code == 1
    ran = calibcli("measure", points, "--raw", "--fail-if", "ece>0.05")
    assert (ran.code, "raw scores are no probabilities" in ran.err) == (2, True)


def test_an_artifact_of_other_scores_is_refused(points, distances, calibcli, good, calibrator):
    for command in (("measure", points, "--raw", "--calibrator", calibrator),
                    ("apply", calibrator, points, "--raw", "-o", "-")):  # fmt: skip
        ran = calibcli(*command)
        assert (ran.code, "leave out --raw" in ran.err) == (2, True)
    own = points.with_name("own.json")
    good("fit", points, "--raw", "--method", "platt", "-o", own)
    ran = calibcli("measure", distances, "--raw", "--descending", "--calibrator", own)
    assert (ran.code, "leave out --descending" in ran.err) == (2, True)
    assert calibcli("measure", points, "--descending").code == 2
    damaged = json.loads(own.read_text())
    damaged["input"]["raw"]["scale"] = 0.0
    own.write_text(json.dumps(damaged))
    assert calibcli("measure", points, "--calibrator", own).code == 3


def test_the_hint_says_which_way_up_they_are(points, distances, calibcli):
    for path, options in ((points, "--raw"), (distances, "--raw --descending")):
        ran = calibcli("measure", path)
        assert ran.err.splitlines()[-1] == f"hint: calibcli measure {path} {options}"


@pytest.mark.parametrize("rows", [3, 12, 3000])
def test_too_few_of_one_label_to_compare_methods(rows, write, good, tmp_path):
    """With one row of label 1 some fold has none, and there is no identity to fall back on."""
    scores = write("few.csv", {"score": np.arange(500, 500 + rows), "label": np.arange(rows) == 1})
    options = ("--raw", "-o", tmp_path / "few.json", "-q", "--format", "json")
    fitted = good("fit", scores, *options).json
    assert (fitted["method"], fitted["after"]["kind"]) == ("platt", "in-sample")
    assert [one["chosen"] for one in fitted["candidates"]] == [True, False, False, False, False]
    assert any("platt is taken" in text for text in fitted["warnings"])


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("measure", ("--save-stats", "x.json")),
        ("measure", ("--bins", "10")),
        ("measure", ("--evidence", "x.json")),
        ("report", ("--cost", "fp=1,fn=4", "-o", "x.html")),
    ],
)
def test_thresholds_tell_that_scores_are_raw(
    command, options, points, good, calibcli, tmp_path, monkeypatch
):
    """Without --raw too: what thresholds remember is refused what the option is refused."""
    monkeypatch.chdir(tmp_path)
    good("threshold", points, "--raw", "--maximize", "f1", "-o", "cuts.json", "-q")
    ran = calibcli(command, points, "--thresholds", "cuts.json", *options)
    assert (ran.code, "needs probabilities" in ran.err) == (2, True)
    assert not (tmp_path / "x.json").exists()
    cut = good("measure", points, "--thresholds", "cuts.json", "--threshold", "640", "-q",
               "--format", "json").json["overall"]["confusion"]  # fmt: skip
    assert 640 in [one["threshold"] for one in cut]
