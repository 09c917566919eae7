"""Which column is the score, which the label: the rules of the command line, in one place."""

from __future__ import annotations

import fnmatch
import os.path
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calibcli.errors import InputError, UsageError, did_you_mean
from calibcli.io.failures import listing, show
from calibcli.io.rows.names import LABELS, ROWS, SCORES, of_bigquery, usual

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence

_SEPARATORS = "_.-:/ "


@dataclass(frozen=True, slots=True)
class Column:
    """What is known of a column before it is read.

    Attributes:
        kind: "number", "text", "other", or "any" (a CSV file does not say).
        width: None for one value a row, K for a row of K values, 0 for rows of unknown length.
        names: The names of the K values, where they are fields of a struct.
        named: Whether the values of a row have names that only reading tells, as in a map.
        children: The fields of a struct.
        element: What a list holds.
        length: How many values a list has in the first rows, where all have as many; else 0.
    """

    kind: str
    width: int | None = None
    names: tuple[str, ...] | None = None
    named: bool = False
    children: Mapping[str, Column] | None = None
    element: Column | None = None
    length: int = 0

    def inside(self, path: Sequence[str]) -> Column | None:
        """Return what a path of fields and places leads to; None where there is nothing."""
        if not path:
            return self
        inner: Column | None = None
        if self.children:
            inner = self.children.get(path[0])
        elif self.element is not None:
            inner = self.element if path[0].isdecimal() else None
        elif self.named:
            inner = Column(self.kind)
        return None if inner is None else inner.inside(path[1:])


class Columns(dict[str, Column]):
    """Columns by name, in order. A dotted name leads into structs, maps and lists: `a.b`, `a.0`."""

    def __contains__(self, name: object) -> bool:
        if super().__contains__(name):
            return True
        return isinstance(name, str) and self._inside(name) is not None

    def __missing__(self, name: str) -> Column:
        found = self._inside(name)
        if found is None:
            raise KeyError(name)
        return found

    def _inside(self, name: str) -> Column | None:
        path = split_path(name, self.keys())
        return self[path[0]].inside(path[1:]) if path else None


def _leaves(name: str, column: Column) -> list[str]:
    if column.kind != "other" or not column.children:
        return [name]
    inside = ((f"{name}.{child}", inner) for child, inner in column.children.items())
    return [leaf for child, inner in inside for leaf in _leaves(child, inner)]


def leaves(columns: Collection[str]) -> list[str]:
    """Return the names of columns for messages: of a struct those of its fields."""
    if not isinstance(columns, Columns):
        return list(columns)
    return [leaf for name, column in columns.items() for leaf in _leaves(name, column)]


def split_path(name: str, columns: Container[str]) -> tuple[str, ...]:
    """Return the column that a dotted name begins with, and its path inside; () for none."""
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        base = ".".join(parts[:end])
        if base in columns:
            return base, *parts[end:]
    return ()


def columns_of(names: Iterable[str], columns: Container[str]) -> list[str]:
    """Return the columns of a file that hold what is asked for, each once."""
    wanted = [(name,) if name in columns else split_path(name, columns) for name in names]
    return list(dict.fromkeys(path[0] for path in wanted if path))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Scores:
    """The chosen score columns; `classes` are the names that the columns give, if they do."""

    names: tuple[str, ...]
    classes: tuple[str, ...] | None
    rows: bool
    """Whether a row of the one column holds several values."""


