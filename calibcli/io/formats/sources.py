"""From the SCORES arguments to a list of files: folders, globs, URIs, standard input.

The same arguments give the same list in the same order on every machine: folders and globs are
sorted by path. Nothing is opened here beyond the few bytes that tell the type of a file whose
suffix says nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from calibcli.errors import InputError, UsageError, did_you_mean
from calibcli.io.failures import listing, reading, show
from calibcli.io.formats.kinds import INPUT_FORMATS, SUFFIXES, is_uri, kind_of_content, suffix_of
from calibcli.io.formats.source import STDIN, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

TEXTS = ("csv", "tsv", "jsonl", "nifti")
"""Types that may be compressed as a whole."""
KEY = r"\{\w+\}"
"""A part of a pattern by which files of two folders are matched, such as `{id}`."""
_MISSING_PARTITION = "__HIVE_DEFAULT_PARTITION__"
_LONGEST_LINE = 2**24
_OTHER_JSON = {"schema", "images", "annotations", "categories"}
"""Keys of artifacts and of COCO annotations, which are one object."""


def expand(paths: Sequence[str], input_format: str | None = None) -> list[Source]:
    """Expand the SCORES arguments to the files they mean, in a fixed order.

    Args:
        paths: Files, folders, globs, URIs, or "-" for standard input.
        input_format: The type of standard input (and of files whose suffix says nothing).

    Raises:
        InputError: A path does not exist, a folder or a glob holds no data, a file comes twice,
            or its type cannot be told.
        UsageError: `input_format` is unknown, or standard input is a terminal.
    """
    if input_format is not None and input_format not in INPUT_FORMATS:
        raise UsageError(
            f"unknown input format {show(input_format)!r}",
            hint=did_you_mean(input_format, INPUT_FORMATS) or f"one of {', '.join(INPUT_FORMATS)}",
        )
    if not paths:
        raise UsageError("no scores are given", hint="name a file, or - for standard input")
    found: list[Source] = []
    for path in paths:
        if path == STDIN:
            found.append(_standard_input(input_format))
        elif is_uri(path):
            found.extend(_remote(path, input_format))
        else:
            found.extend(_local(path, input_format))
    _refuse_twice(found)
    return found


def _refuse_twice(sources: Iterable[Source]) -> None:
    """Refuse a file that comes twice, also by a link: its rows would count twice."""
    seen: dict[object, Source] = {}
    for source in sources:
        first = seen.setdefault(_identity(source), source)
        if first is source:
            continue
        what = f"{show(source.name)} is given twice"
        if first.path != source.path:
            what = f"{show(source.name)} and {show(first.name)} are one file"
        raise InputError(
            what, hint="name each file once; rows that stand for several are what --count is for"
        )


def _identity(source: Source) -> object:
    """Return what is the same for one file under any name."""
    if source.remote or source.path == STDIN:
        return source.path
    with reading(source.path):
        status = Path(source.path).stat()
    return status.st_dev, status.st_ino


def _local(path: str, input_format: str | None) -> list[Source]:
    entry = Path(path)
    with reading(path):
        if entry.is_dir():
            return _folder(entry)
        if entry.exists():
            return [_file(path, input_format)]
    path = re.sub(KEY, "*", path)
    fixed = re.search(r"[*?\[]", path)
    if fixed is None:
        raise InputError(f"{show(path)}: no such file or folder", hint=_near_file(entry))
    import glob

    matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207, Path.glob refuses absolute patterns
    if not matches:
        raise InputError(f"no file matches {show(path)}", hint="check the pattern and its folder")
    above = len(path[: fixed.start()].split("/")) - 1
    found: list[Source] = []
    for match in matches:
        if Path(match).is_dir():
            found.extend(_folder(Path(match), tuple(match.split("/")[above:])))
        else:
            folders = match.split("/")[above:-1]
            found.append(_file(match, input_format, _hive(folders)))
    return found


def _near_file(missing: Path) -> str:
    try:
        near = did_you_mean(missing.name, sorted(p.name for p in missing.parent.iterdir()))
    except OSError:
        return f"the folder {show(str(missing.parent))} does not exist"
    return near or "check the path, and quote a glob"


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _walk(folder: Path, seen: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Path]:
    """Yield the files of a folder and of those inside, through links too, sorted by path."""
    status = folder.stat()
    place = status.st_dev, status.st_ino
    if place in seen:
        raise InputError(
            f"the folder {show(str(folder))} is inside itself, by a link", hint="remove the link"
        )
    for entry in sorted(folder.iterdir()):
        if _is_hidden(entry.name):
            continue
        if entry.is_dir():
            yield from _walk(entry, seen | {place})
        elif entry.is_file() or entry.is_symlink():
            yield entry


def _folder(folder: Path, above: tuple[str, ...] = ()) -> list[Source]:
    inside = list(_walk(folder))
    for path in inside:
        if SUFFIXES.get(path.suffix.lower()) == "parquet" and not path.exists():
            raise InputError(
                f"{show(str(path))} is a link to a file that does not exist",
                hint="remove the link, or bring back what it points to",
            )
    found = [
        Source(str(p), "parquet", None, _hive([*above, *p.relative_to(folder).parts[:-1]]))
        for p in inside
        if SUFFIXES.get(p.suffix.lower()) == "parquet"
    ]
    if not found:
        text = next((p for p in inside if p.suffix.lower() == ".txt"), None)
        if text is not None:
            _refuse_yolo(text)
        suffix = next((p.suffix for p in inside if p.suffix.lower() in SUFFIXES), None)
        raise InputError(
            f"the folder {show(str(folder))} holds no Parquet files",
            hint=f"quote a glob for other types: '{show(str(folder))}/*{suffix}'"
            if suffix
            else "name the folder that holds the .parquet files",
        )
    return found


_YOLO = re.compile(rb"\d+(\s+[\d.]+(e-?\d+)?){4,5}\s*")


def _refuse_yolo(path: Path) -> None:
    """Refuse a text file of YOLO, class x y w h [score] a line, and say how it becomes a table.

    An empty file is an image without boxes, so the next file of its folder tells.
    """
    for one in (path, *sorted(path.parent.glob("*.txt"))[:100]):
        with reading(show(str(one))), one.open("rb") as file:
            line = file.readline(400)
        if line.strip():
            break
    if not _YOLO.fullmatch(line):
        return
    head, values, table = "image_id,class,x_center,y_center,width,height", "", "truth.csv"
    if len(line.split()) == 6:
        head, values, table = f"{head},score", ",$6", "found.csv"
    bare = head.count(",") * ","  # a row with an image and nothing else: one without boxes
    files = show(str(path.parent / "*.txt"))
    raise InputError(
        f"{show(str(path))} holds boxes as YOLO writes them, which are read from a table",
        f'(echo {head}; for f in {files}; do n=$(basename "$f" .txt); '
        + (f'echo "$n{bare}"; ' if not values else "")
        + f'awk -v OFS=, -v n="$n" \'{{print n,$1,$2,$3,$4,$5{values}}}\' "$f"; done) > {table}',
    )


def _hive(folders: Iterable[str]) -> tuple[tuple[str, str | None], ...]:
    pairs = [folder.partition("=") for folder in folders if "=" in folder]
    return tuple(
        (unquote(key), None if value == _MISSING_PARTITION else unquote(value))
        for key, _, value in pairs
    )


def _file(
    path: str,
    input_format: str | None,
    partition: tuple[tuple[str, str | None], ...] = (),
) -> Source:
    suffix, compression = suffix_of(path)
    kind = SUFFIXES.get(suffix)
    if kind is not None and (compression is None or kind in TEXTS):
        if not is_uri(path) and not Path(path).is_file():
            return _spooled(path, path, kind)
        lines = _whole_table(Source(path, kind)) if kind == "stats" else None
        if lines is not None:
            return Source(path, "jsonl", None, partition, data=lines)
        if kind == "stats" and _holds_lines(Source(path, kind)):
            return Source(path, "jsonl", None, partition)
        return Source(path, kind, compression, partition)
    if not is_uri(path) and not Path(path).is_file():
        return _spooled(path, path, input_format)
    kind = input_format or _sniff(Source(path, "csv"))
    if kind is None:
        if suffix == ".txt" and not is_uri(path):
            _refuse_yolo(Path(path))
        raise InputError(
            f"{show(path)}: its suffix does not name a type that is read here",
            hint=f"known: {listing(SUFFIXES, 20)}, .csv.gz, .jsonl.zst; or give --input-format",
        )
    return Source(path, kind, compression, partition)


def _sniff(source: Source) -> str | None:
    with reading(source.name), source.open() as file:
        kind = kind_of_content(file.read(8))
    return "jsonl" if kind == "stats" and _holds_lines(source) else kind


def _whole_table(source: Source) -> bytes | None:
    from calibcli.io.formats.jsonl.whole import lines_of

    return lines_of(source)


def _holds_lines(source: Source) -> bool:
    """Whether a JSON file has an object on each line; an artifact is one object, with a schema."""
    with reading(source.name), source.open() as file:
        first = file.readline(_LONGEST_LINE).strip()
    if not first.startswith(b"{") or not first.endswith(b"}"):
        return False
    import json

    try:
        value = json.loads(first)
    except ValueError:
        return False
    return bool(value) and not _OTHER_JSON & value.keys()


def one_array(source: Source) -> InputError:
    """Return the error about a JSON file that is one array of objects."""
    with reading(source.name), source.open() as file:
        boxes = b'"bbox"' in file.read(4096)
    name = show(source.name)
    hint = f"jq -c '.[]' {name} > rows.jsonl"
    if boxes:
        hint = "boxes as COCO writes them: --task detection --ground-truth FILE"
    return InputError(f"{name} is one JSON array, not an object on each line", hint=hint)


def _standard_input(input_format: str | None) -> Source:
    stdin = sys.stdin
    if stdin is None or stdin.isatty():
        raise UsageError(
            f"standard input is {'closed' if stdin is None else 'a terminal'}",
            hint="pipe scores into it: cat scores.csv | calibcli …",
        )
    from calibcli.io.formats.spool import keep_once

    buffer = stdin.buffer
    kept = keep_once(buffer, lambda: contextlib.nullcontext(buffer))
    return _from_kept(STDIN, *kept, input_format)


def _spooled(name: str, path: str, kind: str | None) -> Source:
    """Read a pipe with a name (as `<(zcat scores.csv.gz)` makes one): it can be read only once."""
    from calibcli.io.formats.spool import keep_once

    with reading(name):
        status = Path(path).stat()
        device = stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)
        if device and status.st_rdev != Path(os.devnull).stat().st_rdev:
            # Some never end, and would fill the disk.
            raise InputError(
                f"{show(name)} is a device, not a file of scores",
                hint="name a file, or - for standard input",
            )
        kept = keep_once((status.st_dev, status.st_ino), lambda: Path(path).open("rb"))  # noqa: SIM115
    return _from_kept(name, *kept, kind)


def _from_kept(
    name: str, data: bytes | None, spool: str | None, input_format: str | None
) -> Source:
    source = Source(name, input_format or "csv", data=data, spool=spool)
    magic = _sniff(source)
    if input_format is None and magic == "stats":
        return Source(name, "stats", data=data, spool=spool)
    if input_format is None and magic == "jsonl":
        return Source(name, "jsonl", data=data, spool=spool)
    if magic is not None and magic != source.kind and source.kind in ("csv", "tsv"):
        raise InputError(
            f"{show(source.name)} does not hold {source.kind.upper()}",
            hint=f"--input-format {magic}",
        )
    return source


def _remote(uri: str, input_format: str | None) -> list[Source]:
    with reading(Source(uri, "parquet").name):
        from pyarrow import fs

        from calibcli.io.formats.remote import file_system, reach

        plain, mark, query = uri.partition("?")  # s3://bucket/x?region=…: no part of a glob
        match = re.search(r"[*\[]", plain)
        base = plain if match is None else plain[: plain.rindex("/", 0, match.start())]
        reach(base + mark + query, Source(uri, "parquet").name)
        system, path = file_system(base + mark + query)
        prefix = base[: len(base) - len(path)] if base.endswith(path) else None
        info = system.get_file_info(path)
        if info.type == fs.FileType.File and match is None:
            return [_file(uri, input_format)]
        if info.type == fs.FileType.NotFound or prefix is None:
            raise InputError(
                f"{show(Source(uri, 'parquet').name)}: no such file or folder",
                hint="check the URI and the credentials",
            )
        listed = system.get_file_info(fs.FileSelector(path, recursive=True))
    files = sorted(entry.path for entry in listed if entry.type == fs.FileType.File)
    found = []
    for entry in files:
        inside = entry[len(path) :].strip("/").split("/")
        if match is not None:
            import fnmatch

            wanted = plain[len(base) :].strip("/").split("/")
            matched = len(wanted) == len(inside) and all(map(fnmatch.fnmatchcase, inside, wanted))
        else:
            matched = suffix_of(entry)[0] in (".parquet", ".parq", ".pq") and not any(
                map(_is_hidden, inside)
            )
        if matched:
            found.append(_file(prefix + entry + mark + query, input_format, _hive(inside[:-1])))
    if not found:
        raise InputError(
            f"no file matches {show(Source(uri, 'parquet').name)}",
            hint="check the pattern and its folder",
        )
    return found
