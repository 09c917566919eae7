from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest

from calibcli.errors import ExitCode, InputError
from calibcli.io.output.lock import FileLock
from calibcli.io.output.sink import AtomicFile, write_atomic

HOLDS = """
import sys, time
from calibcli.io.output.lock import FileLock
with FileLock(sys.argv[1], 10):
    print("locked", flush=True)
    time.sleep(float(sys.argv[2]))
"""
COUNTS = """
import sys
from pathlib import Path
from calibcli.io.output.lock import FileLock
path = Path(sys.argv[1])
for _ in range(25):
    with FileLock(str(path), 60):
        path.write_text(str(int(path.read_text()) + 1))
"""


def holding(path, seconds=60.0):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(path), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "locked\n"
    return process


def killed(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_second_run_waits_until_the_time_is_up(tmp_path):
    path = tmp_path / "current.json"
    holder = holding(path)
    with pytest.raises(InputError, match=rf"another run \(process {holder.pid}\)") as caught:
        FileLock(str(path), 0.2).__enter__()
    assert caught.value.exit_code == ExitCode.INPUT
    assert "--lock-timeout" in caught.value.hint
    killed(holder)


def test_the_lock_of_a_killed_run_is_free_at_once_and_leaves_no_file(tmp_path):
    path = tmp_path / "current.json"
    killed(holding(path))
    assert names(tmp_path) == [".current.json.lock"]
    with FileLock(str(path), 0.0):
        pass
    assert names(tmp_path) == []


def test_it_goes_on_as_soon_as_the_other_ends(tmp_path):
    path = tmp_path / "current.json"
    holder = holding(path, 0.3)
    with FileLock(str(path), 30):
        assert holder.wait() == 0
    holder.stdout.close()
    assert names(tmp_path) == []


def test_runs_take_turns(tmp_path):
    path = tmp_path / "count"
    path.write_text("0")
    runs = [subprocess.Popen([sys.executable, "-c", COUNTS, str(path)]) for _ in range(4)]
    assert [run.wait() for run in runs] == [0] * 4
    assert path.read_text() == "100"
    assert names(tmp_path) == ["count"]


def test_two_names_of_one_file_share_their_lock(tmp_path):
    real = tmp_path / "v3" / "calibrator.json"
    real.parent.mkdir()
    real.write_text("{}")
    link = tmp_path / "current.json"
    link.symlink_to(real)
    holder = holding(real)
    with pytest.raises(InputError, match="another run"):
        FileLock(str(link), 0.1).__enter__()
    killed(holder)


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\xff" * 100, b"99999999999\n"])
def test_what_a_lock_file_holds_decides_nothing(content, tmp_path):
    (tmp_path / ".x.lock").write_bytes(content)
    os.utime(tmp_path / ".x.lock", (0, 0))
    with FileLock(str(tmp_path / "x"), 0.0):
        pass
    assert names(tmp_path) == []


def test_a_link_in_the_place_of_the_lock_file_is_not_followed(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / ".x.lock").symlink_to("victim")
    with pytest.raises(InputError):
        FileLock(str(tmp_path / "x"), 0.0).__enter__()
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_file_system_without_locks_is_refused(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(InputError, match="has no locks"):
        FileLock(str(tmp_path / "x"), 0.0).__enter__()
    write_atomic(str(tmp_path / "x"), "an artifact can still be written")
    assert (tmp_path / "x").exists()


def test_the_wall_clock_is_not_asked(tmp_path, monkeypatch):
    def jumped():
        raise AssertionError("the wall clock was asked")

    monkeypatch.setattr(time, "time", jumped)
    holder = holding(tmp_path / "x", 0.2)
    with FileLock(str(tmp_path / "x"), 30):
        pass
    holder.wait()
    holder.stdout.close()


# -- temporary files of killed runs ----------------------------------------------------------------

WRITES = """
import sys, time
from calibcli.io.output.sink import AtomicFile
file = AtomicFile(sys.argv[1])
file.file.write(b"half")
file.file.flush()
print("locked", flush=True)
time.sleep(60)
"""


def writing(path):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "locked\n"
    return process


def test_the_next_run_clears_what_a_killed_one_has_left(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("old")
    killed(writing(path))
    assert len(names(tmp_path)) == 2
    write_atomic(str(path), "new")
    assert names(tmp_path) == ["x.json"]


@pytest.mark.parametrize("age", [0, 4_000_000_000])
def test_a_living_run_keeps_its_temporary_file_whatever_its_age(age, tmp_path):
    path = tmp_path / "x.json"
    alive = writing(path)
    (left,) = tmp_path.glob(".x.json.*.tmp")
    os.utime(left, (age, age))
    write_atomic(str(path), "new")
    assert left.exists()
    killed(alive)
    write_atomic(str(path), "newer")
    assert names(tmp_path) == ["x.json"]


def test_only_files_of_this_target_are_cleared(tmp_path):
    others = [".y.json.0123456789ab.tmp", ".x.json.tmp", ".x.json.0123456789AB.tmp", "x.json.bak"]
    for name in others:
        (tmp_path / name).write_text("")
    (tmp_path / ".x.json.0123456789ab.tmp").mkdir()
    (tmp_path / ".x.json.0123456789ac.tmp").symlink_to("x.json.bak")
    os.mkfifo(tmp_path / ".x.json.0123456789ad.tmp")
    kept = {*names(tmp_path), "x.json"}
    write_atomic(str(tmp_path / "x.json"), "new")
    assert set(names(tmp_path)) == kept


def test_two_writers_in_one_process_do_not_clear_each_other(tmp_path):
    first, second = AtomicFile(str(tmp_path / "x")), AtomicFile(str(tmp_path / "x"))
    for file, text in ((first, b"1"), (second, b"2")):
        file.file.write(text)
        file.commit()
    assert (tmp_path / "x").read_bytes() == b"2"
    assert names(tmp_path) == ["x"]
