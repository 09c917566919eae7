"""A calibrator and its cut-offs are replaced together, whenever a run is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from calibcli.errors import InputError
from calibcli.io.artifacts.artifacts import artifact_text
from calibcli.io.output.pair import install_pair, recover_pair, roll_back_pair
from tests.io.output.test_succession import STEPS, artifact, state

SCRIPT = (
    STEPS.replace('path, taken = folder + "/current.json", 0', "taken = 0").partition("text =")[0]
    + """
from calibcli.io.output import pair
paths = folder + "/cal.json", folder + "/cuts.json"
texts = tuple(open(folder + "/../" + name).read() for name in ("cal", "cuts"))
sys.addaudithook(hook)
if action == "install":
    pair.install_pair(paths, texts)
elif action == "recover":
    pair.recover_pair(paths)
else:
    pair.roll_back_pair(paths)
"""
)


def cuts(calibrator, at):
    digest = None if calibrator is None else json.loads(calibrator)["digest"]
    item = {"slice": {"kind": "overall"}, "threshold": at, "n": 9}
    return artifact_text(
        "thresholds",
        {
            "calibcli": "0.1.0", "task": "binary", "classes": [], "rule": "score >= threshold",
            "kind": "empirical", "objective": "f1", "constraints": [], "calibrated": True,
            "calibrator": digest, "thresholds": [item], "rows": 9, "inputs": [], "params": {},
            "warnings": [],
        },
    )[0]  # fmt: skip


PAIRS = [
    (c, cuts(c, at)) for c, at in zip(map(artifact, (1.0, 2.0, 3.0)), (0.3, 0.4, 0.5), strict=True)
]
OLDEST, OLD, NEW = PAIRS
NAMES = ("cal.json", "cuts.json")


def laid(folder, now, before):
    folder.mkdir()
    for name, text, previous in zip(NAMES, now, before, strict=True):
        (folder / name).write_text(text)
        (folder / f"{name}.previous").write_text(previous)
    return tuple(str(folder / name) for name in NAMES)


def files(now, before):
    names = [*NAMES, *(f"{name}.previous" for name in NAMES)]
    return dict(zip(names, [*now, *before], strict=True))


def killed(folder, action, step):
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), action, str(step)], check=False
    )
    assert ran.returncode in (0, -signal.SIGKILL)
    return ran.returncode != 0


@pytest.mark.slow
@pytest.mark.parametrize(("action", "fresh"), [("install", NEW), ("rollback", OLDEST)])
def test_killed_before_any_step_the_next_run_finds_the_pair_together(action, fresh, tmp_path):
    for name, text in zip(("cal", "cuts"), NEW, strict=True):
        (tmp_path / name).write_text(text)
    seen, step = set(), 0
    for step in range(0, 400, 3):
        folder = tmp_path / f"at{step}"
        paths = laid(folder, OLD, OLDEST)
        died = killed(folder, action, step)
        for name, old, new in zip(NAMES, OLD, fresh, strict=True):
            assert (folder / name).read_text() in (old, new)  # each is whole at any time
        if died and step % 2:
            killed(folder, "recover", step // 4)  # recovery may be killed too
        recover_pair(paths)
        found = state(folder)
        assert found in (files(OLD, OLDEST), files(fresh, OLD))
        seen.add(found["cal.json"])
        if not died:
            break
    assert step > 20
    assert seen == {OLD[0], fresh[0]}
    assert found == files(fresh, OLD)


def test_a_full_disk_changes_neither(tmp_path, monkeypatch):
    from calibcli.io.output import pair

    paths = laid(tmp_path / "here", OLD, OLDEST)
    write, calls = pair.write_atomic, []

    def failing(path, text):
        calls.append(path)
        if len(calls) == 2:
            raise InputError("no space left")
        write(path, text)

    monkeypatch.setattr(pair, "write_atomic", failing)
    with pytest.raises(InputError, match="no space"):
        install_pair(paths, NEW)
    assert state(tmp_path / "here") == files(OLD, OLDEST)


def test_once_it_is_decided_nothing_but_names_is_written(tmp_path, monkeypatch):
    """Nor does a run that finishes what another has decided need any room."""
    from calibcli.io.output import pair, sink

    folder = tmp_path / "here"
    paths = laid(folder, OLD, OLDEST)
    (folder / "cal.json").chmod(0o640)

    class FullError(InputError):
        pass

    def full(*_):
        raise FullError("no space left")

    def cut_short(paths):
        monkeypatch.setattr(sink.AtomicFile, "__init__", full)
        raise KeyboardInterrupt

    finish = pair._finish
    monkeypatch.setattr(pair, "_finish", cut_short)
    monkeypatch.setattr(pair, "_undecide", lambda paths: None)  # it was killed
    with pytest.raises(KeyboardInterrupt):
        install_pair(paths, NEW)
    assert {name: (folder / name).read_text() for name in NAMES} == dict(
        zip(NAMES, OLD, strict=True)
    )
    monkeypatch.undo()
    monkeypatch.setattr(sink.AtomicFile, "__init__", full)
    assert finish is pair._finish
    recover_pair(paths)
    assert state(folder) == files(NEW, OLD)
    assert (folder / "cal.json").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("place", [0, 1])
def test_a_name_that_cannot_be_given_leaves_both_or_is_given_later(place, tmp_path, monkeypatch):
    from calibcli.io.output import pair

    paths = laid(tmp_path / "here", OLD, OLDEST)
    put = pair.put

    def failing(path, fresh):
        if path == paths[place]:
            raise InputError("no")
        put(path, fresh)

    monkeypatch.setattr(pair, "put", failing)
    with pytest.raises(InputError):
        install_pair(paths, NEW)
    monkeypatch.undo()
    if place == 0:
        assert state(tmp_path / "here") == files(OLD, OLDEST)
    recover_pair(paths)
    assert state(tmp_path / "here") == (files(NEW, OLD) if place else files(OLD, OLDEST))


@pytest.mark.parametrize(
    "text",
    [
        "", "garbage", "[1]", '""', b"\xff\xfe", '"/a\\u0000b"', '"/\\ud800"', '"cuts.json"',
        pytest.param("[" * 200_000, id="deep"),
    ],
)  # fmt: skip
def test_a_damaged_note_is_refused(text, tmp_path):
    from calibcli.io.output.pair import refuse_unfinished

    paths = laid(tmp_path / "here", OLD, OLDEST)
    notes = [tmp_path / "here" / name for name in (".cal.json.pair", ".cuts.json.with")]
    before = state(tmp_path / "here")
    for note, acts in zip(
        notes,
        [[lambda: recover_pair(paths), lambda: refuse_unfinished(paths[0])],
         [lambda: refuse_unfinished(paths[1])]],
        strict=True,
    ):  # fmt: skip
        note.write_bytes(text if isinstance(text, bytes) else text.encode())
        for act in acts:
            with pytest.raises(InputError, match="is damaged"):
                act()
        note.unlink()
    assert state(tmp_path / "here") == before


def decide(folder, now, second="cuts.json"):
    """Leave what a run leaves that is killed once a change is decided."""
    first = folder / NAMES[0]
    for name, text in zip((NAMES[0], second), now, strict=True):
        (folder / f".{name}.next").write_text(text)
    (folder / f".{second}.with").write_text(json.dumps(str(first)))
    (folder / f".{NAMES[0]}.pair").write_text(json.dumps(str(folder / second)))


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("text", ["", "{", NEW[1][:-20], "other kind"])
def test_a_damaged_file_takes_no_place(place, text, tmp_path):
    folder = tmp_path / "here"
    paths, fresh = laid(folder, OLD, OLDEST), list(NEW)
    fresh[place] = NEW[1 - place] if text == "other kind" else text
    decide(folder, fresh)
    before = state(folder)
    for act in (recover_pair, roll_back_pair, lambda both: install_pair(both, NEW)):
        with pytest.raises(InputError, match=rf"\.{NAMES[place]}\.next is .*has died") as refused:
            act(paths)
        assert f"remove {folder / '.cal.json.pair'}" in str(refused.value.hint)
        assert state(folder) == before
    (folder / ".cal.json.pair").unlink()
    recover_pair(paths)
    assert state(folder) == files(OLD, OLDEST)


def test_what_waits_for_another_pair_is_left_to_it(tmp_path):
    """Two calibrators share their cut-offs, and the pair of one of them is unfinished."""
    folder = tmp_path / "here"
    paths = laid(folder, OLD, OLDEST)
    (folder / "second.json").write_text(OLD[0])
    decide(folder, NEW)
    before = state(folder)
    for other in ((str(folder / "second.json"), paths[1]), (paths[1], str(folder / "third.json"))):
        with pytest.raises(InputError, match="has died"):
            recover_pair(other)
        assert state(folder) == before
    recover_pair(paths)
    assert state(folder) == files(NEW, OLD) | {"second.json": OLD[0]}


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_where_the_old_file_would_be_kept_changes_neither(name, tmp_path):
    paths = laid(tmp_path / "here", OLD, OLDEST)
    previous = tmp_path / "here" / f"{name}.previous"
    previous.unlink()
    previous.mkdir()
    with pytest.raises(InputError, match="is a folder"):
        install_pair(paths, NEW)
    for each, old in zip(NAMES, OLD, strict=True):
        assert (tmp_path / "here" / each).read_text() == old


def test_on_a_disk_that_fills_the_pair_is_never_apart(small_disk):
    """One page more room each time, from none to enough."""
    long = [tuple(text + " " * 3000 for text in one) for one in PAIRS]
    seen = set()
    for pages in range(9):
        folder = small_disk / f"at{pages}"
        paths = laid(folder, long[1], long[0])
        disk = os.statvfs(small_disk)
        (small_disk / "rest").write_bytes(b"x" * disk.f_bsize * (disk.f_bfree - pages))
        with suppress(InputError):
            install_pair(paths, long[2])
        found = tuple((folder / name).read_text() for name in NAMES)
        assert found in long[1:], pages
        seen.add(found)
        assert not [one.name for one in folder.iterdir() if one.name.startswith(".")]
        shutil.rmtree(folder)
        (small_disk / "rest").unlink()
    assert seen == set(long[1:])


def test_only_files_that_were_in_use_together_are_put_back(tmp_path):
    paths = laid(tmp_path / "here", NEW, OLD)
    roll_back_pair(paths)
    assert state(tmp_path / "here") == files(OLD, NEW)
    (tmp_path / "here" / "cuts.json.previous").write_text(OLDEST[1])
    before = state(tmp_path / "here")
    with pytest.raises(InputError, match="after another calibrator"):
        roll_back_pair(paths)
    (tmp_path / "here" / "cuts.json.previous").unlink()
    with pytest.raises(InputError, match=r"there is no cuts\.json\.previous"):
        roll_back_pair(paths)
    assert state(tmp_path / "here").items() <= before.items()
