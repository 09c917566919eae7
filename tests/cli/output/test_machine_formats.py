"""JUnit, Prometheus, GitHub annotations, JSON for jq and DVC: each read as its reader reads it."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from calibcli.core.results.reading import typed
from calibcli.render.formats.github import summary

NASTY = ('a"b\\c', "two\nlines", "<i>&'", "::error::x", "x%0A::set-output", "\x1b[31m\x07", "é日")
GATES = (
    "--fail-if",
    "ece>0.000001",
    "--fail-if",
    "ece>0.99",
    "--fail-if",
    "worst(group.k).ece>0.01",
)


@pytest.fixture
def nasty(write):
    """Binary scores with groups of such names; every group has both labels."""
    rng = np.random.default_rng(5)
    score = rng.uniform(size=700)
    label = (rng.uniform(size=700) < score**2).astype(int)
    return write("x.csv", {"score": score, "label": label, "k": list(NASTY) * 100})


@pytest.fixture
def given(nasty):
    return (nasty, "--group", "k", *GATES, "--no-ci")


# -- JUnit ----------------------------------------------------------------------------------------


def test_gates_are_test_cases(calibcli, given):
    ran = calibcli("measure", *given, "--format", "junit", "--tag", "model=<a&b>")
    assert ran.code == 1
    root = ElementTree.fromstring(ran.out)
    assert root.tag == "testsuites"
    (suite,) = root
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == list(GATES[1::2])
    failed = [case for case in cases if case.find("failure") is not None]
    for counted in (root, suite):
        assert counted.get("tests") == str(len(cases)) == "3"
        assert counted.get("failures") == str(len(failed)) == "2"
        assert counted.get("errors") == counted.get("skipped") == "0"
    result = calibcli("measure", *given, "--format", "json").json
    for gate, case in zip(result["gates"], cases, strict=True):
        assert gate["passed"] == (case.find("failure") is None)
        if not gate["passed"]:
            message = case.find("failure").get("message")
            assert f"{gate['value']:.4f}" in message
            assert case.find("failure").text == message
    values = {p.get("name"): p.get("value") for p in suite.find("properties")}
    assert values["model"] == "<a&b>"
    assert "700 rows" in values["inputs"]


def test_junit_without_gates_has_one_case_that_passed(good, nasty):
    suite = ElementTree.fromstring(good("measure", nasty, "--format", "junit").out)[0]
    assert [case.get("name") for case in suite.findall("testcase")] == ["measured"]
    assert suite.get("tests") == "1"
    assert "ECE" in suite.find("system-out").text


# -- Prometheus -----------------------------------------------------------------------------------


def families(text):
    """Parse strictly: what the node exporter refuses is refused here."""
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    seen = []
    for line in text.splitlines():
        name = re.match(r"# (?:HELP|TYPE) (\S+) |([a-zA-Z_:][a-zA-Z0-9_:]*)", line)
        assert name, line
        seen.append(name[1] or name[2])
        if not line.startswith("#"):
            assert re.fullmatch(r"[a-z_0-9]+(\{.*\})? -?[0-9.e+-]+", line), "a value, no timestamp"
    runs = [name for name, _ in itertools.groupby(seen)]
    assert len(runs) == len(set(runs)), "samples of a metric stand together"
    samples = [
        sample for family in text_string_to_metric_families(text) for sample in family.samples
    ]
    keys = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples]
    assert len(keys) == len(set(keys))
    return {key: sample.value for key, sample in zip(keys, samples, strict=True)}


def value(found, metric, /, **labels):
    (one,) = [
        number
        for (name, given), number in found.items()
        if name == metric and labels.items() <= dict(given).items()
    ]
    return one


@pytest.mark.slow
def test_every_figure_of_measure_is_a_gauge(calibcli, nasty, tmp_path):
    given = (nasty, "--group", "k", *GATES)
    fitted = calibcli("fit", nasty, "--method", "platt", "-o", tmp_path / "c.json", "-q")
    assert fitted.code == 0
    more = ("--calibrator", tmp_path / "c.json", "--threshold", "0.25", "--threshold", "0.5", "-q")
    text = calibcli("measure", *given, *more, "--format", "prometheus", "--tag", "model=a,b").out
    result = calibcli("measure", *given, *more, "--format", "json").json
    found = families(text)
    expected = 0
    for part in (result["overall"], *result["groups"]):
        where = part["slice"]
        name = where.get("value", "").replace("\x1b", "\\x1b").replace("\x07", "\\x07")
        labels = {"slice": where["kind"], "name": name, "model": "a,b"}
        for stage, source in (("before", part), ("calibrated", part["calibrated"])):
            for name, figure in source["metrics"].items():
                for end, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
                    if figure[end] is not None:
                        expected += 1
                        shown = value(found, f"calibcli_{name}{suffix}", stage=stage, **labels)
                        assert shown == figure[end]
            for table in source["confusion"]:
                at = {"threshold": str(table["threshold"]), "stage": stage, **labels}
                for outcome in ("tp", "fp", "fn", "tn"):
                    shown = value(found, "calibcli_confusion", outcome=outcome, **at)
                    assert shown == table[outcome]
                assert value(found, "calibcli_recall", **at) == table["recall"]["value"]
    assert expected > 500
    assert {dict(labels)["name"] for _, labels in found if "name" in dict(labels)} >= {
        name for name in NASTY if "\x1b" not in name
    }
    assert "\x1b" not in text
    for gate in result["gates"]:
        assert value(found, "calibcli_gate_passed", expr=gate["expr"]) == gate["passed"]
        assert value(found, "calibcli_gate_value", expr=gate["expr"]) == gate["value"]
    assert value(found, "calibcli_gates_failed") == 2


def test_no_series_comes_twice(calibcli, nasty):
    """The collector refuses a whole file for a name and labels that it has seen in it."""
    twice = ("--threshold", "0.5", "--threshold", "0.5", "--group", "k", "--group", "k")
    text = calibcli("measure", nasty, *twice, *GATES, *GATES, "--format", "prometheus").out
    samples = [line.rpartition(" ")[0] for line in text.splitlines() if line[:1] != "#"]
    assert len(samples) == len(set(samples)) > 500


def test_files_of_three_commands_do_not_collide(calibcli, nasty, tmp_path):
    """The node exporter reads all files of a folder as one."""
    series = []
    for command, more in (("measure", ()), ("fit", ("-o", tmp_path / "c")), ("threshold", ())):
        text = calibcli(command, nasty, "--format", "prometheus", *more).out
        series.append(families(text))
        types = re.findall(r"# TYPE (\S+) (\S+)", text)
        assert {kind for _, kind in types} == {"gauge"}
    for one, other in itertools.combinations(series, 2):
        assert not one.keys() & other.keys()
    helps = [
        calibcli("measure", nasty, "--format", "prometheus", "--tag", f"m={m}").out for m in "ab"
    ]
    assert re.findall("# HELP.*", helps[0]) == re.findall("# HELP.*", helps[1])
    assert not families(helps[0]).keys() & families(helps[1]).keys()


def test_fit_and_threshold_for_prometheus(calibcli, nasty, tmp_path):
    options = ("fit", nasty, "--method", "platt", "-o", tmp_path / "c.json", "--format")
    result, text = calibcli(*options, "json").json, calibcli(*options, "prometheus").out
    found = families(text)
    assert (
        value(found, "calibcli_fit_nll", stage="after")
        == result["after"]["metrics"]["nll"]["value"]
    )
    assert value(found, "calibcli_info", method="platt", command="fit") == 1
    options = ("threshold", nasty, "--maximize", "f1", "--format")
    result, text = calibcli(*options, "json").json, calibcli(*options, "prometheus").out
    found, chosen = families(text), result["thresholds"][0]
    assert value(found, "calibcli_threshold", objective="f1") == chosen["threshold"]
    assert value(found, "calibcli_threshold_low") == chosen["threshold_low"]
    assert value(found, "calibcli_threshold_objective") == chosen["value"]["value"]
    assert value(found, "calibcli_threshold_confusion", outcome="fp") == chosen["confusion"]["fp"]


def test_comparisons_are_gauges_of_their_own(calibcli, nasty, write):
    other = {"score": [0.2, 0.8] * 60, "label": [0, 1] * 60}
    options = (nasty, "--reference", write("r.csv", other), "--format")
    result = calibcli("measure", *options, "json").json["drift"]["metrics"]
    found = families(calibcli("measure", *options, "prometheus").out)
    assert value(found, "calibcli_drift_psi") == result["psi"]["value"]
    assert value(found, "calibcli_drift_psi_high") == result["psi"]["high"]
    columns = {"score": [0.2, 0.8] * 60, "other": [0.1, 0.4] * 60, "label": [0, 1] * 60}
    options = (write("v.csv", columns), "--score", "score", "--versus", "other", "--format")
    result = calibcli("measure", *options, "json").json["versus"]["metrics"]
    found = families(calibcli("measure", *options, "prometheus").out)
    assert value(found, "calibcli_versus_brier") == result["brier"]["value"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool")
def test_promtool_has_nothing_to_say(calibcli, given):
    text = calibcli("measure", *given, "--format", "prometheus").out
    ran = subprocess.run(
        ["promtool", "check", "metrics"], input=text, text=True, capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    "tag", ["model", "=x", "a-b=x", "é=x", "__a=x", "slice=x", "job=x", "1a=x", "a b=x"]
)
def test_what_is_no_tag(calibcli, nasty, tag):
    ran = calibcli("measure", nasty, "--tag", tag)
    assert (ran.code, ran.out) == (2, "")
    assert "--tag" in ran.err


def test_tags_are_in_the_json(good, calibcli, nasty):
    tags = ("--tag", "model=churn", "--tag", "empty=", "--format", "json")
    assert good("measure", nasty, *tags).json["params"]["tags"] == {"model": "churn", "empty": ""}
    assert "tags" not in good("measure", nasty, "--format", "json").json["params"]
    assert calibcli("measure", nasty, "--tag", "a=1", "--tag", "a=2").code == 2


# -- GitHub ---------------------------------------------------------------------------------------


def commands(text):
    """Read workflow commands as the runner does (ActionCommand.TryParseV2)."""
    found = []
    for line in text.splitlines():
        match = re.fullmatch(r"::(\w+) title=([^:,]*)::(.*)", line)
        assert match, line
        data = match[3].replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
        found.append((match[1], match[2].replace("%3A", ":").replace("%2C", ","), data))
    return found


def test_annotations_of_gates_and_warnings(calibcli, given, monkeypatch, tmp_path):
    page = tmp_path / "summary.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    ran = calibcli(
        "measure", *given, "--drop-invalid", "--format", "github", "--tag", "model=a:b,c"
    )
    assert (ran.code, ran.err) == (1, "")
    found = commands(ran.out)
    assert [kind for kind, _, _ in found] == ["notice", "error", "error"]
    assert {title for _, title, _ in found} == {"calibcli model=a:b,c"}
    assert "ECE" in found[0][2]
    assert "1 passed, 2 failed" in found[0][2]
    assert "ece>0.000001" in found[1][2]
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n## Calibration")
    assert "| FAIL |" in text
    page.unlink()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "")
    assert calibcli("measure", *given, "--format", "github").code == 1
    assert not page.exists()


def test_names_make_no_command_of_their_own(calibcli, nasty, write):
    """A worst group's name and a warning come from the data."""
    seen = set()
    for name in NASTY:
        rows = {"score": [0.1, 0.9] * 60, "label": [1, 0] * 60, "k": [name] * 120}
        gate = f"group.k.{name}.ece>0.1"
        options = ("--group", "k", "--fail-if", gate, "--fail-if", "worst(group.k).ece>0.1")
        ran = calibcli("measure", write("n.csv", rows), *options, "--format", "github")
        found = commands(ran.out)
        assert [kind for kind, _, _ in found][:3] == ["notice", "error", "error"]
        assert not any("\n" in data for _, _, data in found)
        seen.add(found[2][2])
    assert len(seen) == len(NASTY)


