"""The process that draws: its pictures, its end, and what it never imports."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import pytest

from calibcli.engines.drawer import VEGA_LITE, Drawer, DrawerGoneError

vl_convert = pytest.importorskip("vl_convert")
SPEC = {
    "data": {"values": [{"x": 1, "name": "é 😀"}]},
    "mark": "point",
    "encoding": {
        "x": {"field": "x", "type": "quantitative"},
        "y": {"field": "name", "type": "nominal"},
    },
}
GOOD = json.dumps(SPEC).encode()


@pytest.fixture
def drawer():
    made = Drawer()
    yield made
    made.close()


@pytest.mark.slow
def test_pictures_are_those_of_the_library(drawer):
    svg = vl_convert.vegalite_to_svg(SPEC, vl_version=VEGA_LITE)
    assert drawer.draw(GOOD, "svg").decode() == svg
    assert drawer.draw(GOOD, "png").startswith(b"\x89PNG")


def test_a_specification_that_is_wrong_ends_nothing(drawer):
    wrong = json.dumps({**SPEC, "title": "constructor"}).encode()
    with pytest.raises(ValueError, match="conversion failed"):
        drawer.draw(wrong, "svg")
    assert drawer.draw(GOOD, "svg").startswith(b"<svg")


def test_a_process_that_dies(drawer):
    drawer._process.kill()
    for _ in range(2):
        with pytest.raises(DrawerGoneError):
            drawer.draw(GOOD, "svg")


def test_it_is_gone_after_close_however_busy_it_is():
    made = Drawer()
    made.close()
    assert made._process.returncode is not None
    with pytest.raises(ProcessLookupError):
        os.kill(made._process.pid, 0)


def test_nothing_of_the_current_folder_is_imported(tmp_path, monkeypatch):
    for name in ("vl_convert", "struct", "signal", "json"):
        (tmp_path / f"{name}.py").write_text("open('imported', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    made = Drawer()
    assert made.draw(GOOD, "svg").startswith(b"<svg")
    made.close()
    assert not (tmp_path / "imported").exists()


@pytest.mark.parametrize(
    "command", [("report", "-o", "page.html"), ("measure", "--save-plots", "p")]
)
def test_without_memory_to_draw_in(write, binary, tmp_path, command):
    """What draws dies then, with a native stack trace: of its own process, and unseen."""
    scores = write("scores.csv", binary)
    name, *options = command
    few = 4 * 2**30
    ran = subprocess.run(
        [sys.executable, "-m", "calibcli", name, str(scores), *options],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (few, few)),
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr.startswith("calibcli: error: the charts cannot be drawn")
    assert len(ran.stderr.splitlines()) == 3
    assert not (tmp_path / "page.html").exists()
    assert not list(tmp_path.glob("p/*"))
