"""Charts are drawn by another process: a crash there is no crash here.

What draws holds a JavaScript engine. It takes most of a second to start, so it starts while the
rows are read; and where it gets no memory it kills its process, with a native stack trace, which is
then not this one. A program of its own rather than a fork, which is safe without threads only.

This file is that program too: it imports nothing of the package and reads nothing of the current
folder.
"""

from __future__ import annotations

import signal
import struct
import sys
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

_HEAD = struct.Struct("<cQ")
VEGA_LITE = "5.8"
_FIRST = b'{"data":{"values":[{"x":1}]},"mark":"point","encoding":{"x":{"field":"x"}}}'
_SCALE = 2.0
"""Pixels of a PNG for each of its units."""


class DrawerGoneError(Exception):
    """The process that draws has ended without an answer."""


class Drawer:
    """A process that turns Vega-Lite specifications into pictures, one after the other."""

    def __init__(self) -> None:
        import subprocess

        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-P", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def draw(self, specification: bytes, kind: str) -> bytes:
        """Return a picture.

        Args:
            specification: Vega-Lite as JSON.
            kind: "svg" or "png".

        Raises:
            DrawerGoneError: the process has ended, as it does without memory.
            ValueError: no picture comes of this specification; the message is for developers.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._process.returncode is not None:
            raise DrawerGoneError
        try:
            _write(self._process.stdin, kind[0].encode(), specification)
            answer = _read(self._process.stdout)
        except OSError:
            answer = None
        if answer is None:
            self.close()
            raise DrawerGoneError
        state, content = answer
        if state != b"+":
            raise ValueError(content.decode("utf-8", "replace"))
        return content

    def close(self) -> None:
        """End the process, however busy it is, and wait for it."""
        self._process.kill()
        self._process.communicate()


def _serve() -> None:
    """Answer until there are no more questions."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's, meant for the other one
    import vl_convert

    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    vl_convert.vegalite_to_svg(_FIRST.decode(), vl_version=VEGA_LITE)
    while (question := _read(questions)) is not None:
        kind, specification = question
        try:
            if kind == b"p":
                picture = vl_convert.vegalite_to_png(
                    specification.decode(), vl_version=VEGA_LITE, scale=_SCALE
                )
            else:
                picture = vl_convert.vegalite_to_svg(
                    specification.decode(), vl_version=VEGA_LITE
                ).encode()
        except ValueError as error:
            _write(answers, b"-", str(error).encode("utf-8", "replace"))
        else:
            _write(answers, b"+", picture)


def _write(pipe: IO[bytes], head: bytes, content: bytes) -> None:
    pipe.write(_HEAD.pack(head, len(content)))
    pipe.write(content)
    pipe.flush()


def _read(pipe: IO[bytes]) -> tuple[bytes, bytes] | None:
    """Return the next head and content; None where there are no more, or only a part."""
    start = pipe.read(_HEAD.size)
    if len(start) < _HEAD.size:
        return None
    head, size = _HEAD.unpack(start)
    content = pipe.read(size)
    return (head, content) if len(content) == size else None


if __name__ == "__main__":
    _serve()