def test_more_than_github_shows_is_counted(calibcli, nasty):
    gates = [part for i in range(13) for part in ("--fail-if", f"ece>0.0000{i}1")]
    found = commands(calibcli("measure", nasty, *gates, "--format", "github").out)
    errors = [data for kind, _, data in found if kind == "error"]
    assert len(errors) == 10
    assert "3 more" in errors[-1]


def test_a_summary_that_cannot_be_written_keeps_the_answer(calibcli, given, monkeypatch, tmp_path):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "no" / "such.md"))
    ran = calibcli("measure", *given, "--format", "github")
    assert ran.code == 1
    assert "no job summary" in ran.err
    assert len(commands(ran.out)) == 3


@pytest.mark.slow
def test_a_summary_of_many_groups_stays_below_the_limit(good, nasty):
    result = good("measure", nasty, "--group", "k", "--no-ci", "--format", "json").json
    assert "left out" not in summary("measure", typed(result))
    result["groups"] *= 3_000
    text = summary("measure", typed(result))
    assert 1_000 < len(text.encode()) < 2**20
    assert "left out" in text


def test_fit_and_threshold_for_github(calibcli, nasty, monkeypatch, tmp_path):
    page = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    ran = calibcli(
        "fit", nasty, "--method", "platt", "-o", tmp_path / "c.json", "--format", "github"
    )
    assert commands(ran.out)[0][2].startswith("platt: ECE")
    ran = calibcli("threshold", nasty, "--format", "github")
    assert commands(ran.out)[0][2].startswith("threshold 0.")
    assert re.findall("^## .*", page.read_text(), re.MULTILINE) == [
        "## Calibrator",
        "## Thresholds",
    ]


