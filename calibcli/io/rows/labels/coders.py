"""What a label means: from the values of a file to 0/1, or to the index of a class.

MISSING (-1), UNKNOWN (-2) and IGNORED (-3) mark what is no label.

Binary: {0, 1}, {-1, 1} and booleans are understood, as numbers or as text; with `--positive VALUE`
that value is 1 and every other is 0. Multi-class: names match first, then an integer 0..K-1 is the
index of a class; where a class name is itself written as an integer, labels are names only, so
that `--classes 1,2,3` never mixes with 0-based codes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.io.formats.buffers import BadValueError, Raw, primitive
from calibcli.io.rows.keys import Keys, as_text, is_missing_text, keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

MISSING = -1
UNKNOWN = -2
IGNORED = -3
_SHOWN = 10
_TRUE, _FALSE = "true", "false"
_WHOLE = re.compile(r"[+-]?[0-9]{1,4000}")
_CODE = re.compile(r"[+-]?0[0-9]")


@dataclass(slots=True)
class Seen:
    """What has been met so far; shared by threads, so it only ever grows."""

    negatives: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    positive: bool = False

    def add_unknown(self, text: str) -> None:
        """Remember an unknown value for a message, up to a few."""
        if len(self.unknown) <= _SHOWN:
            self.unknown.add(text)

    def merge(self, other: Seen) -> None:
        """Take in what another process has met."""
        self.negatives |= other.negatives
        self.positive = self.positive or other.positive
        for text in sorted(other.unknown):
            self.add_unknown(text)

    @property
    def mixed(self) -> bool:
        """Whether both -1 and 0 occurred as the negative label."""
        return len(self.negatives) > 1


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BinaryCoder:
    """Labels to 1 and 0 (int8).

    Attributes:
        positive: The label that means 1, if it is named; every other is then 0.
        ignore: The label that means that there is none.
    """

    positive: str | None = None
    ignore: str | None = None

    def encode(self, raw: Raw, seen: Seen) -> NDArray[np.int8]:
        """Return int8 (n,) codes of a column, or (n, K) of a matrix of labels."""
        if isinstance(raw, np.ndarray) and raw.ndim == 2:
            return self.encode(raw.reshape(-1), seen).reshape(raw.shape)
        if self.positive is None and self.ignore is None:
            fast = _zero_one(raw, seen)
            if fast is not None:
                return fast
        return _coded(keys(raw), lambda value: self._code(value, seen)).astype(np.int8)

    def _code(self, value: object, seen: Seen) -> int:
        text = as_text(value)
        if self.ignore is not None and same_value(value, self.ignore):
            return IGNORED
        if self.positive is not None:
            if same_value(value, self.positive):
                seen.positive = True
                return 1
            missing = value is None or (isinstance(value, str) and is_missing_text(value))
            if not missing:
                seen.add_unknown(text)
            return MISSING if missing else 0
        number = as_number(value)
        if number == 1:
            return 1
        if number in (0, -1):
            seen.negatives.add("0" if number == 0 else "-1")
            return 0
        if value is None or (isinstance(value, str) and is_missing_text(value)):
            return MISSING
        seen.add_unknown(text)
        return UNKNOWN


def _coded(found: Keys, code: Callable[[object], int]) -> NDArray[np.int64]:
    """Return the code of each row, by one look at each distinct value that a row has."""
    table = np.full(len(found.values) + 1, MISSING, dtype=np.int64)
    used = np.zeros(len(table), dtype=bool)
    used[found.codes] = True  # a dictionary may list values that no row has
    for i, value in enumerate(found.values):
        if used[i]:
            table[i] = code(value)
    codes: NDArray[np.int64] = table[found.codes]
    return codes


def _zero_one(raw: Raw, seen: Seen) -> NDArray[np.int8] | None:
    """Code integers and booleans without a look at each distinct value; None for anything else."""
    if isinstance(raw, Keys):
        return None
    if isinstance(raw, np.ndarray):
        values, valid = raw, None
    else:
        found = primitive(raw)
        if found is None:
            return None
        values, valid = found
    if valid is not None or values.dtype.kind not in "biuf" or values.size == 0:
        return None
    if values.dtype.kind == "f":  # 0.0 and 1.0, as pandas writes labels that once had a gap
        one = values == 1
        if not (one | (values == 0)).all():
            return None
        if not one.all():
            seen.negatives.add("0")
        ones: NDArray[np.int8] = one.view(np.int8)
        return ones
    if values.dtype.kind == "b":
        booleans: NDArray[np.int8] = values.view(np.int8)
        return booleans
    low, high = int(values.min()), int(values.max())
    if low < -1 or high > 1:
        return None
    if low == -1:
        if (values == 0).any():
            seen.negatives.add("0")
        seen.negatives.add("-1")
        coded: NDArray[np.int8] = (values == 1).astype(np.int8)
        return coded
    if low == 0:
        seen.negatives.add("0")
    codes: NDArray[np.int8] = values.astype(np.int8)
    return codes


def as_number(value: object) -> int | float | None:
    """Return the number that a label is, also as text (`1`, `1.0`, `true`); None if it is none.

    Whole numbers stay whole: a double cannot tell 2^53 from 2^53 + 1.
    """
    if isinstance(value, (bool, int, float)):
        return value
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text.lower() == _TRUE:
        return 1
    if text.lower() == _FALSE:
        return 0
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        return float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        return None


def same_value(value: object, wanted: str) -> bool:
    """Tell whether a label is the value that an option names: by its text, else as a number."""
    if value is None:
        return False
    if as_text(value) == wanted:
        return True
    if isinstance(value, bool):
        return as_number(wanted) == value
    if not _is_numeral(wanted) or (isinstance(value, str) and not _is_numeral(value)):
        return False
    return as_number(value) == as_number(wanted)


def _is_numeral(text: str) -> bool:
    """Whether a text is a number as numbers are written; 00123 is a code, and another than 123."""
    number = as_number(text)
    if number is None or number != number or text != text.strip():
        return False
    return not _CODE.match(text) and text.lower() not in (_TRUE, _FALSE)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ClassCoder:
    """Labels to class indices 0..K-1 (int64).

    Attributes:
        classes: Their names.
        columns: The names of their score columns, which labels may have too; () for none.
        ignore: The label that means that there is none.
    """

    classes: tuple[str, ...]
    columns: tuple[str, ...] = ()
    ignore: str | None = None

    @property
    def takes_codes(self) -> bool:
        """Whether an integer that is no class name is the index of a class."""
        return not any(re.fullmatch(r"[+-]?\d+", name) for name in self.classes)

    def encode(self, raw: Raw, seen: Seen) -> NDArray[np.int64]:
        """Return int64 (n,) class indices of a column."""
        k = len(self.classes)
        counted = self.classes == tuple(map(str, range(k)))
        values = None if isinstance(raw, Keys) else raw
        if values is not None and not isinstance(raw, np.ndarray):
            found = primitive(raw)
            values = found[0] if found is not None and found[1] is None else None
        if (
            values is not None
            and self.ignore is None
            and values.dtype.kind in "iu"
            and values.size
            and (counted or self.takes_codes)
            and 0 <= int(values.min())
            and int(values.max()) < k
        ):
            codes: NDArray[np.int64] = values.astype(np.int64)
            return codes
        names = {name: i for i, name in reversed(list(enumerate(self.columns)))}
        names |= {name: i for i, name in reversed(list(enumerate(self.classes)))}
        return _coded(keys(raw), lambda value: self._code(value, names, seen))

    def _code(self, value: object, names: dict[str, int], seen: Seen) -> int:
        text = as_text(value)
        if self.ignore is not None and same_value(value, self.ignore):
            return IGNORED
        if text in names:
            return names[text]
        if value is None or (isinstance(value, str) and is_missing_text(value)):
            return MISSING
        number = None if isinstance(value, bool) else as_number(value)
        if isinstance(value, str) and not _is_numeral(value):
            number = None
        if number is not None and number == number // 1:
            whole = str(int(number))
            if whole in names:
                return names[whole]
            if self.takes_codes and 0 <= number < len(self.classes):
                return int(number)
        seen.add_unknown(text)
        return UNKNOWN


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MatchCoder:
    """A true and a predicted class to 1 where they are the same (int8), else 0.

    Attributes:
        ignore: The label that means that there is none.
    """

    ignore: str | None = None

    def encode_pair(self, truth: Raw, predicted: Raw, seen: Seen) -> NDArray[np.int8]:
        """Return int8 (n,): classes are compared as texts, numbers as numbers (1.0 is 1)."""
        names: dict[str, int] = {}

        def code(value: object) -> int:
            if self.ignore is not None and same_value(value, self.ignore):
                return IGNORED
            if value is None or (isinstance(value, str) and is_missing_text(value)):
                return MISSING
            return names.setdefault(_name(value), len(names))

        a, b = _coded(keys(truth), code), _coded(keys(predicted), code)
        marked: NDArray[np.int64] = np.minimum(a, b)
        return np.where(marked < 0, marked, a == b).astype(np.int8)


def _name(value: object) -> str:
    """Return the text of a class: of a whole number that is written as 1.0 it is 1."""
    number = as_number(value)
    if (
        number is None
        or isinstance(value, bool)
        or (isinstance(value, str) and not _is_numeral(value))
    ):
        return as_text(value)
    return str(int(number)) if number == number // 1 else as_text(value)


def one_hot(codes: NDArray[Any]) -> NDArray[np.int64]:
    """Return the class indices (n,) of one-hot rows (n, K) of codes; a row of MISSING is MISSING.

    Raises:
        BadValueError: A row without exactly one 1.
    """
    found: NDArray[np.int64] = np.argmax(codes == 1, axis=1).astype(np.int64)
    lowest = codes.min(axis=1)
    found[lowest < 0] = lowest[lowest < 0]
    wrong = np.flatnonzero(((codes == 1).sum(axis=1) != 1) & (lowest >= 0))
    if wrong.size:
        raise BadValueError(
            "not one class per row",
            int(wrong[0]),
            int(wrong.size),
            "--task multilabel reads each column of labels by itself",
        )
    return found


def unknown_hint(coder: BinaryCoder | ClassCoder | MatchCoder, seen: Seen) -> str | None:
    """Say what to type about unknown labels; their values are shown only when they are few."""
    values = sorted(seen.unknown)
    few = len(values) <= _SHOWN and all(len(v) <= 40 and v.isprintable() for v in values)
    if isinstance(coder, ClassCoder):
        classes = ", ".join(coder.classes[:_SHOWN]) + (", …" if len(coder.classes) > _SHOWN else "")
        found = f"; found {', '.join(values)}" if few else ""
        if len(values) == 1 and re.fullmatch(r"-\d+|255", values[0]):
            found += f": --ignore-label {values[0]} if that is no label"
        return f"the classes are {classes} (from the score columns, or --classes a,b,c){found}"
    if not few:
        return "name the label column with --label, or the label that means 1 with --positive"
    numbers = [as_number(text) for text in values]
    if all(number is not None and 0 < number < 1 for number in numbers):
        return "labels between 0 and 1 are shares of votes: --votes 1 counts them so"
    marks = [text for text in values if not any(mark.isalnum() for mark in text)]
    also = f", and --ignore-label {_quoted(marks[0])} if that is no label" if marks else ""
    named = [f"--positive {_quoted(text)}" for text in values if text not in marks]
    return f"name the label that means 1: {' or '.join(named[:3] or ['--positive VALUE'])}{also}"


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w.+-]+", text) else "'" + text.replace("'", "'\\''") + "'"
