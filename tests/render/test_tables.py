import re
import subprocess
import sys

import pytest

from calibcli.core.results.reading import typed
from calibcli.render.formats import text as tables
from calibcli.render.words import figures, names

SGR = re.compile(r"\x1b\[\d+m")


def test_a_default_measure_fits_one_look(make_binary):
    text = tables.render_measure(typed(make_binary()))
    assert text.count("\n") <= 47
    first = text.splitlines()[0]
    assert first.startswith("ECE 0.1")
    assert "n 2000" in first
    assert "prevalence 0.35" in first
    assert text.splitlines()[1] == "15 equal-width bins, (lo, hi]; 95% intervals"


def test_every_metric_is_printed_with_its_interval(make_binary):
    result = make_binary()
    text = tables.render_measure(typed(result))
    for name, entry in typed(result).overall.metrics.items():
        if name != "n":
            line = next(line for line in text.splitlines() if line.split()[:1] == [name])
            assert figures.metric(entry.value) in line
            assert figures.interval(entry) in line


def test_a_metric_that_is_not_defined_gives_its_reason(make_binary):
    result = make_binary()
    reason = {"value": None, "low": None, "high": None, "reason": "one class only"}
    result["overall"]["metrics"]["auc"] = reason
    line = next(x for x in tables.render_measure(typed(result)).splitlines() if x.startswith("auc"))
    assert line.split(None, 2)[1:] == ["-", "one class only"]


def test_a_pipe_has_no_escape_codes_and_the_terminal_the_same_characters(make_binary):
    result = make_binary(calibrated=True, groups=("a", "b"), thresholds=(0.3, 0.5))
    plain = tables.render_measure(typed(result))
    assert "\x1b" not in plain
    assert SGR.sub("", tables.render_measure(typed(result), color=True)) == plain


@pytest.mark.parametrize("color", [False, True])
def test_names_are_shown_as_they_are_and_harmless(make_multiclass, nasty, color):
    result = make_multiclass(tuple(nasty), groups=("[bold]a", "\x1b]0;title\x07"))
    result["warnings"] = ["column '\x1b[2J' is odd"]
    result["inputs"][0]["path"] = "evil\x1b[1m.csv"
    text = tables.render_measure(typed(result), color=color)
    for name in nasty:
        assert names.visible(name) in text
    assert "[red]x[/red]" in text
    codes = {code for code in re.findall(r"\x1b.{0,4}", text) if not SGR.match(code)}
    assert not codes
    assert not re.search("[\x00-\x09\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e]", text)


def test_before_and_after_stand_side_by_side(make_binary):
    result = make_binary(calibrated=True)
    line = next(
        x for x in tables.render_measure(typed(result)).splitlines() if x.split()[:1] == ["brier"]
    )
    before = result["overall"]["metrics"]["brier"]["value"]
    after = result["overall"]["calibrated"]["metrics"]["brier"]["value"]
    assert line.index(figures.metric(before)) < line.index(figures.metric(after))
    assert figures.signed(after - before) in line


def test_gates_tell_pass_and_fail(make_binary):
    result = make_binary()
    result["gates"] = [
        {"expr": "ece>0.05", "value": 0.1, "passed": False},
        {"expr": "auc<0.5", "value": 0.8, "passed": True},
    ]
    lines = tables.render_measure(typed(result)).splitlines()
    assert [x.split() for x in lines if x.startswith(("FAIL", "pass"))] == [
        ["FAIL", "ece>0.05", "0.1000"],
        ["pass", "auc<0.5", "0.8000"],
    ]


def test_the_worst_class_is_marked_and_the_order_kept(make_multiclass):
    classes = ("ant", "bee", "cat")
    result = make_multiclass(classes)
    worst = max(result["classes"], key=lambda c: c["metrics"]["ece"]["value"])["slice"]["name"]
    lines = tables.render_measure(typed(result)).splitlines()
    rows = [x for x in lines if x.startswith(classes)]
    assert [x.split()[0] for x in rows] == list(classes)
    assert [x.split()[0] for x in rows if "worst ECE" in x] == [worst]


