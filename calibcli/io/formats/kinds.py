"""What the suffix of a path, or the first bytes of a file, say about its type."""

from __future__ import annotations

import re
from pathlib import Path

INPUT_FORMATS = ("csv", "tsv", "parquet", "arrow", "npy", "npz", "jsonl")
SUFFIXES = {
    ".parquet": "parquet",
    ".parq": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".ipc": "arrow",
    ".feather": "arrow",
    ".npy": "npy",
    ".npz": "npz",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "stats",
    **dict.fromkeys((".png", ".tif", ".tiff", ".jpg", ".jpeg"), "picture"),
    ".nii": "nifti",
}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_MAGIC = (
    (b"PAR1", "parquet"),
    (b"\x93NUMPY", "npy"),
    (b"PK\x03\x04", "npz"),
    (b"ARROW1", "arrow"),
    (b"\xff\xff\xff\xff", "arrow"),
    (b"{", "stats"),
)


def is_uri(path: str) -> bool:
    """Tell a URI (`s3://…`, `file:///…`) from a path."""
    return "://" in path and re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", path) is not None


def suffix_of(path: str) -> tuple[str, str | None]:
    """Return the last suffix of a path and the compression after it: (".csv", "gzip")."""
    if is_uri(path):
        path = path.partition("?")[0]
    name = path.rsplit("/", 1)[-1].lower()
    for ending, compression in COMPRESSIONS.items():
        if name.endswith(ending):
            return Path(name[: -len(ending)]).suffix, compression
    return Path(name).suffix, None


def kind_of_content(head: bytes) -> str | None:
    """Return the type that the first 8 bytes of a file tell, if they tell one."""
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
