"""Locks between runs, by `flock`: the kernel lets go of them when a process ends, however it ends.

So no lock is ever stale, no clock decides, and nothing has to be guessed about a process that may
be dead. What is locked is an open file, and files are replaced by renaming, so a lock counts only
while its file still has its name.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from pathlib import Path

from calibcli.errors import InputError
from calibcli.io.failures import show, writing

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_POLL = 0.05
_MOST_TEXT = 32
_MOST_NAME = 200


def try_lock(number: int) -> bool | None:
    """Lock an open file if nobody has; None where the file system has no locks."""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True


def beside(target: Path, ending: str) -> Path:
    """Return the path of a hidden file that belongs to another: `.NAME` and an ending.

    A name may have 255 bytes. A long one is shortened here to its beginning and a digest, so that
    files with the same beginning are still told apart.
    """
    name = target.name
    whole = os.fsencode(name)
    if len(whole) > _MOST_NAME:
        import hashlib

        start = whole[: _MOST_NAME - 17].decode("utf-8", "ignore")
        name = f"{start}~{hashlib.sha256(whole).hexdigest()[:16]}"
    return target.with_name(f".{name}{ending}")


def still_named(number: int, path: Path) -> bool:
    """Return whether an open file is the one that has this name now."""
    try:
        named = path.lstat()
    except OSError:
        return False
    opened = os.fstat(number)
    return (opened.st_dev, opened.st_ino) == (named.st_dev, named.st_ino)


class FileLock:
    """Keeps runs on one file apart, by a lock file `.NAME.lock` beside it, removed at the end.

    A symbolic link is followed, so that two names of one file share their lock. A lock file that
    a killed run has left behind is taken over: the kernel has unlocked it.

    Raises:
        InputError: another run has held the lock for `timeout` seconds, the folder cannot be
            written to, or its file system has no locks.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self.path, self.timeout = path, timeout
        target = Path(os.path.realpath(path))
        self.file = beside(target, ".lock")
        self._number: int | None = None

    def __enter__(self) -> FileLock:
        began = time.monotonic()
        while not self._taken():
            if time.monotonic() - began >= self.timeout:
                raise InputError(
                    f"{show(self.path)}: another run{self._holder()} has had it locked for "
                    f"{self.timeout:g} s",
                    hint="wait longer with --lock-timeout SECONDS, or see why that run hangs",
                )
            time.sleep(min(_POLL, max(self.timeout, 0.001)))
        return self

    def _taken(self) -> bool:
        with writing(self.path):
            number = os.open(self.file, _FLAGS, 0o666)
        locked = try_lock(number)
        if locked and still_named(number, self.file):
            # Whom others wait for; only the lock itself decides anything.
            with contextlib.suppress(OSError):
                os.ftruncate(number, 0)
                os.write(number, f"{os.getpid()}\n".encode())
            self._number = number
            return True
        os.close(number)
        if locked is None:
            raise InputError(
                f"{show(self.path)}: its file system has no locks, so runs cannot take turns",
                hint="keep it on a local disk, and copy it from there",
            )
        return False

    def _holder(self) -> str:
        with contextlib.suppress(OSError, ValueError):
            text = self.file.read_bytes()[:_MOST_TEXT].decode("ascii").strip()
            return f" (process {int(text)})" if text else ""
        return ""

    def __exit__(self, *_: object) -> None:
        if self._number is None:
            return
        # Removed while it is locked: whoever waits for it finds that it has lost its name.
        with contextlib.suppress(OSError):
            self.file.unlink()
        os.close(self._number)
        self._number = None