def test_a_terminal_shows_the_worst_of_many_classes_and_a_pipe_all(make_multiclass):
    result = make_multiclass(tuple(f"class{i}" for i in range(40)), n=2000)
    harm = {c["slice"]["name"]: c["metrics"]["ece"]["value"] for c in result["classes"]}
    expected = set(sorted(harm, key=lambda name: -harm[name])[:20])
    screen = tables.render_measure(typed(result), width=100)
    shown = {
        x.split()[0] for x in screen.splitlines() if x.startswith("class") and x[5:6].isdigit()
    }
    assert shown == expected
    assert "20 more" in screen
    piped = tables.render_measure(typed(result))
    assert all(re.search(rf"^{name} ", piped, re.M) for name in harm)


def test_empty_bins_are_a_dash(make_multiclass):
    lines = tables.render_measure(typed(make_multiclass(("a", "b")))).splitlines()
    first = next(line for line in lines if line.startswith("[0, 0.06667]"))
    assert first.split()[2:] == ["0", "-", "-", "-"]


def test_at_readings_are_listed_per_slice(make_binary):
    result = make_binary(groups=("front",))
    reading = {"at": 0.8, "bin": [0.75, 0.8], "count": 10, "score": 0.78, "correctness": 0.5,
               "gap": -0.28, "verdict": "over-confident"}  # fmt: skip
    result["overall"]["at"] = [reading]
    result["groups"][0]["at"] = [{**reading, "verdict": "no data", "count": 0, "gap": None}]
    text = tables.render_measure(typed(result))
    assert re.search(r"^overall +0\.8 +0\.75 to 0\.8 +10 +0\.78\d* +0\.5\d* +-0\.28", text, re.M)
    assert re.search(r"^camera=front +0\.8 .* - +no data$", text, re.M)


def test_several_binnings_are_all_shown(make_binary):
    result = make_binary()
    first = result["overall"]["ece_by_bins"][0]
    result["overall"]["ece_by_bins"] = [first, {**first, "bins": 10}, {**first, "bins": 30}]
    text = tables.render_measure(typed(result))
    assert [m.split()[0] for m in re.findall(r"^\d+ equal-width bins .*\]$", text, re.M)] == [
        "15",
        "10",
        "30",
    ]


@pytest.mark.parametrize("kind", ["cross-fitted", "in-sample"])
def test_fit_says_what_its_after_is_worth(make_fit, kind):
    text = tables.render_fit(typed(make_fit(kind=kind)))
    assert text.splitlines()[0].startswith("temperature: ECE 0.1")
    assert f"After is {kind}" in text
    assert f"after, {kind}" in text
    assert re.search(r"^chosen +temperature +0\.4712", text, re.M)
    assert re.search(r"isotonic +- +- +fewer than 1000 rows$", text, re.M)


def test_a_threshold_is_printed_exactly(make_threshold):
    result = make_threshold()
    text = tables.render_threshold(typed(result))
    assert text.splitlines()[0].startswith("threshold 0.4000000000000001: maximises f1")
    assert "subject to precision>=0.6" in text
    assert "empirical" in text
    assert "certified" in tables.render_threshold(typed({**result, "kind": "certified"}))


def test_apply_lists_what_was_written():
    result = {"schema": "calibcli/apply", "version": 1, "rows": 10, "output": "out\x1b.parquet",
              "method": None, "inputs": [], "params": {}, "task": "binary"}  # fmt: skip
    lines = tables.render_apply(typed(result)).splitlines()
    assert lines == ["task    binary", "rows    10", "output  out\\x1b.parquet"]


def test_plain_tables_import_no_console_library_and_no_charts():
    code = (
        "import sys, calibcli.render.formats.text, calibcli.render.formats.jsonout\n"
        "heavy = {'rich', 'vl_convert', 'pandas', 'scipy', 'typer'} & set(sys.modules)\n"
        "raise SystemExit(' '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
    assert done.returncode == 0
