"""Detections written: COCO results or a table, with everything that they came with.

A table gets a column `probability` beside the score. COCO's results have one score, which every
tool reads, so there the probability takes its place and the model's own stays as `raw_score`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from calibcli.errors import InputError, UsageError
from calibcli.io.boxes.coco import Items
from calibcli.io.boxes.naming import CLASSES, CORNERS, IMAGES, SIDES
from calibcli.io.failures import show
from calibcli.io.output.sink import write_atomic
from calibcli.io.output.writers import open_table_sink, output_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from calibcli.io.boxes.tables import Boxes

    Floats = NDArray[np.float64]

RAW, ADDED = "raw_score", "probability"


def output_kind(path: str) -> str:
    """Return "json" or the type of table that a suffix names.

    Raises:
        UsageError: a suffix that names neither.
    """
    if path.lower().endswith(".json"):
        return "json"
    try:
        kind = output_type(path).kind
    except UsageError as error:
        raise UsageError(error.message, "one of .json (COCO), .parquet, .csv, .tsv") from error
    if kind == "npy":
        raise UsageError(f"{show(path)}: boxes are no array", "one of .json, .parquet, .csv")
    return kind


def write_boxes(
    output: str,
    kind: str,
    files: Sequence[Boxes],
    kept: NDArray[np.bool_],
    probability: Floats | None,
    ids: Mapping[str, str],
    *,
    stream: BinaryIO | None = None,
    metadata: Mapping[bytes, bytes] | None = None,
) -> None:
    """Write the boxes that are kept, in the order of the input.

    Args:
        output: where to.
        kind: what `output_kind` said.
        files: the boxes, with all their columns.
        kept: bool (n,) over the boxes of all files.
        probability: float64 (n,) calibrated scores, or None.
        ids: COCO's category id by what the boxes call their class, where it is known.
        stream: write CSV here instead.
        metadata: what the schema of a Parquet file says beside its own.

    Raises:
        InputError: classes without a COCO id, columns in the way of what is added.
    """
    whole = all(isinstance(boxes.table, Items) for boxes in files)
    if not whole and any(isinstance(boxes.table, Items) for boxes in files):
        raise InputError("the detections are JSON and tables", "give files of one kind")
    if kind == "json":
        write_atomic(output, _json(files, kept, probability, ids))
        return
    import pyarrow as pa

    tables = []
    for part, own, p in _parts(files, kept, probability):
        table = _flat(part) if whole else part.table
        _refuse_taken(table.schema.names, ADDED, part, p)
        table = table.take(np.flatnonzero(own))
        if p is not None:
            table = table.append_column(ADDED, pa.array(p[own]))
        tables.append(table)
    joined = pa.concat_tables(tables, promote_options="default")
    if kind in ("parquet", "arrow") and not whole:
        joined = _typed(joined)
    if kind in ("csv", "tsv"):
        nested = [f.name for f in joined.schema if str(f.type).startswith(("list", "struct"))]
        if nested:
            raise InputError(
                f"the column {nested[0]!r} has no place in a {kind.upper()} file",
                "write .json or .parquet instead",
            )
    with open_table_sink(output, joined.schema, stream=stream, metadata=metadata) as sink:
        for batch in joined.to_batches():
            sink.write(batch)


def _parts(
    files: Sequence[Boxes], kept: NDArray[np.bool_], probability: Floats | None
) -> Iterator[tuple[Boxes, NDArray[np.bool_], Floats | None]]:
    start = 0
    for boxes in files:
        own = slice(start, start + len(boxes))
        yield boxes, kept[own], None if probability is None else probability[own]
        start += len(boxes)


def _refuse_taken(names: Sequence[str], added: str, boxes: Boxes, p: Floats | None) -> None:
    if p is not None and added in names:
        raise InputError(
            f"{show(boxes.source)} has {added!r} already: it was calibrated before",
            "apply the calibrator to the scores of the model",
        )


def _flat(boxes: Boxes) -> Any:
    """Return COCO results as a table: one column a key, the box as four."""
    import pyarrow as pa

    rest = [{k: v for k, v in item.items() if k != "bbox"} for item in boxes.table]
    table = pa.Table.from_pylist(rest)
    for name, values in zip(SIDES, boxes.box.T, strict=True):
        if name not in table.schema.names:
            table = table.append_column(name, pa.array(np.ascontiguousarray(values)))
    return table


def _typed(table: Any) -> Any:
    """Give the text columns of a CSV file types where every value allows one."""
    import pyarrow as pa

    from calibcli.io.formats.delimited.inference import cast, possible_type

    columns, fields = [], []
    for field in table.schema:
        column = table.column(field.name)
        wanted = possible_type(column) if str(field.type) == "string" else None
        if wanted is not None:
            column = pa.chunked_array([cast(one, wanted) for one in column.chunks], wanted)
        columns.append(column)
        fields.append(pa.field(field.name, column.type))
    return pa.table(columns, schema=pa.schema(fields))


def _json(
    files: Sequence[Boxes],
    kept: NDArray[np.bool_],
    probability: Floats | None,
    ids: Mapping[str, str],
) -> str:
    lines = []
    for boxes, own, p in _parts(files, kept, probability):
        rows = np.flatnonzero(own)
        items = boxes.table if isinstance(boxes.table, Items) else None
        made = items.take(rows) if items is not None else _items(boxes, rows, ids)
        for item, row in zip(made, rows.tolist(), strict=True):
            if p is not None:
                if RAW in item:
                    _refuse_taken((RAW,), RAW, boxes, p)
                item = {**item, "score": float(p[row]), RAW: item["score"]}
            try:
                lines.append(json.dumps(item, allow_nan=False))
            except ValueError as error:
                raise InputError(
                    f"{boxes.where(row)}: a number is infinite or NaN, which JSON does not have",
                    "write a table: .parquet or .csv",
                ) from error
    return "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"


def _items(boxes: Boxes, rows: NDArray[np.int64], ids: Mapping[str, str]) -> Items:
    """Return rows of a table as COCO results; other columns become keys of their own."""
    number = {text: _category(text, ids, boxes) for text in boxes.label.values}
    taken = {*IMAGES[:1], *CLASSES[:2], *SIDES, *CORNERS, "score"}
    table = boxes.table.take(rows)
    others = {
        name: table.column(name).to_pylist() for name in table.schema.names if name not in taken
    }
    assert boxes.score is not None
    found = Items()
    for i, row in enumerate(rows.tolist()):
        image = boxes.image.values[boxes.image.codes[row]]
        found.append(
            {
                "image_id": _whole(image),
                "category_id": number[boxes.label.values[boxes.label.codes[row]]],
                "bbox": boxes.box[row].tolist(),
                "score": float(boxes.score[row]),
                **{name: values[i] for name, values in others.items()},
            }
        )
    return found


def _whole(text: str) -> int | str:
    """Return an id as the whole number that it is written as, else as text."""
    plain = text.removeprefix("-")
    number = plain.isascii() and plain.isdigit() and (plain == "0" or plain[0] != "0")
    return int(text) if number and len(plain) < 19 else text


def _category(text: str, ids: Mapping[str, str], boxes: Boxes) -> int | str:
    found = _whole(ids.get(text, text))
    if isinstance(found, str) and text not in ids:
        raise InputError(
            f"{show(boxes.source)}: the class {text!r} has no COCO category id",
            "fit and choose on COCO annotations, which give the ids, or write a table",
        )
    return found
