"""Keep a stream that can be read only once, so that a second pass over the scores is possible."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

IN_MEMORY = 64 * 2**20
_CHUNK = 2**20
_OPEN_FILES = Path("/proc/self/fd")


# By stream or pipe: commands open their input more than once, a pipe gives its bytes only once.
_kept: dict[object, tuple[bytes | None, str | None]] = {}


def keep_once(
    key: object, open_stream: Callable[[], AbstractContextManager[IO[bytes]]]
) -> tuple[bytes | None, str | None]:
    """Return what `keep` returned for the same key in this process, else open the stream and keep.

    The key is kept too, so a stream that serves as one is not mistaken for a later one.
    """
    if key not in _kept:
        with open_stream() as stream:
            _kept[key] = keep(stream)
    return _kept[key]


def keep(stream: IO[bytes]) -> tuple[bytes | None, str | None]:
    """Read `stream` to its end; return its bytes, or the path of a temporary file beyond 64 MB.

    The file lies in the folder for temporary files (TMPDIR). On Linux it has no name there, so that
    it goes with the process however that ends; elsewhere it goes when the process exits.
    """
    chunks: list[bytes] = []
    size = 0
    while chunk := stream.read(_CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > IN_MEMORY:
            break
    else:
        return b"".join(chunks), None
    file: IO[bytes]
    if _OPEN_FILES.is_dir():
        file = tempfile.TemporaryFile(prefix="calibcli-")  # noqa: SIM115  (open until the end)
        path = str(_OPEN_FILES / str(file.fileno()))
    else:
        file = tempfile.NamedTemporaryFile(prefix="calibcli-", delete=False)  # noqa: SIM115
        path = file.name
        atexit.register(_remove, path)
    file.writelines(chunks)
    shutil.copyfileobj(stream, file, _CHUNK)
    file.flush()
    atexit.register(file.close)  # and so it is held until then
    return None, path


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        Path(path).unlink()
