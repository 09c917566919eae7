"""An output never takes the place of what the run reads, nor of another output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from calibcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


def keep_apart(
    inputs: Sequence[str | None],
    outputs: Sequence[str | None] = (),
    files: Sequence[str | None] = (),
) -> None:
    """Refuse an output that is an input: the scores would be gone.

    Args:
        inputs: score files, folders and globs as they were given, labels, artifacts.
        outputs: paths to write; None and "-" (standard output) are no files.
        files: the same of what standard output has no place for, beside the result.

    Raises:
        InputError: an output that is an input, under whatever name.
        UsageError: two outputs that are one file, or "-" where a file is needed.
    """
    if "-" in files:
        raise UsageError("an artifact is written to a file, not to -", "give it a path")
    seen: list[Path] = []
    for output in (*outputs, *files):
        if output is None or output == "-":
            continue
        path = Path(output)
        if any(_same(path, other) for other in seen):
            raise UsageError(f"two outputs are one file: {output}", "give each a path of its own")
        seen.append(path)
        if path.is_file() and any(path.samefile(other) for other in _files(inputs, path)):
            raise InputError(f"{output} is an input of this run", "write to another path")


def _same(path: Path, other: Path) -> bool:
    """Whether two paths lead to one file, by links or another spelling, that may not exist yet."""
    if path.exists() and other.exists():
        return path.samefile(other)
    return path.resolve() == other.resolve()


def _files(inputs: Iterable[str | None], output: Path) -> Iterator[Path]:
    """Yield the input files that may be `output`."""
    for name in inputs:
        if name is None or name == "-":
            continue
        given = Path(name)
        if given.is_dir():
            if output.resolve().is_relative_to(given.resolve()):
                yield output
        elif given.exists():
            yield given
        else:
            import glob

            yield from (Path(match) for match in glob.glob(name, recursive=True))  # noqa: PTH207
