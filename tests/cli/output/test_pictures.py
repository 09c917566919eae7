"""Pictures in files and in the terminal: --plot, --save-plots, and reports in Markdown."""

from __future__ import annotations

import html
import json
import re
import struct
from urllib.parse import unquote

import numpy as np
import pytest

pytest.importorskip("vl_convert")


def size(png):
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", png[16:24])


def test_plot_adds_a_diagram_below_the_same_tables(good, scores):
    plain, drawn = good("measure", scores, "--all"), good("measure", scores, "--plot")
    assert drawn.out.startswith(plain.out)
    assert "●" in drawn.out.removeprefix(plain.out)
    assert "\x1b" not in drawn.out


@pytest.mark.parametrize("form", ["json", "csv", "md"])
def test_plot_is_refused_where_there_is_no_table(calibcli, scores, form):
    ran = calibcli("measure", scores, "--plot", "--format", form)
    assert ran.code == 2
    assert "--save-plots" in ran.err


@pytest.mark.slow
def test_save_plots_writes_pictures_and_changes_no_result(good, scores, calibrator, tmp_path):
    arguments = ("measure", scores, "--calibrator", calibrator, "--group", "camera", "-q")
    plain = good(*arguments, "--format", "json")
    folder = tmp_path / "new" / "plots"
    drawn = good(*arguments, "--format", "json", "--save-plots", folder)
    assert json.loads(drawn.out) == json.loads(plain.out)
    names = {path.stem for path in folder.iterdir()}
    assert {
        "reliability-before",
        "reliability-after",
        "corp",
        "ece-bins",
        "roc",
        "pr",
        "cost",
    } < names
    assert {"group-0-camera-ece", "group-0-camera-1"} < names
    for name in names:
        width, height = size((folder / f"{name}.png").read_bytes())
        assert min(width, height) > 100
        svg = (folder / f"{name}.svg").read_text("utf-8")
        assert svg.startswith("<svg")
        assert "#ffffff" in svg
    assert {path.suffix for path in folder.iterdir()} == {".png", ".svg"}
    before = (folder / "corp.svg").read_bytes(), (folder / "corp.png").read_bytes()
    good(*arguments, "--save-plots", folder)
    assert before == ((folder / "corp.svg").read_bytes(), (folder / "corp.png").read_bytes())


def test_a_folder_that_cannot_be_is_an_error(calibcli, scores, tmp_path):
    (tmp_path / "file").write_text("x")
    ran = calibcli("measure", scores, "--save-plots", tmp_path / "file")
    assert ran.code == 3
    assert "is no folder" in ran.err


def test_names_of_columns_choose_no_path(good, write, binary, tmp_path):
    columns = dict(binary)
    columns["../../etc/<x>"] = columns.pop("camera")
    scores = write("s.csv", columns)
    folder = tmp_path / "plots"
    good("measure", scores, "--group", "../../etc/<x>", "--save-plots", folder)
    assert (folder / "group-0-etc-x-ece.png").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"s.csv", "plots"}


def test_a_report_in_markdown_has_its_pictures_beside_it(good, scores, tmp_path):
    page = tmp_path / "my report.md"
    good("report", scores, "--group", "camera", "-o", page)
    text = page.read_text("utf-8")
    links = re.findall(r"^!\[.+\]\(([^)]+)\)$", text, re.MULTILINE)
    assert len(links) > 8
    assert len(set(links)) == len(links)
    for link in links:
        path = tmp_path / unquote(link)
        assert path.parent.name == "my report_files"
        size(path.read_bytes())
    assert len(list((tmp_path / "my report_files").iterdir())) == len(links)
    assert "![" not in good("report", scores, "--format", "md").out


def test_a_report_tells_drift(good, write, binary, tmp_path):
    old = write("old.csv", binary)
    new = write("new.csv", {**binary, "score": np.clip(binary["score"] * 0.8, 0, 1)})
    page = tmp_path / "r.html"
    good("report", new, "--reference", old, "-o", page)
    text = page.read_text("utf-8")
    found = good("measure", new, "--reference", old, "--format", "json").json["drift"]
    assert '<h2 id="drift">Drift</h2>' in text
    assert html.escape(found["verdict"][1:]) in text
    assert f"{found['metrics']['psi']['value']:.4f}" in text


def test_a_report_of_rows_without_labels_is_refused(calibcli, write, binary, tmp_path):
    old = write("old.csv", binary)
    new = write("new.csv", {"score": binary["score"]})
    for command in (("report", "-o", tmp_path / "r.html"), ("measure", "--save-plots", tmp_path)):
        ran = calibcli(command[0], new, "--reference", old, *command[1:])
        assert ran.code == 2
        assert "need labels" in ran.err
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    ("columns", "options"),
    [
        ({"score": [0.2], "label": [1]}, ()),
        ({"score": [0.3] * 9, "label": [0, 1, 1] * 3}, ()),
        ({"score": [0.1, 0.5, 0.9], "label": [1, 1, 1]}, ()),
        ({"score": [0.1, 0.5, 0.9], "label": [0, 1, 1], "w": [0.5, 2.5, 0.25]}, ("--weight", "w")),
        ({"logit": ["inf", "-inf", 0, 1], "label": [1, 0, 0, 1]}, ("--logits",)),
        ({"score": [0.1, 0.5, 0.9], "label": [0, 1, 1]}, ("--no-ci", "--edges", "0,.5,1")),
    ],
)
def test_the_smallest_files_have_a_report_too(good, write, tmp_path, columns, options):
    page = tmp_path / "r.html"
    good("report", write("s.csv", columns), *options, "-q", "-o", page)
    text = page.read_text("utf-8")
    assert "NaN" not in text.split("<script>")[0]
    assert text.count("<svg") >= 5
