from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from calibcli.errors import ExitCode, InputError
from calibcli.io.output.lock import FileLock, beside
from calibcli.io.output.sink import AtomicFile, write_atomic


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("content", [b"new", "new", lambda file: file.write(b"new")])
def test_it_writes_bytes_text_or_what_a_function_writes(content, tmp_path):
    path = tmp_path / "x.json"
    write_atomic(str(path), content)
    assert path.read_bytes() == b"new"
    write_atomic(str(path), "newer é")
    assert path.read_text(encoding="utf-8") == "newer é"
    assert files(tmp_path) == ["x.json"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("old")

    def fail(file):
        file.write(b"half")
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        write_atomic(str(path), fail)
    assert path.read_text() == "old"
    assert files(tmp_path) == ["x.json"]


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    path.write_text("old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="the disk is full") as caught:
        write_atomic(str(path), "new")
    assert caught.value.exit_code == ExitCode.INPUT
    assert path.read_text() == "old"
    assert files(tmp_path) == ["x.json"]


def test_a_disk_that_fills_up_for_real(small_disk):
    path = small_disk / "x.json"
    path.write_text("old")
    with pytest.raises(InputError, match="the disk is full"):
        write_atomic(str(path), b"x" * 1_000_000)
    assert path.read_text() == "old"
    assert files(small_disk) == ["x.json"]


def test_missing_folder(tmp_path):
    path = tmp_path / "no" / "x.json"
    with pytest.raises(InputError, match=f"the folder {tmp_path}/no does not exist") as caught:
        write_atomic(str(path), "x")
    assert caught.value.hint == f"mkdir -p {tmp_path}/no"


def test_folder_as_output(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        write_atomic(str(tmp_path), "x")


def test_a_file_as_folder(tmp_path):
    (tmp_path / "f").write_text("")
    with pytest.raises(InputError, match="its folder is a file"):
        write_atomic(str(tmp_path / "f" / "x"), "x")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.EACCES, "no permission"),
        (errno.EPERM, "no permission"),
        (errno.EROFS, "read-only file system"),
        (errno.EIO, "input/output error"),
        (errno.EDQUOT, "the disk is full"),
        (errno.ENAMETOOLONG, "file name too long"),
    ],
)
def test_what_the_system_may_refuse(code, message, tmp_path, monkeypatch):
    (tmp_path / "x").write_text("old")

    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InputError, match=message):
        write_atomic(str(tmp_path / "x"), "new")
    monkeypatch.undo()
    assert (tmp_path / "x").read_text() == "old"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="no permission"):
            write_atomic(str(tmp_path / "x"), "x")
    finally:
        tmp_path.chmod(0o700)


def test_permissions_of_an_existing_file_are_kept(tmp_path):
    path = tmp_path / "x"
    path.write_text("old")
    path.chmod(0o640)
    write_atomic(str(path), "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_has_the_permissions_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomic(str(tmp_path / "x"), "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_a_symbolic_link_is_written_through(tmp_path):
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "x.json"
    target.write_text("old")
    link = tmp_path / "link.json"
    link.symlink_to("real/x.json")
    write_atomic(str(link), "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert files(tmp_path / "real") == ["x.json"]
    dangling = tmp_path / "dangling"
    dangling.symlink_to("real/y.json")
    write_atomic(str(dangling), "new")
    assert (tmp_path / "real" / "y.json").read_text() == "new"


def test_a_device_is_written_to_directly(tmp_path):
    write_atomic("/dev/null", "x")
    assert not Path("/dev/null").is_file()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
    write_atomic(str(pipe), "through a pipe")
    assert reader.communicate()[0] == b"through a pipe"
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_the_same_path_by_two_writers_is_one_of_both(tmp_path):
    path = str(tmp_path / "x")
    first, second = AtomicFile(path), AtomicFile(path)
    first.file.write(b"first")
    second.file.write(b"second")
    second.commit()
    first.commit()
    assert (tmp_path / "x").read_bytes() == b"first"
    assert files(tmp_path) == ["x"]


LONG = (
    "x" * 251 + ".csv",
    "é" * 125 + ".json",
    "日" * 85,
    "\U0001f600" * 63 + "abc",
    "\udcff" * 255,
)


@pytest.mark.parametrize("name", LONG)
def test_names_of_255_bytes(name, tmp_path):
    assert len(os.fsencode(name)) == 255
    path = tmp_path / name
    for content in ("old", "new"):
        write_atomic(str(path), content)
        assert path.read_text() == content
    left_behind = beside(path, f".{'0' * 12}.tmp")
    left_behind.touch()
    with FileLock(str(path), 0):
        write_atomic(str(path), "newer")
    assert list(tmp_path.iterdir()) == [path]


def test_long_names_with_one_beginning_have_locks_and_temporary_files_of_their_own(tmp_path):
    paths = [tmp_path / ("x" * 250 + str(number)) for number in range(2)]
    with FileLock(str(paths[0]), 0), FileLock(str(paths[1]), 0):
        assert len(list(tmp_path.iterdir())) == 2
    assert beside(paths[0], ".tmp") != beside(paths[1], ".tmp")


KILLED = """
import sys
from calibcli.io.output.lock import FileLock, beside
from calibcli.io.output.sink import write_atomic
def slowly(file):
    for _ in range(200):
        file.write(b"n" * 10_000)
        file.flush()
    print("written", flush=True)
while True:
    write_atomic(sys.argv[1], slowly)
"""


def test_a_killed_run_leaves_the_old_or_the_new_file(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    for delay in (0.0, 0.002, 0.005, 0.01, 0.02):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE
        )
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert path.read_bytes() in (b"old", b"n" * 2_000_000)
