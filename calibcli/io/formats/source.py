"""One file to read: what it is, and how its content is opened."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from calibcli.io.formats.kinds import is_uri

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Source:
    """One file (or the bytes of standard input) to read.

    Attributes:
        path: As it is shown and as it is opened, unless `data` or `spool` holds the content.
        kind: "parquet", "csv", "tsv", "jsonl", "arrow", "npy", "npz", "picture", "nifti", "stats".
        compression: "gzip", "zstd" or None.
        partition: Columns that the folders above the file name, as `camera=front/` does;
            None for a missing value.
        data: The content itself, for a small standard input.
        spool: A temporary file with the content, for a large standard input.
    """

    path: str
    kind: str
    compression: str | None = None
    partition: tuple[tuple[str, str | None], ...] = ()
    data: bytes | None = None
    spool: str | None = None

    @property
    def name(self) -> str:
        """What messages call it: its path without credentials, or standard input."""
        return "standard input" if self.path == STDIN else self.shown

    @property
    def shown(self) -> str:
        """The path as it stands in results: credentials in a URI are left out."""
        return re.sub(r"(?<=://)[^/@]*@", "", self.path) if "://" in self.path else self.path

    @property
    def remote(self) -> bool:
        """Whether Arrow's file systems open this, rather than the operating system."""
        return is_uri(self.path)

    @property
    def local(self) -> str:
        """The path in the local file system that holds the content."""
        return self.spool if self.spool is not None else self.path

    @property
    def nameable(self) -> bool:
        """Whether Arrow can be told the path: it takes UTF-8 only."""
        try:
            self.local.encode()
        except UnicodeEncodeError:
            return False
        return True

    @property
    def plain(self) -> bool:
        """Whether it is a file of this machine under its own path."""
        return self.data is None and self.spool is None and not self.remote

    def open(self) -> BinaryIO:
        """Open the raw (still compressed) content as a seekable binary file."""
        if self.data is not None:
            return io.BytesIO(self.data)
        if self.remote:
            file: BinaryIO = self.arrow_file()
            return file
        return Path(self.local).open("rb")

    def arrow_file(self) -> Any:
        """Open the raw content as an Arrow file that threads may read at random."""
        import pyarrow as pa

        if self.data is not None:
            return pa.BufferReader(self.data)
        if self.remote:
            from calibcli.io.formats.remote import file_system

            system, path = file_system(self.path)
            return system.open_input_file(path)
        if not self.nameable:
            return _mapped(self.local)
        return pa.OSFile(self.local, "rb")

    def stream(self) -> Any:
        """Open the content, decompressed, as an Arrow input stream."""
        import pyarrow as pa

        file = self.arrow_file()
        return (
            file if self.compression is None else pa.CompressedInputStream(file, self.compression)
        )

    def size(self) -> int:
        """Return the size in bytes of the raw content."""
        if self.data is not None:
            return len(self.data)
        if self.remote:
            return int(self.arrow_file().size())
        return Path(self.local).stat().st_size


def _mapped(path: str) -> Any:
    """Open a file whose name Arrow cannot encode: a map of it, which needs no name."""
    import mmap

    import pyarrow as pa

    with Path(path).open("rb") as file:
        if not Path(path).stat().st_size:
            return pa.BufferReader(b"")
        return pa.BufferReader(pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
