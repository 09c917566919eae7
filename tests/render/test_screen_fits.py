"""A short screen of a terminal is of fifteen lines at most, whatever the data and the options."""

from __future__ import annotations

import os
from unittest import mock

import numpy as np
import pytest
from msgspec import structs

from calibcli.core.results.envelope import GateResult
from calibcli.core.results.reading import typed
from calibcli.render.formats import short
from calibcli.render.formats.screen import LINES, clause

LONG = "3 of 40 rows of {} have no score in this file and are left out, as they have none: see it"
CODES = ("fit", "dropped", "breaks", "in-sample", "coarse", "prior", "free-form", "turned")


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """Hopeless data of each task: many groups, scores that are far off, few rows each."""
    folder = tmp_path_factory.mktemp("bad")
    rng = np.random.default_rng(3)
    n = 160
    p = rng.random(n)
    label = (rng.random(n) < 0.5).astype(int)
    columns = {"score": p, "label": label, "weight": rng.random(n) + 0.1}
    columns |= {f"g{k}": rng.integers(0, 6, n) for k in range(5)}
    columns |= {"day": np.arange(n) // 16}
    many = {f"p_{k}": column for k, column in enumerate(rng.dirichlet([0.3] * 8, n).T)}
    _csv(folder / "rows.csv", columns)
    _csv(folder / "before.csv", columns | {"score": p**3})
    _csv(folder / "other.csv", columns | {"score": rng.random(n)})
    _csv(folder / "raw.csv", columns | {"score": (600 + 50 * rng.normal(size=n)).round()})
    classes = {"label": rng.integers(0, 8, n), "g0": columns["g0"], "g1": columns["g1"]}
    _csv(folder / "classes.csv", many | classes)
    labels = rng.random((n, 6))
    np.save(folder / "labels.npy", labels)
    np.save(folder / "labels_y.npy", (rng.random((n, 6)) < 0.3).astype(int))
    masks = rng.random((5, 4, 6, 6))
    np.save(folder / "masks.npy", masks / masks.sum(axis=1, keepdims=True))
    np.save(folder / "masks_y.npy", rng.integers(0, 4, (5, 6, 6)))
    return folder


def _csv(path, columns):
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")


GROUPS = tuple(x for k in range(3) for x in ("--group", f"g{k}"))
CUTS = ("--threshold", "0.2", "--threshold", "0.4", "--threshold", "0.6")
BINARY = ("rows.csv", "--cluster", "g4")
CLASSES = ("classes.csv", "--scores", "p_*", "--group", "g0", "--group", "g1")
LABELS = ("labels.npy", "--labels", "labels_y.npy", "--task", "multilabel")
MASKS = ("masks.npy", "--labels", "masks_y.npy", "--task", "segmentation")
RAW = ("raw.csv", "--raw")
RUNS = {
    "measure": ("measure", *BINARY, *GROUPS, "--no-ci", *CUTS),
    "drift": ("measure", *BINARY, "--reference", "before.csv"),
    "versus": ("measure", *BINARY, "--versus", "other.csv", "--by", "g1"),
    "by": ("measure", *BINARY, "--by", "day", "--at", "0.8"),
    "all of it": ("measure", *BINARY, "--group", "g0", "--versus", "other.csv", "--reference",
                  "before.csv", "--by", "g1", "--at", "0.8", "--no-ci", *CUTS),
    "classes": ("measure", *CLASSES, "--reference", "classes.csv"),
    "labels": ("measure", *LABELS, "--reference", "labels.npy"),
    "masks": ("measure", *MASKS),
    "raw": ("measure", *RAW, "--versus", "weight", "--reference", "raw.csv", *GROUPS,
            "--threshold", "600", "--threshold", "640"),
    "fit": ("fit", *BINARY, "-o", "c.json"),
    "fit groups": ("fit", *BINARY, "--per-group", "g0", "-o", "c.json"),
    "fit classes": ("fit", *CLASSES[:3], "--per-class", "-o", "c.json"),
    "fit labels": ("fit", *LABELS, "-o", "c.json"),
    "fit masks": ("fit", *MASKS, "-o", "c.json"),
    "fit raw": ("fit", *RAW, "-o", "c.json"),
    "cut": ("threshold", *BINARY, *GROUPS, "--subject-to", "recall>=0.5", "-o", "t.json"),
    "cut groups": ("threshold", "rows.csv", "--per-group", "g0", "--unreachable", "never",
                   "--subject-to", "precision>=0.5", "-o", "t.json"),
    "cut classes": ("threshold", *CLASSES, "-o", "t.json"),
    "cut labels": ("threshold", *LABELS, "-o", "t.json"),
    "cut masks": ("threshold", *MASKS, "--search", "min-area=0,3", "-o", "t.json"),
    "cut raw": ("threshold", *RAW, *GROUPS, "-o", "t.json"),
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_bad_data_of_each_task(name, bad, calibcli, monkeypatch):
    """As it is, and with eight long warnings and twenty gates of which seven fail."""
    monkeypatch.chdir(bad)
    kind = RUNS[name][0]
    made = calibcli(*RUNS[name], "--format", "json", "-q")
    assert made.code in (0, 1), made.err
    whole = typed(made.json)
    render = getattr(short, f"render_{kind}")
    gates = tuple(
        GateResult(f"worst(group.g{k}).ece>{k / 100}", 0.1, passed=k % 3 != 0) for k in range(20)
    )
    warnings = tuple(LONG.format(f"hospital {k}") for k in range(len(CODES)))
    crowded = structs.replace(whole, gates=gates, warnings=warnings, warning_codes=CODES)
    hint = "calibcli fit a_file_with_a_name.csv \\\n    --score a_column -o calibrator.json"
    for result in (whole, structs.replace(whole, gates=gates), crowded):
        for width in (80, 60):
            text = render(result, width=width, hint=hint)
            lines = text.splitlines()
            assert len(lines) <= LINES, text
            assert max(map(len, lines)) <= width or width < 80, text
            assert lines[-1].endswith(")"), text
            if result.gates:
                failed = [place for place, line in enumerate(lines) if line.startswith("FAIL")]
                assert failed, text
                # Below the gates there is only what to type, and what --all would add.
                below = [line for line in lines[failed[-1] + 1 :] if line[:1] not in " ("]
                assert all(line.startswith(("next: ", "pass ")) for line in below), text
    told = [line for line in lines if line.startswith("warning: ")]
    assert told, text
    assert "more warnings" in " ".join(" ".join(lines[-3:]).split()), text
    # A pipe is not scrolled: each gate and each sentence has its line.
    piped = render(crowded, hint=hint).splitlines()
    assert sum(line.startswith("FAIL") for line in piped) == 7
    assert sum(line.startswith("pass") for line in piped) == 13


def test_warnings_that_matter_go_last(bad, calibcli, monkeypatch):
    monkeypatch.chdir(bad)
    whole = typed(calibcli("measure", "rows.csv", "--format", "json", "-q").json)
    texts = tuple(f"the one that is called {code}, at some length: {LONG}" for code in CODES)
    crowded = structs.replace(whole, warnings=texts, warning_codes=CODES)
    lines = short.render_measure(crowded, width=80).splitlines()
    told = [line for line in lines if line.startswith("warning: ")]
    assert [line.split(",")[0].split()[-1] for line in told] == ["breaks", "in-sample", "turned"]
    assert "5 more warnings" in " ".join(" ".join(lines[-2:]).split())


def test_a_warning_is_cut_where_a_clause_ends():
    text = "warning: the labels, which are few, say nothing of group 'north west': give more rows"
    assert clause(text, 90) == text
    assert clause(text, 75) == text.rpartition(":")[0]
    assert clause(text, 60) == "warning: the labels, which are few"
    assert clause("warning: " + "word " * 30, 40) == "warning: word word word word word word …"


def test_the_screen_is_what_a_terminal_shows(bad, monkeypatch, tmp_path):
    import contextlib
    import io

    from calibcli.cli.main import main
    from tests.cli.test_terminal import Terminal

    monkeypatch.chdir(bad)
    out = Terminal(io.BytesIO(), encoding="utf-8")
    with (
        mock.patch("shutil.get_terminal_size", return_value=os.terminal_size((80, 24))),
        mock.patch.dict(os.environ, {"NO_COLOR": "1"}),
        contextlib.redirect_stdout(out),
    ):
        assert main([*RUNS["all of it"], "--no-ci", "--fail-if", "ece>0.01", "-q"]) == 1
        out.flush()
        lines = out.buffer.getvalue().decode().splitlines()
    assert len(lines) <= LINES
    assert any(line.startswith("FAIL  ece>0.01") for line in lines[-4:])