def refuse_duplicates(names: Sequence[str], path: str) -> None:
    """Raise InputError when a column name comes twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(
            f"{show(path)} has more than one column {listing(twice)}",
            hint="give each column a name of its own",
        )


class NoColumnError(InputError):
    """A column that an option names does not exist."""

    option = ""


def find(name: str, columns: Collection[str], path: str, option: str) -> str:
    """Return `name` if it is a column, else raise InputError with the columns and a near miss."""
    if name in columns:
        return name
    known = leaves(columns)
    near = did_you_mean(name, known)
    error = NoColumnError(
        f"{show(path)} has no column {name!r} ({option})",
        hint=f"{near}; columns: {listing(known)}" if near else f"columns: {listing(known)}",
    )
    error.option = option
    error.topic = {"--score": "scores", "--scores": "scores", "--label": "label"}.get(option)
    raise error


def choose_scores(
    columns: Mapping[str, Column],
    path: str,
    *,
    score: str | None,
    scores: tuple[str, ...] | None,
    inside: Callable[[str], Sequence[str]] | None = None,
) -> Scores:
    """Choose the score columns of a table by `--score`, `--scores`, or the known names.

    `inside` tells what a column holds, where a pattern leads into one: fields, or places of a list.

    Raises:
        InputError: A named column does not exist, or none or several have a known name.
        UsageError: Both options are given.
    """
    if score is not None and scores is not None:
        raise UsageError(
            "--score and --scores exclude each other", hint="--scores for several classes"
        )
    if score is not None:
        return _single(columns, find(score, columns, path, "--score"))
    if scores is not None:
        return _several(columns, path, scores, inside)
    pairs = of_bigquery(columns)
    rows = [name for name in columns if columns[name].width is not None]
    named = usual(columns, SCORES[:1]) or usual(rows, ROWS) or usual(columns, SCORES)
    if not named and pairs is not None:
        named = [pairs[0]]
    if len(named) == 1:
        return _single(columns, named[0])
    if named:
        raise InputError(
            f"{show(path)} has {len(named)} columns that may be the score: {listing(named)}",
            hint=f"name one: --score {named[0]}",
            topic="scores",
        )
    if _are_values(columns):
        raise InputError(
            f"{show(path)} begins with numbers, not with the names of its columns",
            hint=f"add a first line such as: {_names_for(list(columns))}",
        )
    raise InputError(
        f"{show(path)} has no score column; its columns: {listing(leaves(columns))}",
        hint="--score COL, or for several classes --scores COL,COL or --scores 'prefix_*'",
        topic="scores",
    )


def _are_values(names: Mapping[str, Column]) -> bool:
    """Whether names are the values of a first row: numbers alone, or a fraction among them."""
    if any(re.fullmatch(r"\s*0?\.\d+\s*", name) for name in names):
        return not usual(names, LABELS)
    return bool(names) and all(_is_number(name) for name in names)


def _names_for(values: list[str]) -> str:
    """Return names for a first row of values: fractions are scores, the last of the rest labels."""
    scores = [place for place, text in enumerate(values) if _is_number(text) and "." in text]
    others = [place for place in range(len(values)) if place not in scores]
    if not scores or not others:
        return "score,label"
    names = {place: f"column_{place}" for place in others} | {others[-1]: "label"}
    if len(others) > 1 and others[0] == 0:
        names[0] = "id"
    several = len(scores) > 1
    names |= {place: f"score_{i}" if several else "score" for i, place in enumerate(scores)}
    return ",".join(names[place] for place in range(len(values)))


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", text) is not None


def _single(columns: Mapping[str, Column], name: str) -> Scores:
    return Scores((name,), None, columns[name].width is not None)


def _several(
    columns: Mapping[str, Column],
    path: str,
    scores: tuple[str, ...],
    inside: Callable[[str], Sequence[str]] | None,
) -> Scores:
    if len(scores) == 1 and scores[0] not in columns and re.search(r"[*?\[]", scores[0]):
        matching = [name for name in columns if fnmatch.fnmatchcase(name, scores[0])]
        if not matching and inside is not None:
            matching = _deep(scores[0].split("."), columns, inside)
        return _matching(columns, path, scores[0], tuple(matching))
    refuse_duplicates(scores, "--scores")
    names = tuple(find(name, columns, path, "--scores") for name in scores)
    if len(names) == 1:
        return _single(columns, names[0])
    return Scores(names, suffixes(names), rows=False)


def _deep(
    steps: Sequence[str], columns: Mapping[str, Column], inside: Callable[[str], Sequence[str]]
) -> list[str]:
    """Return the dotted names that match a pattern step by step."""
    found = [name for name in columns if fnmatch.fnmatchcase(name, steps[0])]
    for step in steps[1:]:
        plain = not re.search(r"[*?\[]", step)
        children = [(name, [step] if plain else inside(name)) for name in found]
        found = [
            f"{name}.{child}"
            for name, own in children
            for child in own
            if plain or fnmatch.fnmatchcase(child, step)
        ]
    return [name for name in found if name in columns]


def _matching(
    columns: Mapping[str, Column], path: str, pattern: str, names: tuple[str, ...]
) -> Scores:
    if not names:
        raise InputError(
            f"{show(path)} has no column that matches {pattern!r} (--scores)",
            hint=f"columns: {listing(columns)}",
            topic="scores",
        )
    if len(names) == 1:
        return _single(columns, names[0])
    head, star, tail = pattern.partition("*")
    if star and not re.search(r"[*?\[]", head + tail):
        classes = tuple(name[len(head) : len(name) - len(tail)] for name in names)
        return Scores(names, classes, rows=False)
    return Scores(names, suffixes(names), rows=False)


def suffixes(names: Sequence[str]) -> tuple[str, ...]:
    """Return what is left of column names after their common prefix, up to a separator.

    >>> suffixes(["prob_cat", "prob_dog"])
    ('cat', 'dog')
    >>> suffixes(["VF", "F"])
    ('VF', 'F')
    """
    common = os.path.commonprefix(list(names))  # noqa: RUF071, by character is what is meant
    cut = max(common.rfind(mark) for mark in _SEPARATORS) + 1
    left = tuple(name[cut:] for name in names)
    return left if all(left) else tuple(names)


def choose_label(
    columns: Mapping[str, Column], path: str, label: str | None, *, taken: Iterable[str] = ()
) -> tuple[str, ...]:
    """Choose the label column, or the K label columns of a multi-label table.

    `label` may name several columns (`a,b,c` or `'y_*'`). Returns () when there is none to choose
    by default.

    Raises:
        InputError: A named column does not exist, or several have a known name.
    """
    if label is None:
        left = columns.keys() - set(taken)
        named = usual((name for name in columns if name in left), LABELS)
        pairs = of_bigquery(columns)
        if pairs is not None:
            named = [pairs[1]]
        if len(named) > 1:
            raise InputError(
                f"{show(path)} has {len(named)} columns that may be the label: {listing(named)}",
                hint=f"name one: --label {named[0]}",
                topic="label",
            )
        return tuple(named)
    if label in columns:
        return (label,)
    if re.search(r"[*?\[]", label):
        names = tuple(name for name in columns if fnmatch.fnmatchcase(name, label))
        if names:
            return names
    if "," in label and all(name in columns for name in label.split(",")):
        return tuple(label.split(","))
    return (find(label, columns, path, "--label"),)
