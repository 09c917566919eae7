"""The one way a file is written: beside its place, synced, and renamed into it.

A run that dies leaves the old file whole, and its half-written one is cleared away by the next run
that writes to the same path. An output that is not a regular file (a pipe, a device) is written to
directly, since there is nothing to keep.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from calibcli.errors import InputError
from calibcli.io.failures import show, writing
from calibcli.io.output.lock import beside, still_named, try_lock

if TYPE_CHECKING:
    from types import TracebackType


class AtomicFile:
    """A binary file that appears under its name when it is complete, or not at all.

    A symbolic link is followed: its target is replaced and the link stays. A file that is
    replaced hands its permissions (and, where that is allowed, its owner) to the new one.

    Raises:
        InputError: The folder is missing or cannot be written to, the path is a folder, or the
            disk is full; the old file is untouched.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.target = Path(os.path.realpath(path))
        self._temporary: Path | None = None
        with writing(path):
            if self.target.is_dir():
                raise InputError(f"{show(path)} is a folder", hint="name a file inside it")
            before = self.target.stat() if self.target.exists() else None
            if before is not None and not stat.S_ISREG(before.st_mode):
                self.file: BinaryIO = Path(path).open("wb")  # noqa: SIM115
                return
            clear_left_behind(self.target)
            number, self._temporary = _new_temporary(self.target)
            self.file = os.fdopen(number, "wb")
            if before is not None:
                with contextlib.suppress(OSError):
                    os.fchown(number, before.st_uid, before.st_gid)
                os.fchmod(number, stat.S_IMODE(before.st_mode))

    def commit(self, place: Callable[[Path], object] | None = None) -> None:
        """Sync the file, give it its name, and sync the folder.

        Args:
            place: gives the finished file its name, instead of a plain rename to the target.
        """
        try:
            with writing(self.path):
                self.file.flush()
                if self._temporary is None:
                    self.file.close()
                    return
                os.fsync(self.file.fileno())
                # Closed last: once it is, another run may take it for left behind.
                if place is None:
                    self._temporary.replace(self.target)
                else:
                    place(self._temporary)
                self._temporary = None
                self.file.close()
        except BaseException:
            self.abort()
            raise
        sync_folder(self.target.parent)

    def abort(self) -> None:
        """Leave everything as it was."""
        # Closing flushes, which fails again on a full disk.
        with contextlib.suppress(OSError):
            self.file.close()
        if self._temporary is not None:
            with contextlib.suppress(OSError):
                self._temporary.unlink()
            self._temporary = None

    def __enter__(self) -> BinaryIO:
        return self.file

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.commit()
            return
        self.abort()
        if isinstance(error, OSError):
            with writing(self.path):
                raise error


def _new_temporary(target: Path) -> tuple[int, Path]:
    """Open a new file beside the target, and keep it locked for as long as it is open."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    while True:
        path = beside(target, f".{secrets.token_hex(6)}.tmp")
        # Readable and writable by whom the umask lets, unless an older file says otherwise.
        number = os.open(path, flags, 0o666)
        # Another run may have found it before it was locked, and cleared it away.
        locked = try_lock(number)
        if locked is None or (locked and still_named(number, path)):
            return number, path
        os.close(number)


def clear_left_behind(target: Path) -> None:
    """Remove the temporary files that killed runs have left beside a target: those not locked."""
    ours = re.compile(rf"{re.escape(beside(target, '').name)}\.[0-9a-f]{{12}}\.tmp")
    with contextlib.suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if ours.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                _clear(Path(entry.path))


def _clear(path: Path) -> None:
    with contextlib.suppress(OSError):
        number = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if try_lock(number) and still_named(number, path):
                path.unlink()
        finally:
            os.close(number)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    # Some file systems cannot sync a folder; the file itself is safe by then.
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def append_text(path: str, text: str) -> None:
    """Add text to the end of a file that others write to as well.

    Raises:
        InputError: the file cannot be written to.
    """
    with writing(path), Path(path).open("ab") as file:
        file.write(text.encode())


def write_atomic(path: str, content: bytes | str | Callable[[BinaryIO], object]) -> None:
    """Write a file as a whole: bytes, text as UTF-8, or whatever a function writes.

    Raises:
        InputError: See AtomicFile; the old file is untouched.
    """
    with AtomicFile(path) as file:
        if callable(content):
            content(file)
        else:
            file.write(content.encode() if isinstance(content, str) else content)


def holds(path: str, *marks: bytes) -> bool:
    """Return whether there is no file at `path`, or one that has one of the marks in its head."""
    place = Path(path)
    if not place.exists():
        return place.parent.is_dir()
    with place.open("rb") as file:
        head = file.read(200)
    return any(mark in head for mark in marks)
