"""Every option of every command changes what is said, or is refused: on each kind of scores."""

from __future__ import annotations

import pytest

pytest.importorskip("distributed")

from benchmarks.matrix.commands import World
from benchmarks.matrix.options import may_be_silent, trials
from benchmarks.matrix.run import run, tried
from calibcli.tasks.features import KINDS

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_option_acts_or_is_refused(kind, tmp_path):
    world = World.make(kind, tmp_path)
    silent = []
    for command, option, trial in trials(world):
        found = tried(world, trial)
        assert found.code in (0, 1, 2, 3), (command, option, found.said)
        quiet = not found.acts and found.code in (0, 1)
        if quiet and not may_be_silent(kind, command, option):
            silent.append(f"{command} {option}: {found.said}")
    assert silent == []


@pytest.mark.parametrize(
    ("kind", "command", "options", "reason"),
    [
        ("binary", "threshold", ("--per-class",), "one score a row has one cut-off"),
        ("binary", "threshold", ("--binning", "mass"), "cut-offs are of scores, not of bins"),
        ("binary", "apply", ("--votes", "1"), "--votes does nothing in apply"),
        ("binary", "fit", ("--tolerance", "0.1"), "--tolerance does nothing in fit"),
        ("binary", "measure", ("--iou", "0.7"), "--iou is for detections"),
        ("multiclass", "fit", ("--max-detections", "5"), "--max-detections is for detections"),
        ("boxes", "threshold", ("--group", "g"), "--group is not for --task detection"),
    ],
)
def test_what_would_do_nothing_is_refused(kind, command, options, reason, tmp_path):
    world = World.make(kind, tmp_path)
    more = [] if command == "measure" else ["-o", world.path("out.json")]
    code, _, said = run([*world.on(command, world.new, *options), *more])
    assert code == 2
    assert reason in said


def test_a_project_file_may_set_bins_for_all_commands(tmp_path, monkeypatch):
    world = World.make("binary", tmp_path)
    (tmp_path / "calibcli.toml").write_text('bins = "10"\ntolerance = 0.1\n')
    monkeypatch.chdir(tmp_path)
    for command in ("threshold", "fit"):
        code, _, said = run(world.on(command, world.new, "-o", world.path("out.json")))
        assert code == 0, said
