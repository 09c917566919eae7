"""Turn what libraries raise into one line for the user.

Messages of Arrow, zlib and the operating system may quote the contents of a row or the path of a
temporary file, so they are never passed on: a failure is put into our own words, with the file.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from calibcli.errors import CalibcliError, InputError
from calibcli.io.formats.buffers import ARRAY, BadValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def show(name: str) -> str:
    """Return `name` as it can stand in one line: as it is, or quoted where it has controls."""
    return name if name.isprintable() else repr(name)


def listing(names: Iterable[str], limit: int = 12) -> str:
    """Return names joined by commas, with the rest counted: `a, b, c and 4 more`."""
    shown = [show(name) if name else "''" for name in names]
    more = len(shown) - limit
    return ", ".join(shown[:limit]) + (f" and {more} more" if more > 0 else "")


def row_text(row: int) -> str:
    """Return `row 1,234` for a 0-based row: data rows are counted from 1, headers not at all."""
    return f"row {row + 1:,}"


@contextmanager
def blaming(column: str, path: str, first_row: int) -> Iterator[None]:
    """Turn a bad value into an error that names column, file and row."""
    try:
        yield
    except BadValueError as error:
        raise bad_value(error, column, path, first_row + error.row) from error


def bad_value(error: BadValueError, column: str, path: str, row: int) -> InputError:
    """Return the error that names column, file and 0-based row of a bad value."""
    also = f" (and {error.count - 1:,} more)" if error.count > 1 else ""
    what = f"column {column!r} of {show(path)}" if column != ARRAY else show(path)
    other = "name another column" if column != ARRAY else "give the right one"
    return InputError(
        f"{what}, {row_text(row)}: {error.problem}{also}",
        hint=error.hint or f"correct the file, or {other}",
    )


def count_of(number: int, what: str) -> str:
    """Return `1 score`, `10 scores`.

    >>> count_of(1, "score"), count_of(1000, "score")
    ('1 score', '1,000 scores')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


@contextmanager
def reading(
    path: str, what: str = "file", also: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Raise InputError in place of what a reader of `path` raises.

    Args:
        path: The file.
        what: Its kind, for the message.
        also: What this reader raises of a damaged file besides the errors of reading.
    """
    try:
        yield
    except CalibcliError:
        raise
    except Exception as error:
        if not isinstance(error, also) and not _is_expected(error):
            raise
        raise _reading_failure(error, path, what) from error


def _is_expected(error: Exception) -> bool:
    if isinstance(error, (OSError, EOFError, ValueError)):
        return True  # pyarrow.ArrowInvalid is a ValueError, its ArrowIOError an OSError
    # An exception of Arrow's can only exist when Arrow has been imported.
    arrow = sys.modules.get("pyarrow")
    if arrow is not None and isinstance(error, arrow.ArrowException):
        return True
    return type(error).__module__ in {"zlib", "zipfile"}


def _reading_failure(error: Exception, path: str, what: str) -> InputError:
    name = show(path)
    text = str(error)
    if isinstance(error, FileNotFoundError):
        return InputError(f"{name}: no such file", hint="check the path")
    if isinstance(error, PermissionError):
        return InputError(f"{name}: permission denied", hint="make the file readable")
    if isinstance(error, IsADirectoryError):
        return InputError(f"{name} is a folder, not a file", hint="name a file inside it")
    if "runcated" in text or isinstance(error, EOFError):
        return InputError(
            f"{name} ends in the middle: a truncated {what}", hint="write or copy the file again"
        )
    if re.search(r"zlib|ZSTD|zstd|inflate|decompress|LZ4|snappy", text, re.IGNORECASE):
        return InputError(
            f"{name} cannot be decompressed",
            hint="its suffix promises compressed data; rename it, or write it again",
        )
    if isinstance(error, MemoryError) or "out of memory" in text or "malloc" in text:
        return InputError(
            f"{name}: a part of this {what} does not fit in memory",
            hint="write it again in smaller row groups",
        )
    if isinstance(error, OSError) and error.errno and not isinstance(error, ValueError):
        return InputError(
            f"{name}: {os.strerror(error.errno).lower()}", hint="check the path and its disk"
        )
    return InputError(
        f"{name} cannot be read as a {what}: it is damaged or of another type",
        hint="write or copy the file again, and check that its suffix names its type",
    )


_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def writing(path: str) -> Iterator[None]:
    """Raise InputError in place of what writing to `path` raises."""
    try:
        yield
    except CalibcliError:
        raise
    except BrokenPipeError:
        raise  # the reader of our output left; the command line decides what that means
    except OSError as error:
        raise _writing_failure(error, path) from error


def _writing_failure(error: OSError, path: str) -> InputError:
    name = show(path)
    text = str(error)
    if error.errno in _NO_SPACE or "No space left" in text:
        return InputError(f"{name}: the disk is full", hint="free some space; nothing was changed")
    if isinstance(error, FileNotFoundError):
        folder = show(str(Path(path).parent))
        return InputError(f"{name}: the folder {folder} does not exist", hint=f"mkdir -p {folder}")
    if isinstance(error, NotADirectoryError):
        return InputError(f"{name}: its folder is a file", hint="choose another output path")
    if isinstance(error, IsADirectoryError):
        return InputError(f"{name} is a folder", hint="name a file inside it")
    if isinstance(error, PermissionError):
        return InputError(f"{name}: no permission to write", hint="choose another output path")
    if error.errno == errno.EROFS:
        return InputError(f"{name}: read-only file system", hint="choose another output path")
    reason = os.strerror(error.errno).lower() if error.errno else "writing failed"
    return InputError(f"{name}: {reason}", hint="choose another output path")
