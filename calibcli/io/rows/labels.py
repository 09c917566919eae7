"""What a label means: from the values of a file to 0/1, or to the index of a class.

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
    from numpy.typing import NDArray

MISSING = -1
UNKNOWN = -2
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
    """Labels to 1 and 0 (int8); MISSING (-1) and UNKNOWN (-2) mark what is neither."""

    positive: str | None = None

    def encode(self, raw: Raw, seen: Seen) -> NDArray[np.int8]:
        """Return int8 (n,) codes of a column, or (n, K) of a matrix of labels."""
        if isinstance(raw, np.ndarray) and raw.ndim == 2:
            return self.encode(raw.reshape(-1), seen).reshape(raw.shape)
        if self.positive is None:
            fast = _zero_one(raw, seen)
            if fast is not None:
                return fast
        found = keys(raw)
        table = np.full(len(found.values) + 1, MISSING, dtype=np.int8)
        used = np.zeros(len(table), dtype=bool)
        used[found.codes] = True  # a dictionary may list values that no row has
        for i, value in enumerate(found.values):
            if used[i]:
                table[i] = self._code(value, seen)
        return table[found.codes]

    def _code(self, value: object, seen: Seen) -> int:
        text = as_text(value)
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
    """Labels to class indices 0..K-1 (int64); MISSING (-1) and UNKNOWN (-2) mark the others."""

    classes: tuple[str, ...]

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
            and values.dtype.kind in "iu"
            and values.size
            and (counted or self.takes_codes)
            and 0 <= int(values.min())
            and int(values.max()) < k
        ):
            codes: NDArray[np.int64] = values.astype(np.int64)
            return codes
        names = {name: i for i, name in reversed(list(enumerate(self.classes)))}
        found_keys = keys(raw)
        table = np.full(len(found_keys.values) + 1, MISSING, dtype=np.int64)
        used = np.zeros(len(table), dtype=bool)
        used[found_keys.codes] = True
        for i, value in enumerate(found_keys.values):
            if used[i]:
                table[i] = self._code(value, names, seen)
        return table[found_keys.codes]

    def _code(self, value: object, names: dict[str, int], seen: Seen) -> int:
        text = as_text(value)
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


def one_hot(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return the class indices of one-hot rows (n, K).

    Raises:
        BadValueError: A row without exactly one 1.
    """
    wrong = np.flatnonzero((labels == 1).sum(axis=1) != 1)
    if wrong.size:
        raise BadValueError(
            "not one class per row (--task multilabel for several)", int(wrong[0]), int(wrong.size)
        )
    found: NDArray[np.int64] = np.argmax(labels == 1, axis=1).astype(np.int64)
    return found


def unknown_hint(coder: BinaryCoder | ClassCoder, seen: Seen) -> str | None:
    """Say what to type about unknown labels; their values are shown only when they are few."""
    values = sorted(seen.unknown)
    few = len(values) <= _SHOWN and all(len(v) <= 40 and v.isprintable() for v in values)
    if isinstance(coder, ClassCoder):
        classes = ", ".join(coder.classes[:_SHOWN]) + (", …" if len(coder.classes) > _SHOWN else "")
        found = f"; found {', '.join(values)}" if few else ""
        return f"the classes are {classes} (from the score columns, or --classes a,b,c){found}"
    if not few:
        return "name the label column with --label, or the label that means 1 with --positive"
    both = [f"--positive {_quoted(v)}" for v in values[:3]]
    return f"name the label that means 1: {' or '.join(both)}"


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w.+-]+", text) else "'" + text.replace("'", "'\\''") + "'"
