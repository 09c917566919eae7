"""Columns with several values in a row: lists, structs, maps, Spark vectors, BigQuery's pairs.

All of them become one matrix, a column for each place or name. Values that have names (a map, or a
list of pairs such as {label, prob}) may come in another order in every row; those of a list are
told apart by their place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.io.formats.arrow_arrays import number_array
from calibcli.io.formats.buffers import TEXT_TYPES, BadValueError, bits
from calibcli.io.formats.decode import numbers
from calibcli.io.rows.columns import Column
from calibcli.io.rows.keys import as_text, keys, natural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_NUMBERS = ("halffloat", "float", "double", "bool", "null")
_WHOLE = ("int", "uint")
_SPARK = {"type", "size", "indices", "values"}
_SPARSE = 0


# -- types -----------------------------------------------------------------------------------------


def column_of(arrow_type: Any) -> Column:
    """Describe an Arrow type."""
    kind = str(arrow_type)
    if kind.startswith("dictionary"):
        return column_of(arrow_type.value_type)
    if kind.startswith("map"):
        return Column(column_of(arrow_type.item_type).kind, 0, named=True)
    if is_list(arrow_type):
        element = column_of(arrow_type.value_type)
        if _pair(arrow_type.value_type):
            return Column("number", 0, named=True)
        size = arrow_type.list_size if kind.startswith("fixed_size") else 0
        plain = element.width is None and not element.children
        return Column(element.kind if plain else "other", size, element=element)
    if kind.startswith("struct"):
        return _struct(arrow_type)
    if kind.startswith((*_WHOLE, "decimal")) or kind in _NUMBERS:
        return Column("number")
    return Column("text" if kind in TEXT_TYPES else "other")


def is_list(arrow_type: Any) -> bool:
    """Whether a type is a list of any make; a map is none."""
    return str(arrow_type).startswith(("list", "large_list", "fixed_size_list"))


def _struct(arrow_type: Any) -> Column:
    children = {field.name: column_of(field.type) for field in arrow_type}
    if children.keys() >= _SPARK:
        return Column("number", 0, children=children)
    plain = all(child.kind == "number" and child.width is None for child in children.values())
    if not children or not plain:
        return Column("other", None, children=children)
    return Column("number", len(children), names=tuple(children), children=children)


def _pair(arrow_type: Any) -> tuple[int, int] | None:
    """Return which field of a struct of two is the name and which the score, if one is each."""
    if not str(arrow_type).startswith("struct") or arrow_type.num_fields != 2:
        return None
    kinds = [str(arrow_type.field(i).type) for i in (0, 1)]
    scores = [kind in _NUMBERS[:3] or kind.startswith("decimal") for kind in kinds]
    names = [kind in TEXT_TYPES or kind.startswith(_WHOLE) for kind in kinds]
    for name, score in ((0, 1), (1, 0)):
        if names[name] and scores[score]:
            return name, score
    return None


# -- a part of a row -------------------------------------------------------------------------------


def inside(raw: Any, path: Sequence[str]) -> Any:
    """Return what a path of field names and places leads to in each row; null where it does not."""
    for step in path:
        kind = str(raw.type)
        if kind.startswith("struct"):
            raw = raw.flatten()[raw.type.get_field_index(step)]
        elif kind.startswith("map"):
            raw = _of_name(Lists.of(raw), step)
        else:
            lists = Lists.of(raw)
            place = int(step)
            there = lists.present & (lists.sizes > place)
            raw = _taken(lists.values, lists.starts + place, there)
    return raw


def _taken(values: Any, places: NDArray[np.int64], there: NDArray[np.bool_]) -> Any:
    return values.take(number_array(np.where(there, places, 0), ~there))


def _of_name(lists: Lists, name: str) -> Any:
    """Return the value under a name of each row of a map."""
    found = keys(lists.values.field(0))
    wanted = [as_text(value) == name for value in found.values] + [False]
    flat = np.flatnonzero(np.array(wanted)[found.codes])
    row = np.searchsorted(lists.starts, flat, side="right") - 1
    places = np.full(len(lists.starts), -1, np.int64)
    inside_row = (row >= 0) & (flat < lists.starts[row] + lists.sizes[row])
    places[row[inside_row]] = flat[inside_row]
    return _taken(lists.values.field(1), places, places >= 0)


# -- rows of values --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Lists:
    """Rows of a list column: `sizes[i]` values from `starts[i]` on; `present` where not null."""

    values: Any
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    present: NDArray[np.bool_]

    @classmethod
    def of(cls, raw: Any) -> Lists:
        """Return the rows of a column of lists of any make, or of a map."""
        if str(raw.type) == "null":  # a column of nothing else
            none = np.zeros(len(raw), np.int64)
            return cls(np.zeros(0), none, none, none > 0)
        n, kind = len(raw), str(raw.type)
        present = np.ones(n, bool)
        if raw.null_count:
            present = bits(raw.buffers()[0], raw.offset, n)
        if kind.startswith("fixed_size_list"):
            size = raw.type.list_size
            starts = (raw.offset + np.arange(n, dtype=np.int64)) * size
            return cls(raw.values, starts, np.full(n, size), present)
        wide = np.dtype(np.int64 if kind.startswith("large") else np.int32)
        viewed = "list_view" in kind
        starts = _integers(raw, 1, n if viewed else n + 1, wide)
        sizes = _integers(raw, 2, n, wide) if viewed else np.diff(starts)
        values = raw.values
        if kind.startswith("map"):
            import pyarrow as pa

            values = pa.StructArray.from_arrays([raw.keys, raw.items], ["key", "value"])
        return cls(values, starts[:n], sizes, present)

    @property
    def filled(self) -> NDArray[np.bool_]:
        """Which rows hold anything (n,)."""
        return self.present & (self.sizes > 0)

    def flat(self) -> Any:
        """Return the values of the rows that are not null, end to end."""
        sizes = np.where(self.present, self.sizes, 0)
        within = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return self.values.take(number_array(np.repeat(self.starts, sizes) + within))

    def rows(self, width: int) -> tuple[Any, NDArray[np.bool_]]:
        """Return the values of all rows of `width`, end to end, and which rows these are (n,).

        Raises:
            BadValueError: A row that holds another number of values.
        """
        filled = self.filled
        wrong = np.flatnonzero(filled & (self.sizes != width))
        if wrong.size:
            raise LengthError(int(self.sizes[wrong[0]]), width, int(wrong[0]), int(wrong.size))
        starts = self.starts[filled]
        if not starts.size:
            return self.values.slice(0, 0), filled
        if (np.diff(starts) == width).all():
            return self.values.slice(int(starts[0]), len(starts) * width), filled
        places = (starts[:, None] + np.arange(width)).reshape(-1)
        return self.values.take(number_array(places)), filled


def _integers(raw: Any, buffer: int, n: int, wide: np.dtype[Any]) -> NDArray[np.int64]:
    content = raw.buffers()[buffer]
    if content is None or n == 0:
        return np.zeros(n, np.int64)
    values = np.frombuffer(content, wide, count=n, offset=raw.offset * wide.itemsize)
    return values.astype(np.int64)


class LengthError(BadValueError):
    """A row of another number of values than the first."""

    def __init__(self, size: int, width: int, row: int, count: int) -> None:
        values = "1 value" if size == 1 else f"{size:,} values"
        super().__init__(f"{values}, where the first row has {width:,}", row, count)


def described(raw: Any) -> tuple[int, tuple[str, ...] | None]:
    """Return how many values the first row has, and their names if they have any.

    Names come in natural order, as those of a map have none. (0, None) where all rows are empty.
    """
    kind = str(raw.type)
    if kind.startswith("struct"):
        spark = _Spark.of(raw)
        rows = np.flatnonzero(spark.present)
        return (int(spark.sizes()[rows[0]]) if rows.size else 0), None
    lists = Lists.of(raw)
    rows = np.flatnonzero(lists.filled)
    if not rows.size:
        return 0, None
    size = int(lists.sizes[rows[0]])
    pair = (0, 1) if kind.startswith("map") else _pair(raw.type.value_type)
    if pair is None:
        return size, None
    found = keys(lists.values.field(pair[0]).slice(int(lists.starts[rows[0]]), size))
    return size, tuple(sorted((as_text(found.values[c]) for c in found.codes), key=natural))


def matrix(raw: Any, width: int, names: tuple[str, ...] | None = None) -> NDArray[Any]:
    """Return rows of values as floats (n, width); a row that is null or empty is all NaN.

    Args:
        raw: An array (n, K), or an Arrow array of lists, structs, maps or vectors.
        width: How many values a row has.
        names: The names of the values, in the order of the columns, where they have names.

    Raises:
        BadValueError: A row that holds another number of values, other names, or no numbers.
    """
    if isinstance(raw, np.ndarray):
        return numbers(raw)
    kind = str(raw.type)
    if kind.startswith("struct"):
        if {field.name for field in raw.type} >= _SPARK:
            return _Spark.of(raw).matrix(width)
        return np.stack([numbers(child) for child in raw.flatten()], axis=1)
    lists = Lists.of(raw)
    pair = (0, 1) if kind.startswith("map") else _pair(raw.type.value_type)
    if pair is not None:
        return _named(lists, names or (), pair)
    flat, filled = lists.rows(width)
    return _spread(_floats(flat, filled, width), filled)


def _floats(flat: Any, filled: NDArray[np.bool_], width: int) -> NDArray[Any]:
    try:
        return numbers(flat).reshape(-1, width)
    except BadValueError as error:
        row = int(np.flatnonzero(filled)[error.row // width])
        raise BadValueError(error.problem, row, error.count) from None


def _spread(rows: NDArray[Any], filled: NDArray[np.bool_]) -> NDArray[Any]:
    """Put the rows that there are to their places, NaN elsewhere."""
    if filled.all():
        return rows
    spread = np.full((len(filled), rows.shape[1]), np.nan, rows.dtype)
    spread[filled] = rows
    return spread


def _named(lists: Lists, names: tuple[str, ...], pair: tuple[int, int]) -> NDArray[Any]:
    width = len(names)
    flat, filled = lists.rows(width)
    name, score = (flat.field(i) for i in pair)
    found = keys(name)
    place = {text: k for k, text in enumerate(names)}
    of_code = np.array([place.get(as_text(value), -1) for value in found.values] + [-1], np.int64)
    column = of_code[found.codes].reshape(-1, width)
    rows = np.full(column.shape, -1, np.int64)
    known = column >= 0
    row, place_in_row = np.nonzero(known)
    rows[row, column[known]] = place_in_row
    wrong = np.flatnonzero((rows < 0).any(axis=1))  # a name that is unknown, or comes twice
    if wrong.size:
        at = int(np.flatnonzero(filled)[wrong[0]])
        raise BadValueError("other names than in the first row", at, int(wrong.size))
    values = _floats(score, filled, width)
    return _spread(np.take_along_axis(values, rows, axis=1), filled)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Spark:
    """Vectors of Spark ML: dense (all values), or sparse (size, and values at some indices)."""

    sparse: NDArray[np.bool_]
    size: NDArray[np.int64]
    indices: Lists
    values: Lists
    present: NDArray[np.bool_]

    @classmethod
    def of(cls, raw: Any) -> _Spark:
        fields = {field.name: i for i, field in enumerate(raw.type)}
        parts = raw.flatten()
        kind = np.nan_to_num(numbers(parts[fields["type"]]), nan=1.0)
        size = np.nan_to_num(numbers(parts[fields["size"]])).astype(np.int64)
        values = Lists.of(parts[fields["values"]])
        return cls(
            (kind == _SPARSE) & values.present,
            size,
            Lists.of(parts[fields["indices"]]),
            values,
            values.present,
        )

    def sizes(self) -> NDArray[np.int64]:
        """Return how many values each row has (n,)."""
        return np.where(self.sparse, self.size, self.values.sizes)

    def matrix(self, width: int) -> NDArray[Any]:
        """Return the vectors as floats (n, width)."""
        wrong = np.flatnonzero(self.present & (self.sizes() != width))
        if wrong.size:
            sizes = int(self.sizes()[wrong[0]])
            raise LengthError(sizes, width, int(wrong[0]), int(wrong.size))
        rows = np.full((len(self.sparse), width), np.nan)
        dense = self.present & ~self.sparse
        values = numbers(self.values.values)
        rows[dense] = values[self.values.starts[dense][:, None] + np.arange(width)]
        rows[self.sparse] = 0.0
        each = np.flatnonzero(self.sparse)
        counts = self.values.sizes[each]
        within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        indices = numbers(self.indices.values)
        column = indices[np.repeat(self.indices.starts[each], counts) + within].astype(np.int64)
        score = values[np.repeat(self.values.starts[each], counts) + within]
        row = np.repeat(each, counts)
        if ((column < 0) | (column >= width)).any():
            bad = int(row[np.flatnonzero((column < 0) | (column >= width))[0]])
            raise BadValueError("an index outside its vector", bad)
        rows[row, column] = score
        return rows
