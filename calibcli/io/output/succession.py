"""One file takes the place of another that is kept as `NAME.previous`, safe at every step.

A name always stands for a whole file. Putting a new file in place has three steps, each a rename
or a link, which a file system does wholly or not at all:

1. the old file gets a second name, `.NAME.replaced`
2. the new file is renamed over the old one: from here on the new one is in place
3. `.NAME.replaced` is renamed to `NAME.previous`

A run that dies between two of them is finished by the next: a second name of the file that is
still in place is dropped, one of another file becomes `NAME.previous`.
"""

from __future__ import annotations

import os
from pathlib import Path

from calibcli.errors import InputError
from calibcli.io.artifacts.artifacts import read_artifact
from calibcli.io.failures import show, writing
from calibcli.io.output.lock import beside
from calibcli.io.output.sink import AtomicFile, clear_left_behind, sync_folder, write_atomic

_MOST_NAME = 255
"""Bytes of a file's name, on the file systems that are in use."""


def target_of(path: str) -> Path:
    """Return the file that a path stands for; a symbolic link is followed.

    Raises:
        InputError: it is a folder, a pipe or a device.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise InputError(f"{show(path)} is not a regular file", hint="name a file to replace")
    return target


def previous_of(path: str) -> Path:
    """Return where the replaced file is kept: beside the file, not beside a link to it.

    Raises:
        InputError: as `target_of`, and where that name would be too long for a file.
    """
    target = target_of(path)
    previous = target.with_name(f"{target.name}.previous")
    if len(os.fsencode(previous.name)) > _MOST_NAME:
        raise InputError(
            f"{show(path)}: its name is too long to keep what it replaces as NAME.previous",
            hint=f"a name of at most {_MOST_NAME - len('.previous')} bytes",
        )
    if previous.is_dir():
        raise InputError(
            f"{show(str(previous))} is a folder", hint="it would keep what is replaced"
        )
    return previous


def _replaced_of(target: Path) -> Path:
    return beside(target, ".replaced")


def recover(path: str) -> None:
    """Finish what a killed run has begun, and clear its temporary files; call it under the lock.

    Raises:
        InputError: the folder cannot be written to.
    """
    target, previous = target_of(path), previous_of(path)
    clear_left_behind(target)
    replaced = _replaced_of(target)
    clear_left_behind(replaced)
    if not replaced.is_file():
        return
    with writing(path):
        if target.is_file() and replaced.read_bytes() == target.read_bytes():
            replaced.unlink()
        else:
            replaced.replace(previous)
        sync_folder(target.parent)


def install(path: str, text: str) -> Path | None:
    """Put a new file in place and keep the old one; return where, or None if there was none.

    Raises:
        InputError: see `sink.AtomicFile`; the old file is then in place, and so is the one before.
    """
    recover(path)
    if not target_of(path).exists():
        write_atomic(path, text)
        return None
    file = AtomicFile(path)
    try:
        with writing(path):
            file.file.write(text.encode())
    except BaseException:
        file.abort()
        raise
    file.commit(lambda fresh: _take_turns(path, fresh))
    return previous_of(path)


def put(path: str, fresh: Path) -> None:
    """Let a file that is written and synced take the place of another, which is kept.

    Nothing but names is written, so there is room for it on a full disk too. Call `recover` first.

    Raises:
        InputError: the folder cannot be written to.
    """
    target = target_of(path)
    with writing(path):
        if target.exists():
            _take_turns(path, fresh)
        else:
            fresh.replace(target)
            sync_folder(target.parent)


def roll_back(path: str, kind: str) -> Path:
    """Put `NAME.previous` back in place and keep what it replaces there; return where that is.

    Raises:
        InputError: there is none, it is no whole artifact of this kind, or it is the same.
    """
    recover(path)
    target, previous = target_of(path), previous_of(path)
    if not previous.is_file():
        raise InputError(
            f"{show(path)}: there is no {show(previous.name)} beside it",
            hint="a promotion keeps what it has replaced there; nothing was changed",
        )
    read_artifact(str(previous), kind)
    with writing(path):
        if not target.exists():
            previous.replace(target)
            sync_folder(target.parent)
            return previous
        if target.read_bytes() == previous.read_bytes():
            raise InputError(
                f"{show(path)} and {show(previous.name)} are the same", hint="nothing was changed"
            )
        _take_turns(path, previous)
    return previous


def _take_turns(path: str, fresh: Path) -> None:
    """Let `fresh` take the place of the file at `path`, which becomes NAME.previous."""
    target = target_of(path)
    replaced = _replaced_of(target)
    try:
        os.link(target, replaced)
    except OSError:
        write_atomic(str(replaced), target.read_bytes())  # no links here, or not of this file
    sync_folder(target.parent)
    fresh.replace(target)
    sync_folder(target.parent)
    replaced.replace(previous_of(path))
    sync_folder(target.parent)
