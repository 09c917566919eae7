"""Names of classes, groups, columns and files are data: shown as they are, and harmless."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

NASTY = (
    "[red]x[/red]",
    "<script>alert(1)</script>",
    "=1+1",
    "two\nlines",
    "\x1b[31mred\x1b[0m\x07",
    "a|b`c`",
    "x\u202eyz",
    "日本語 *x* _y_",
)
CONTROLS = ("\x1b", "\x07", "\u202e")


@pytest.fixture
def nasty(write):
    """Three classes with such names, and a group column of such a name and such values."""
    rng = np.random.default_rng(1)
    z = rng.normal(0, 1.5, (240, 3))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    label = (rng.uniform(size=(240, 1)) > p.cumsum(axis=1)).sum(axis=1)
    columns = {name: p[:, k] for k, name in enumerate(NASTY[:3])}
    columns["label"] = [NASTY[k] for k in label]
    columns[NASTY[4]] = [NASTY[k] for k in rng.integers(3, len(NASTY), 240)]
    return write("nasty.csv", columns)


@pytest.fixture
def arguments(nasty):
    return nasty, "--scores", ",".join(NASTY[:3]), "--group", NASTY[4], "--quiet"


def shown(name):
    """What a person reads: controls spelt out, everything else as it is."""
    return "".join(
        c if c.isprintable() else {"\n": "\\n", "\x1b": "\\x1b", "\x07": "\\x07"}.get(c, "\\u202e")
        for c in name
    )


def test_in_a_table(good, arguments):
    text = good("measure", *arguments, "--all").out
    for name in NASTY:
        assert shown(name) in text
    text += good("measure", *arguments).out
    for control in CONTROLS:
        assert control not in text
    assert all(line.isprintable() for line in text.splitlines())


def test_in_json(good, arguments):
    result = good("measure", *arguments, "--format", "json").json
    assert [one["slice"]["name"] for one in result["classes"]] == list(NASTY[:3])
    assert {one["slice"]["value"] for one in result["groups"]} == set(NASTY[3:])
    assert result["groups"][0]["slice"]["column"] == NASTY[4]


def test_in_csv_no_cell_is_a_formula(good, arguments):
    rows = list(csv.reader(io.StringIO(good("measure", *arguments, "--format", "csv").out)))
    cells = {cell for row in rows for cell in row}
    assert len({len(row) for row in rows}) == 1
    assert "'=1+1" in cells
    for name in (NASTY[0], NASTY[1]):
        assert name in cells
    texts = [cell for cell in cells if not cell.lstrip("-+").replace(".", "").isdigit()]
    assert [text for text in texts if text[:1] in "=+@" and text] == []
    assert not any(control in cell for cell in cells for control in CONTROLS)


def test_in_markdown(good, arguments):
    text = good("measure", *arguments, "--format", "md").out
    assert "<script" not in text
    assert "alert" in text
    assert not any(control in text for control in CONTROLS)
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert tables
    assert all(line.rstrip().endswith("|") for line in tables)


def test_in_html(good, arguments, tmp_path):
    out = tmp_path / "report.html"
    good("report", *arguments, "-o", out)
    text = out.read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script>alert(1)" not in text
    assert not any(control in text for control in CONTROLS)
    # Inside a script element a name must not end it.
    for script in text.split("<script")[1:]:
        assert "alert(1)</script" not in script.split("</script>")[0] + "</script"[:0]


def test_in_a_calibrator_and_the_columns_it_adds(calibcli, good, nasty, tmp_path):
    columns = ("--scores", ",".join(NASTY[:3]))
    path = tmp_path / "c.json"
    fitted = calibcli("fit", nasty, *columns, "--method", "temperature", "-o", path)
    assert fitted.code == 0
    assert json.loads(path.read_text(encoding="utf-8"))["classes"] == list(NASTY[:3])
    out = tmp_path / "out.csv"
    good("apply", path, nasty, "-o", out)
    with out.open(newline="", encoding="utf-8") as file:
        header = next(csv.reader(file))
    assert header == [*NASTY[:3], "label", NASTY[4], *(f"probability_{n}" for n in NASTY[:3])]


def test_in_an_error(calibcli, nasty, tmp_path):
    ran = calibcli("measure", nasty, "--group", "\x1b[31mred\nline")
    assert ran.code == 3
    assert "\x1b" not in ran.err
    assert len(ran.err.splitlines()) == 3
    ran = calibcli("measure", tmp_path / "\x1b[2Jx\ny.csv")
    assert ran.code == 3
    assert "\x1b" not in ran.err
    assert len(ran.err.splitlines()) == 3
    for usage in (("--nosuch\x1b[2J",), ("--bins", "\x1b[2J\n"), ("--fail-if", "\x1b[2J\n>1")):
        ran = calibcli("measure", nasty, "--scores", ",".join(NASTY[:3]), *usage)
        assert ran.code == 2
        assert "\x1b" not in ran.err
        assert len(ran.err.splitlines()) == 3


def test_a_path_that_is_not_utf8(calibcli, write, binary, tmp_path):
    labels = ("--labels", write("y.npy", binary["label"]))
    path = tmp_path / b"\xff\xfe.npy".decode("utf-8", "surrogateescape")
    try:
        np.save(path, binary["score"])
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    for form in ("table", "json", "csv", "md"):
        out = tmp_path / f"out.{form}"
        assert calibcli("measure", path, *labels, "--format", form, "-o", out).code == 0
        text = out.read_text(encoding="utf-8")
        assert "udcff" in text or form == "csv"
        assert calibcli("measure", path, *labels, "--format", form).out == text
    for command in (("measure", "--save-stats"), ("fit", "-o"), ("report", "-o")):
        out = tmp_path / f"out.{command[0]}.json"
        assert calibcli(command[0], path, *labels, command[1], out).code == 0
        out.read_text(encoding="utf-8")
