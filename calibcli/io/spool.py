"""Keep a stream that can be read only once, so that a second pass over the scores is possible."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import IO

IN_MEMORY = 64 * 2**20
_CHUNK = 2**20


def keep(stream: IO[bytes]) -> tuple[bytes | None, str | None]:
    """Read `stream` to its end; return its bytes, or the path of a temporary file beyond 64 MB.

    The file lies in the folder for temporary files (TMPDIR) and goes when the process ends.
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
    with tempfile.NamedTemporaryFile(prefix="calibcli-", delete=False) as file:
        atexit.register(_remove, file.name)
        file.writelines(chunks)
        shutil.copyfileobj(stream, file, _CHUNK)
    return None, file.name


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        Path(path).unlink()
