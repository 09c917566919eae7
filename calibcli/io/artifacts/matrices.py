"""Small matrices that people write by hand: the costs of deciding one class for another."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibcli.errors import InputError
from calibcli.io.failures import reading, show

MAX_BYTES = 2**24


@dataclass(frozen=True, slots=True)
class NamedMatrix:
    """Numbers with the names of rows and columns, where the file has them.

    Attributes:
        values: rows of numbers.
        rows: a name for each row, or None.
        columns: a name for each column, or None.
    """

    values: list[list[float]]
    rows: list[str] | None
    columns: list[str] | None


def read_matrix(path: str, classes: tuple[str, ...]) -> NamedMatrix:
    """Read a matrix from CSV, or JSON: rows of numbers.

    A CSV may begin with a line of column names, and each line with the name of one of `classes`.
    JSON is a list of lists, or {"rows": [...], "columns": [...], "values": [[...]]}.

    Raises:
        InputError: no such file, or one that holds no matrix of numbers.
    """
    with reading(path), Path(path).open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InputError(f"{show(path)} is too large for a matrix", "a row and a column a class")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unusable(path, "is not text") from None
    if text.lstrip()[:1] in ("[", "{"):
        return _from_json(path, text)
    return _from_csv(path, text, classes)


def _from_csv(path: str, text: str, classes: tuple[str, ...]) -> NamedMatrix:
    lines = [line for line in csv.reader(text.splitlines()) if any(cell.strip() for cell in line)]
    lines = [[cell.strip() for cell in line] for line in lines]
    if not lines:
        raise _unusable(path, "is empty")
    k = len(classes)
    columns = lines[0] if len(lines) == k + 1 else None
    body = lines[1:] if columns is not None else lines
    named = all(_number(line[0]) is None for line in body)
    if columns is not None:
        # Names of classes may be numbers, so the heading decides.
        named |= len(columns) == k + 2 or sorted(columns[1:]) == sorted(classes)
    rows = None
    if named:
        rows, body = [line[0] for line in body], [line[1:] for line in body]
        columns = None if columns is None else columns[1:]
    return _checked(path, [[_number(cell) for cell in line] for line in body], rows, columns)


def _from_json(path: str, text: str) -> NamedMatrix:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise _unusable(path, "is not JSON") from None
    named = value if isinstance(value, dict) else {"values": value}
    values = named.get("values")
    if not isinstance(values, list) or not all(isinstance(row, list) for row in values):
        raise _unusable(path, "holds no rows of numbers")
    names: list[list[str] | None] = []
    for key in ("rows", "columns"):
        found = named.get(key)
        names.append([str(name) for name in found] if isinstance(found, list) else None)
    numbers = [
        [float(v) if isinstance(v, (int, float)) and not isinstance(v, bool) else None for v in row]
        for row in values
    ]
    return _checked(path, numbers, names[0], names[1])


def _checked(
    path: str, values: list[list[float | None]], rows: list[str] | None, columns: list[str] | None
) -> NamedMatrix:
    numbers: list[list[float]] = []
    for place, row in enumerate(values, start=1):
        if len(row) != len(values[0]):
            raise _unusable(path, f"has rows of {len(values[0])} and of {len(row)} numbers")
        found = [v for v in row if v is not None]
        if len(found) != len(row):
            raise _unusable(path, f"holds something that is no number, in row {place}")
        numbers.append(found)
    if not numbers or not numbers[0]:
        raise _unusable(path, "holds no numbers")
    for names, wanted in ((rows, len(numbers)), (columns, len(numbers[0]))):
        if names is not None and (len(names) != wanted or len(set(names)) != len(names)):
            raise _unusable(path, "does not have one name of its own for each row and column")
    return NamedMatrix(numbers, rows, columns)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _unusable(path: str, why: str) -> InputError:
    return InputError(
        f"{show(path)} {why}", "a CSV of numbers, a row for each true class, a column a decision"
    )