# -- JSON for jq and DVC --------------------------------------------------------------------------


def dvc_metrics(value):
    """What DVC makes of a metrics file: dictionaries and their numbers and texts, no lists.

    As `_extract_metrics` of dvc/repo/metrics/show.py.
    """
    if isinstance(value, int | float | str):
        return value
    if not isinstance(value, dict):
        return None
    found = {key: dvc_metrics(item) for key, item in value.items()}
    return {key: item for key, item in found.items() if item not in (None, {})}


def test_dvc_finds_the_figures(good, nasty):
    result = good("measure", nasty, "--format", "json").json
    metrics = dvc_metrics(result)["overall"]["metrics"]
    assert metrics["ece"].keys() == {"value", "low", "high"}
    assert all(isinstance(figure["value"], int | float) for figure in metrics.values())


@pytest.mark.skipif(shutil.which("jq") is None, reason="no jq")
def test_jq_reads_the_json(good, nasty):
    text = good("measure", nasty, "--group", "k", "--format", "json").out
    program = "[.overall.metrics.ece.value, (.groups | max_by(.metrics.ece.value) | .slice.value)]"
    ran = subprocess.run(
        ["jq", "-c", program], input=text, text=True, capture_output=True, check=True
    )
    result = json.loads(text)
    worst = max(result["groups"], key=lambda part: part["metrics"]["ece"]["value"])
    assert json.loads(ran.stdout) == [
        result["overall"]["metrics"]["ece"]["value"], worst["slice"]["value"]
    ]  # fmt: skip


