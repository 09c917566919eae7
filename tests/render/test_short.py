"""The short form of `measure`: at most fifteen lines of eighty columns, for each task."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.results.reading import typed
from calibcli.render.formats.short import render_measure
from calibcli.render.words.short import count, digits_of, number


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
