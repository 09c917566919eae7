"""Every candidate of a search as a table: `--candidates FILE`."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING, Any

from calibcli.io.output.sink import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Columns = Sequence[Sequence[Any]]
    """Lists of one length: numbers, None and NaN for what is undefined."""


def write_candidates(
    path: str, header: Sequence[str], slices: Iterable[tuple[str, Columns]]
) -> None:
    """Write the candidates of each slice as CSV, under a first column `slice`."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["slice", *header])
    for name, columns in slices:
        known = [["" if v is None or v != v else v for v in column] for column in columns]
        writer.writerows([name, *row] for row in zip(*known, strict=True))
    write_atomic(path, out.getvalue())