# -- all of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["junit", "prometheus", "github"])
def test_a_file_and_standard_output_are_the_same_bytes(calibcli, given, tmp_path, form):
    ran = calibcli("measure", *given, "--format", form)
    again = calibcli("measure", *given, "--format", form, "-o", tmp_path / "o")
    assert (ran.code, again.code, again.out) == (1, 1, "")
    assert (tmp_path / "o").read_bytes() == ran.out.encode() != b""
    assert ran.out == calibcli("measure", *given, "--format", form, "--threads", "3").out


@pytest.mark.parametrize("form", ["junit", "prometheus", "github"])
def test_several_classes_and_no_intervals(calibcli, write, classes, form):
    scores, labels = write("p.npy", classes["p"]), write("y.npy", classes["label"])
    ran = calibcli("measure", scores, "--labels", labels, "--no-ci", "--format", form)
    assert (ran.code, ran.err) == (0, "")
    {"junit": ElementTree.fromstring, "prometheus": families, "github": commands}[form](ran.out)


# -- gates that fail, and gates that cannot be evaluated -------------------------------------------


@pytest.mark.parametrize("output", [("--format", "csv"), ("-o", "out.txt")])
def test_a_failed_gate_is_a_line_on_stderr_with_its_interval(
    calibcli, sample_data, tmp_path, monkeypatch, output
):
    monkeypatch.chdir(tmp_path)
    rows = sample_data / "breast_cancer_test.csv"
    ran = calibcli("measure", rows, "--cluster", "patient", "--fail-if", "ece>0.05", *output)
    assert ran.code == 1
    found = re.fullmatch(r"calibcli: gate 'ece>0.05' failed: (\S+) \[(\S+), (\S+)\]\n", ran.err)
    assert found
    value, low, high = map(float, found.groups())
    assert low < value < high


