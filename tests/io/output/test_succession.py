"""A run is killed before each step that it takes in the file system; nothing may be lost."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys

import pytest

from calibcli.errors import InputError
from calibcli.io.artifacts.artifacts import artifact_text
from calibcli.io.failures import show
from calibcli.io.output.succession import install, previous_of, recover, roll_back

STEPS = """
import os, signal, sys
from calibcli.io.output import succession
folder, action, last = sys.argv[1], sys.argv[2], int(sys.argv[3])
path, taken = folder + "/current.json", 0
def hook(event, arguments):
    # Whatever touches the folder: open, os.rename, os.link, os.remove, os.chmod, os.scandir.
    global taken
    paths = [str(one) for one in arguments if isinstance(one, (str, os.PathLike))]
    if any(path.startswith(folder) for path in paths):
        taken += 1
        if taken > last:
            os.kill(os.getpid(), signal.SIGKILL)
text = open(folder + "/../fresh").read()
sys.addaudithook(hook)
if action == "install":
    succession.install(path, text)
else:
    succession.roll_back(path, "calibrator")
"""


def artifact(temperature):
    return artifact_text(
        "calibrator",
        {
            "calibcli": "0.1.0",
            "task": "binary",
            "classes": [],
            "input": {"scores": ["score"], "logits": False, "positive": None},
            "calibrator": {
                "method": "temperature",
                "temperature": temperature,
                "limits": [None, None],
                "notes": [],
            },
            "rows": 1000,
        },
    )[0]


OLDEST, OLD, NEW = (artifact(t) for t in (1.0, 2.0, 3.0))


def state(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def died_at(tmp_path, action, step):
    """Run an action that is killed before its given step; return whether it was."""
    folder = tmp_path / f"at{step}"
    folder.mkdir()
    (tmp_path / "fresh").write_text(NEW)
    (folder / "current.json").write_text(OLD)
    (folder / "current.json.previous").write_text(OLDEST)
    ran = subprocess.run([sys.executable, "-c", STEPS, str(folder), action, str(step)], check=False)
    assert ran.returncode in (0, -signal.SIGKILL)
    return folder, ran.returncode != 0


@pytest.mark.slow
@pytest.mark.parametrize(("action", "fresh"), [("install", NEW), ("rollback", OLDEST)])
def test_killed_before_any_step_both_files_are_whole(action, fresh, tmp_path):
    before = {"current.json": OLD, "current.json.previous": OLDEST}
    after = {"current.json": fresh, "current.json.previous": OLD}
    seen = set()
    for step in range(100):
        folder, died = died_at(tmp_path, action, step)
        left = state(folder)
        assert left["current.json"] in (OLD, fresh)
        recover(str(folder / "current.json"))
        found = state(folder)
        assert found in (before, after)
        assert found["current.json"] == left["current.json"]
        seen.add(found["current.json"])
        if not died:
            break
    assert step >= 5  # it was killed that often
    assert seen == {OLD, fresh}
    assert state(folder) == after


@pytest.mark.slow
def test_recovery_may_be_killed_too(tmp_path):
    """Every state that a killed run leaves is again one that the next run can begin with."""
    finished = {"current.json": NEW, "current.json.previous": OLD}
    for step in range(100):
        folder, died = died_at(tmp_path, "install", step)
        again = 0
        while died:
            done = subprocess.run(
                [sys.executable, "-c", STEPS, str(folder), "install", str(again)], check=False
            )
            assert state(folder)["current.json"] in (OLD, NEW)
            again += 3
            died = done.returncode != 0
        found = state(folder)
        assert found["current.json"] == NEW
        assert found["current.json.previous"] in (OLD, NEW)
        assert len(found) == 2
        if again == 0:
            break
    assert found == finished


def test_a_rollback_undone_is_what_it_was(tmp_path):
    path = str(tmp_path / "current.json")
    assert install(path, OLD) is None
    assert install(path, NEW) == tmp_path / "current.json.previous"
    roll_back(path, "calibrator")
    assert state(tmp_path) == {"current.json": OLD, "current.json.previous": NEW}
    roll_back(path, "calibrator")
    assert state(tmp_path) == {"current.json": NEW, "current.json.previous": OLD}


def test_the_first_file_has_no_previous(tmp_path):
    install(str(tmp_path / "current.json"), NEW)
    assert state(tmp_path) == {"current.json": NEW}
    with pytest.raises(InputError, match=r"there is no current\.json\.previous"):
        roll_back(str(tmp_path / "current.json"), "calibrator")


@pytest.mark.parametrize("content", ["", "{", OLD.replace("2.0", "2.5"), OLD[:-40]])
def test_a_previous_that_is_not_whole_is_not_put_back(content, tmp_path):
    (tmp_path / "current.json").write_text(NEW)
    (tmp_path / "current.json.previous").write_text(content)
    with pytest.raises(InputError):
        roll_back(str(tmp_path / "current.json"), "calibrator")
    assert state(tmp_path) == {"current.json": NEW, "current.json.previous": content}


def test_rolling_back_to_the_same_is_refused(tmp_path):
    for name in ("current.json", "current.json.previous"):
        (tmp_path / name).write_text(NEW)
    with pytest.raises(InputError, match="are the same"):
        roll_back(str(tmp_path / "current.json"), "calibrator")


def test_a_lost_file_is_put_back(tmp_path):
    (tmp_path / "current.json.previous").write_text(OLD)
    roll_back(str(tmp_path / "current.json"), "calibrator")
    assert state(tmp_path) == {"current.json": OLD}


def test_a_link_is_followed_and_stays(tmp_path):
    real, link = tmp_path / "v3" / "calibrator.json", tmp_path / "current.json"
    real.parent.mkdir()
    real.write_text(OLD)
    link.symlink_to("v3/calibrator.json")
    assert install(str(link), NEW) == tmp_path / "v3" / "calibrator.json.previous"
    assert link.is_symlink()
    assert state(real.parent) == {"calibrator.json": NEW, "calibrator.json.previous": OLD}
    roll_back(str(link), "calibrator")
    assert state(real.parent) == {"calibrator.json": OLD, "calibrator.json.previous": NEW}


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_not_replaced(make, tmp_path):
    make(tmp_path / "current.json")
    with pytest.raises(InputError, match="not a regular file"):
        install(str(tmp_path / "current.json"), NEW)


def test_permissions_are_kept(tmp_path):
    path = tmp_path / "current.json"
    path.write_text(OLD)
    path.chmod(0o640)
    install(str(path), NEW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(previous_of(str(path)).stat().st_mode) == 0o640


def test_a_file_system_without_links_gets_a_copy(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EPERM, "Operation not permitted")

    (tmp_path / "current.json").write_text(OLD)
    monkeypatch.setattr(os, "link", refuse)
    install(str(tmp_path / "current.json"), NEW)
    assert state(tmp_path) == {"current.json": NEW, "current.json.previous": OLD}


def test_a_full_disk_leaves_both_files(small_disk):
    (small_disk / "current.json").write_text(OLD)
    (small_disk / "current.json.previous").write_text(OLDEST)
    with pytest.raises(InputError, match="the disk is full"):
        install(str(small_disk / "current.json"), NEW + " " * 1_000_000)
    assert state(small_disk) == {"current.json": OLD, "current.json.previous": OLDEST}


def test_the_new_content_is_on_the_disk_before_its_name(tmp_path, monkeypatch):
    """A power cut may lose what was not synced: content, then the name, then the older name."""
    calls = []
    sync, link, rename = os.fsync, os.link, os.replace

    def fsync(number):
        calls.append("folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "content")
        sync(number)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", lambda *a: (calls.append("link"), link(*a)))
    monkeypatch.setattr(os, "replace", lambda *a: (calls.append("rename"), rename(*a)))
    (tmp_path / "current.json").write_text(OLD)
    install(str(tmp_path / "current.json"), NEW)
    wanted = ["content", "link", "folder", "rename", "folder", "rename", "folder"]
    assert calls[: len(wanted)] == wanted


def test_a_name_that_leaves_no_room_for_previous_is_refused_before_anything_is_replaced(tmp_path):
    kept, short = tmp_path / ("x" * 247), tmp_path / ("é" * 123)
    kept.write_text("old")
    for action in (install, recover):
        with pytest.raises(InputError, match="its name is too long"):
            action(str(kept), *(("new",) if action is install else ()))
    assert kept.read_text() == "old"
    for text in ("1", "2", "3"):
        install(str(short), text)
    assert (short.read_text(), previous_of(str(short)).read_text()) == ("3", "2")
    assert len(list(tmp_path.iterdir())) == 3


def test_names_that_would_break_a_message(tmp_path):
    path = tmp_path / "a\nb.json"
    path.write_text(NEW)
    with pytest.raises(InputError) as caught:
        roll_back(str(path), "calibrator")
    assert show(str(path)) in caught.value.message
    assert "\n" not in caught.value.message
