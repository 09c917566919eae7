"""The short form of `measure`: at most fifteen lines of eighty columns, for each task."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import structs

from calibcli.core.results.figures import Where
from calibcli.core.results.fit import Candidate
from calibcli.core.results.reading import typed
from calibcli.core.results.threshold import CutOff
from calibcli.render.formats.short import render_measure
from calibcli.render.words import short_cuts
from calibcli.render.words.short import count, digits_of, number
from calibcli.render.words.short_fit import choice_words


@pytest.fixture
def tasks(write, binary, tmp_path):
    """Return a command line of each task, with scores that are too extreme."""
    rng = np.random.default_rng(4)
    z = rng.normal(0, 3, (900, 4))
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    soft = np.exp(z / 3) / np.exp(z / 3).sum(1, keepdims=True)
    y = np.array([rng.choice(4, p=row) for row in soft])
    each = 1 / (1 + np.exp(-z))
    labels = (rng.random(z.shape) < 1 / (1 + np.exp(-z / 3))).astype(int)
    site = np.arange(900) % 3
    planes = each[:, 0].reshape(9, 10, 10)
    masks = labels[:, 0].reshape(9, 10, 10)
    return {
        "binary": (
            write("b.csv", {"score": each[:, 0], "label": labels[:, 0], "site": site}),
            "--group",
            "site",
        ),
        "multiclass": (write("p.npy", p), "--labels", write("y.npy", y)),
        "multilabel": (
            write("e.npy", each), "--labels", write("l.npy", labels), "--task", "multilabel",
        ),
        "segmentation": (
            write("s.npy", planes), "--labels", write("m.npy", masks), "--task", "segmentation",
        ),
    }  # fmt: skip


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel", "segmentation"])
def test_fifteen_lines_of_eighty_columns(calibcli, good, tasks, task):
    given = ("measure", *tasks[task], "--fail-if", "ece>0.01")
    ran = calibcli(*given)
    assert ran.code == 1
    result = calibcli(*given, "--format", "json").json
    text = render_measure(typed(result), width=80, hint="calibcli fit x.csv -o calibrator.json")
    lines = text.splitlines()
    assert len(lines) <= 15
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("Not honest: ")
    assert "ECE 0." in lines[0]
    # The gate is last, above what to type next.
    assert [line.split()[0] for line in lines[-3:]] == ["FAIL", "next:", "(--all:"]
    assert any("says" in line and "is" in line for line in lines)
    told = ran.out.splitlines()
    at = next(i for i, line in enumerate(told) if line.startswith("next: calibcli fit "))
    assert told[at - 1].startswith("FAIL")


def test_what_is_to_be_typed_works(calibcli, good, tasks, tmp_path, monkeypatch):
    import shlex

    monkeypatch.chdir(tmp_path)
    out = calibcli("measure", *tasks["multiclass"]).out
    typed = out.partition("next: ")[2].partition("(--all")[0].replace("\\\n", " ")
    program, *arguments = shlex.split(typed)
    assert program == "calibcli"
    assert calibcli(*arguments).code == 0
    assert (tmp_path / "calibrator.json").exists()


def test_all_prints_what_the_short_form_leaves_out(good, tasks):
    whole = good("measure", *tasks["binary"], "--all").out
    assert "hosmer_lemeshow_p" in whole
    assert "hosmer_lemeshow_p" not in good("measure", *tasks["binary"]).out


def test_digits_follow_the_interval():
    from calibcli.core.results.figures import Figure

    assert digits_of(Figure(0.5)) == 3
    assert digits_of(Figure(0.5, 0.49999, 0.50001)) == 6
    assert number(0.0004, 2) == "4.0e-04"
    assert count(1234567) == "1,234,567"


def test_a_few_honest_rows_are_no_verdict(calibcli, write):
    rng = np.random.default_rng(0)
    p = rng.random(60)
    path = write("few.csv", {"score": p, "label": (rng.random(60) < p).astype(int)})
    lines = calibcli("measure", path).out.splitlines()
    assert lines[0].startswith("Cannot tell")
    assert "60 rows pin a bin's gap down only to" in lines[1]


def candidate(method, score, se=0.0, chosen=False):
    best = 0.5
    return Candidate(method=method, score=score, difference=score - best, se=se, chosen=chosen)


def test_why_a_method_is_taken_that_is_not_the_lowest():
    lowest, simple = candidate("spline", 0.5), candidate("platt", 0.51, 0.02, chosen=True)
    told = "of 2 candidates spline has the lowest cross-fitted log loss, 0.5000; platt (0.5100) "
    within = "is within one standard error (0.0200), and simpler"
    assert choice_words([lowest, simple], "nll") == told + within
    # With few rows 1.5 of them count as one.
    few = candidate("platt", 0.51, 0.008, chosen=True)
    assert (
        choice_words([lowest, few], "nll") == f"{told}is not worse for sure (0.0080), and simpler"
    )
    best = candidate("spline", 0.5, chosen=True)
    assert choice_words([best, candidate("platt", 0.51)], "brier") == (
        "of 2 candidates spline has the lowest cross-fitted Brier score, 0.5000"
    )
    assert choice_words([best], "nll") == ""


@pytest.mark.parametrize("task", ["binary", "multiclass", "segmentation"])
def test_what_follows_a_fit_and_a_choice_works_on_other_files(
    calibcli, tasks, task, tmp_path, monkeypatch
):
    import shlex
    import shutil

    monkeypatch.chdir(tmp_path)
    files = [one for one in tasks[task] if one not in ("--group", "site")]
    out = calibcli("fit", *files, "--method", "temperature", "-o", "c.json").out
    for _ in ("threshold", "measure"):
        shutil.copy(files[0], f"NEW{files[0].suffix}")
        if files[1:]:
            shutil.copy(files[2], f"NEW_LABELS{files[2].suffix}")
        typed = out.partition("next: ")[2].partition("(NEW: ")[0].replace("\\\n", " ")
        program, *arguments = shlex.split(typed)
        assert program == "calibcli"
        ran = calibcli(*arguments)
        assert ran.code == 0, ran.err
        out = ran.out
    assert (tmp_path / "thresholds.json").exists()


def test_of_many_cut_offs_the_worst_are_shown(good, tasks):
    found = typed(good("threshold", *tasks["binary"], "--format", "json", "-q").json)
    costs = {"a": 3.0, "b": 0.5, "c": 7.0, "d": None, "e": 5.0, "f": 4.0, "g": 1.0}
    chosen = tuple(
        CutOff(
            slice=Where("class", name=name),
            threshold=None if cost is None else 0.5,
            value=cost,
        )
        for name, cost in costs.items()
    )
    for objective, worst, rest in (
        ("cost", "acdef", "cost less"),
        ("f1", "abdfg", "reach more"),
    ):
        result = structs.replace(found, thresholds=chosen, objective=objective)
        told = [line.text.split() for line in short_cuts.lines(result, 80)][2:8]
        assert [line[0] for line in told] == [*worst, "and"]
        assert " ".join(told[-1]) == f"and 2 more, which {rest}"


def test_a_file_that_is_called_new_is_no_other_data(calibcli, tasks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "NEW.csv").write_bytes(tasks["binary"][0].read_bytes())
    out = calibcli("measure", "NEW.csv").out
    assert "next: calibcli fit NEW.csv -o calibrator.json\n(--all: " in out


def test_a_failed_gate_has_nothing_to_type_next(calibcli, tasks, tmp_path):
    out = tmp_path / "c.json"
    ran = calibcli("fit", *tasks["multiclass"], "--fail-if", "ece>0.0001", "-o", out)
    assert ran.code == 1
    assert "next:" not in ran.out
    assert ran.out.splitlines()[-2].startswith("FAIL  ece>0.0001")


@pytest.mark.parametrize("command", ["fit", "threshold"])
def test_a_promotion_is_shown_whole(calibcli, tasks, command):
    ran = calibcli(command, tasks["binary"][0], "--promote-over", "x.json", "--all")
    assert ran.code == 2
    assert "--all shows all of a result, and a promotion is shown whole" in ran.err