@pytest.mark.parametrize("output", [(), ("-o", "out.xml")])
def test_a_gate_that_cannot_be_evaluated_is_an_error_of_junit(
    calibcli, sample_data, tmp_path, monkeypatch, output
):
    monkeypatch.chdir(tmp_path)
    rows = sample_data / "breast_cancer_test.csv"
    ran = calibcli("measure", rows, "--fail-if", "eca>0.05", "--format", "junit", *output)
    assert ran.code == 2
    text = Path("out.xml").read_text() if output else ran.out
    suite = ElementTree.fromstring(text)
    assert (suite.get("errors"), suite.get("failures")) == ("1", "0")
    error = suite.find(".//error")
    assert error is not None
    assert "names no figure" in error.get("message", "")


def test_an_error_is_an_annotation(calibcli, tmp_path):
    ran = calibcli("measure", tmp_path / "none.csv", "--format", "github")
    assert ran.code == 3
    assert ran.out.startswith("::error title=calibcli::measure: error: ")
    assert ran.out.endswith("none.csv: no such file or folder\n")


def test_an_input_that_is_named_as_output_keeps_its_content(calibcli, sample_data, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_bytes((sample_data / "breast_cancer_test.csv").read_bytes())
    ran = calibcli("measure", rows, "--format", "junit", "-o", rows)
    assert ran.code == 3
    assert rows.read_bytes() == (sample_data / "breast_cancer_test.csv").read_bytes()


def test_gates_know_the_decisions_in_each_group_and_period(calibcli, sample_data, tmp_path):
    cuts, rows = tmp_path / "t.json", sample_data / "breast_cancer_test.csv"
    fitted = sample_data / "breast_cancer_calibration.csv"
    assert calibcli("threshold", fitted, "-o", cuts).code == 0
    shown = ("--thresholds", cuts, "--group", "size", "--format", "json", "--fail-if")
    for gate in ("worst(group).decision.recall<0.9", "recall@chosen<0.9", "sensitivity@chosen<0.9"):
        assert "low" in calibcli("measure", rows, *shown, gate).json["gates"][0], gate
    result = calibcli("measure", rows, "--by", "network", *shown, "decision.recall<0.9").json
    bad = [one["value"] for one in result["series"]["periods"] if one["bad"]]
    low = [
        one["value"]
        for one in result["series"]["periods"]
        if one["decision"]["metrics"]["recall"]["value"] < 0.9
    ]
    assert bad == low != []


def test_a_perfect_model_has_the_ends_of_f1(calibcli, write):
    rows = write("p.csv", {"score": [0.9, 0.1] * 50, "label": [1, 0] * 50})
    assert calibcli("measure", rows, "--fail-if", "f1.low<0.5", "-q").code == 0
