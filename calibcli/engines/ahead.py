"""A function in another process, which gets ready while this one still reads.

What draws charts takes most of a second to start, holds the interpreter meanwhile, and so would
wait for the last row. A fork of this process, made before any thread or library is in it, costs a
few milliseconds. Where that is not possible the function runs here, later.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_SIZE = struct.Struct("<Q")
_TASKS = Path("/proc/self/task")


class Ahead:
    """Calls of one function in a forked process; `close` ends it.

    Args:
        function: bytes to bytes. It should raise nothing; if it does, its process ends.
        ready: called once in the new process, before the first call.
    """

    def __init__(self, function: Callable[[bytes], bytes], ready: Callable[[], object]) -> None:
        calls, self._send = os.pipe()
        self._receive, answers = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os.close(self._send)
            os.close(self._receive)
            _serve(function, ready, calls, answers)
        os.close(calls)
        os.close(answers)

    @classmethod
    def where_possible(
        cls, function: Callable[[bytes], bytes], ready: Callable[[], object]
    ) -> Self | None:
        """Return None where a fork is not safe: other threads here, or not on Linux."""
        try:
            alone = sys.platform == "linux" and len(list(_TASKS.iterdir())) == 1
            return cls(function, ready) if alone else None
        except OSError:
            return None

    def __call__(self, argument: bytes) -> bytes | None:
        """Return the answer, or None when the other process is gone."""
        try:
            _write(self._send, argument)
        except BrokenPipeError:
            return None
        return _read(self._receive)

    def close(self) -> None:
        """End the other process and wait for it."""
        os.close(self._send)
        os.close(self._receive)
        with suppress(OSError):
            os.kill(self._process, signal.SIGTERM)
        with suppress(OSError):
            os.waitpid(self._process, 0)


def _serve(
    function: Callable[[bytes], bytes], ready: Callable[[], object], calls: int, answers: int
) -> None:
    """Answer calls until there are no more; never return."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's, meant for the other one
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        ready()
        while (argument := _read(calls)) is not None:
            _write(answers, function(argument))
    finally:
        os._exit(0)


def _write(pipe: int, data: bytes) -> None:
    left = memoryview(_SIZE.pack(len(data)) + data)
    while left:
        left = left[os.write(pipe, left) :]


def _read(pipe: int) -> bytes | None:
    head = _exactly(pipe, _SIZE.size)
    return None if head is None else _exactly(pipe, _SIZE.unpack(head)[0])


def _exactly(pipe: int, size: int) -> bytes | None:
    pieces = []
    while size:
        piece = os.read(pipe, min(size, 1 << 20))
        if not piece:
            return None
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
