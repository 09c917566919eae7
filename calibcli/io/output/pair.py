"""Two files that belong together take the place of two others: both, or neither.

No file system renames two files at once, so what is to be done is written down first:

1. the new files are written beside their places, as `.NAME.next`; `.NAME.with` beside the second
   names the first
2. `.NAME.pair` beside the first, with the path of the second, is renamed into its name: from here
   on the change is decided
3. each `.NAME.next` is renamed into the place of the old one, which is kept as `NAME.previous`;
   nothing but names is written, so a disk that is full by now stops nothing
4. `.NAME.pair` is removed, then what 1 has written

A run that dies before 2 has changed nothing; one that dies later is finished by the next.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from calibcli.errors import InputError
from calibcli.io.artifacts.artifacts import read_artifact
from calibcli.io.failures import show, writing
from calibcli.io.output.lock import FileLock, beside
from calibcli.io.output.sink import clear_left_behind, sync_folder, write_atomic
from calibcli.io.output.succession import previous_of, put, recover, target_of

if TYPE_CHECKING:
    from collections.abc import Iterator

Pair = tuple[str, str]
"""Paths of a calibrator and of its cut-offs."""
KINDS = ("calibrator", "thresholds")
_MENDED = "the next promotion of both mends a pair that is apart"


@contextmanager
def pair_lock(paths: Pair, timeout: float) -> Iterator[None]:
    """Hold the locks of two files, which are always taken in the same order."""
    with ExitStack() as stack:
        for path in sorted(paths, key=os.path.realpath):
            stack.enter_context(FileLock(path, timeout))
        yield


def _next_of(path: str) -> Path:
    return beside(target_of(path), ".next")


def _decided_of(paths: Pair) -> Path:
    return beside(target_of(paths[0]), ".pair")


def _first_of(second: str) -> Path:
    return beside(target_of(second), ".with")


def recover_pair(paths: Pair) -> None:
    """Finish what a killed run has decided, or clear what it has not; call it under the locks.

    Raises:
        InputError: a folder cannot be written to; one of both is in a change that was decided
            together with another file; what was to be put in place is damaged.
    """
    decided = _decided_of(paths)
    for path in paths:
        recover(path)
        clear_left_behind(_next_of(path))
    clear_left_behind(decided)
    clear_left_behind(_first_of(paths[1]))
    if not decided.is_file():
        for path in paths:
            refuse_unfinished(path)  # what waits beside it is another pair's
        _clear(paths)
        return
    other = _path_in(decided)
    if other != str(target_of(paths[1])):
        raise InputError(
            f"{show(paths[0])} is being replaced together with {show(other)}",
            hint=f"finish that first: name {show(other)} as --thresholds",
        )
    _refuse_damaged(paths)
    _finish(paths)


def _refuse_damaged(paths: Pair) -> None:
    """Raise InputError where a file that waits to be put in place is no whole artifact."""
    for path, kind in zip(paths, KINDS, strict=True):
        fresh = _next_of(path)
        if not os.path.lexists(fresh):
            continue
        try:
            read_artifact(str(fresh), kind)
        except InputError as error:
            raise InputError(
                f"{error.message}; a run that has died was to put it in place",
                hint=f"remove {show(str(_decided_of(paths)))}; {_MENDED}",
            ) from error


def _path_in(note: Path) -> str:
    """Return the path that a note of a run names.

    Raises:
        InputError: it is damaged.
    """
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
        whole = Path(found).is_absolute() and b"\0" not in os.fsencode(found)
    except (ValueError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise InputError(
            f"{show(str(note))} is damaged: it says which two files are being replaced together",
            hint=f"remove it; {_MENDED}",
        )
    return str(found)


def refuse_unfinished(path: str) -> None:
    """Raise InputError where a change of this file and another is decided and not finished.

    Call it under the lock of the file: while another run has it, nothing is unfinished.
    """
    named = _first_of(path)
    firsts = [path, *([_path_in(named)] if named.is_file() else [])]
    for first in firsts:
        decided = beside(target_of(first), ".pair")
        second = _path_in(decided) if decided.is_file() else None
        if second is not None and (first == path or second == str(target_of(path))):
            raise InputError(
                f"a run that was replacing {show(first)} together with {show(second)} has died",
                hint=f"finish it: calibcli fit SCORES --promote-over {show(first)} "
                f"--thresholds {show(second)}",
            )


def install_pair(paths: Pair, texts: tuple[str, str]) -> None:
    """Put two new files in place and keep the old ones; call it under the locks.

    Raises:
        InputError: see `sink.AtomicFile`; before the change is decided the old files are untouched.
    """
    recover_pair(paths)
    try:
        for path, text in zip(paths, texts, strict=True):
            write_atomic(str(_next_of(path)), text)
            _hand_on(target_of(path), _next_of(path))
        write_atomic(str(_first_of(paths[1])), json.dumps(str(target_of(paths[0]))))
        write_atomic(str(_decided_of(paths)), json.dumps(str(target_of(paths[1]))))
        _finish(paths)
    except BaseException:
        # Both are as they were where the first new file has not left its name.
        if not _decided_of(paths).is_file() or _next_of(paths[0]).is_file():
            _undecide(paths)
        raise


def roll_back_pair(paths: Pair) -> None:
    """Put both `NAME.previous` back in place and keep what they replace there.

    Raises:
        InputError: one is missing or not whole, or they were never in use together.
    """
    recover_pair(paths)
    texts, payloads = [], []
    for path, kind in zip(paths, KINDS, strict=True):
        previous = previous_of(path)
        if not previous.is_file():
            raise InputError(
                f"{show(path)}: there is no {show(previous.name)} beside it",
                hint="a promotion of both keeps what it has replaced there; nothing was changed",
            )
        payloads.append(read_artifact(str(previous), kind))
        texts.append(previous.read_text(encoding="utf-8"))
    if payloads[1].get("calibrator") != payloads[0].get("digest"):
        raise InputError(
            f"{show(previous_of(paths[1]).name)} was chosen after another calibrator than "
            f"{show(previous_of(paths[0]).name)}",
            hint="they were not replaced together: roll each back by itself",
        )
    install_pair(paths, (texts[0], texts[1]))


def _finish(paths: Pair) -> None:
    for path in paths:
        fresh, target = _next_of(path), target_of(path)
        if not fresh.is_file():
            continue  # it is in its place
        if not target.is_file() or target.read_bytes() != fresh.read_bytes():
            put(path, fresh)
    _undecide(paths)


def _hand_on(old: Path, fresh: Path) -> None:
    """Give a new file the permissions and, where that is allowed, the owner of the old one."""
    if old.exists():
        before = old.stat()
        with suppress(OSError):
            os.chown(fresh, before.st_uid, before.st_gid)
        with writing(str(old)):
            fresh.chmod(stat.S_IMODE(before.st_mode))


def _undecide(paths: Pair) -> None:
    """Remove the decision, then what it was about."""
    decided = _decided_of(paths)
    with writing(paths[0]), suppress(FileNotFoundError):
        decided.unlink()
        sync_folder(decided.parent)
    _clear(paths)


def _clear(paths: Pair) -> None:
    for path in paths:
        with writing(path), suppress(FileNotFoundError):
            _next_of(path).unlink()
    with writing(paths[1]), suppress(FileNotFoundError):
        _first_of(paths[1]).unlink()
