"""Where the labels of a data set are and what they look like: from columns to codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from calibcli.errors import InputError
from calibcli.io.failures import listing, row_text, show
from calibcli.io.formats.buffers import ARRAY, BadValueError, Raw
from calibcli.io.formats.decode import numbers
from calibcli.io.rows.keys import Keys
from calibcli.io.rows.labels.coders import (
    IGNORED,
    MISSING,
    UNKNOWN,
    BinaryCoder,
    ClassCoder,
    MatchCoder,
    Seen,
    one_hot,
    unknown_hint,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from calibcli.io.rows.beside.view import View
    from calibcli.io.rows.place import Place

Form = Literal["value", "rows", "one-hot", "sets", "match", "votes"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Labelling:
    """The labels of a data set.

    Attributes:
        places: The label column; the K columns of labels or of a one-hot table; or the true and
            the predicted class.
        form: One value a row; a row of K values; such a row with a single 1; a list of the classes
            that hold; a prediction, which is right where it is the label; or votes for 1, of which
            the codes only say where they are.
        coder: From values to codes.
        width: K, or 1.
    """

    places: tuple[Place, ...]
    form: Form
    coder: BinaryCoder | ClassCoder | MatchCoder
    width: int

    def codes(self, view: View, seen: Seen) -> NDArray[Any]:
        """Return the labels of a frame; MISSING, UNKNOWN and IGNORED mark what is no label.

        int8 (n,) of 0 and 1 for binary, int64 (n,) class indices, or int8 (n, K).

        Raises:
            InputError: a value that can be no label, with its column, file and row.
        """
        codes = self._codes(view, seen)
        if view.unmatched is not None and any(place.side for place in self.places):
            codes[view.unmatched] = IGNORED
        return codes

    def _codes(self, view: View, seen: Seen) -> NDArray[Any]:
        if self.form == "match":
            return self._matches(view, seen)
        if self.form == "votes":
            return np.where(np.isnan(self.votes(view)), MISSING, 1).astype(np.int8)
        columns = []
        for place in self.places:
            with view.blame(place):
                columns.append(self.column(view.raw(place), seen))
        if self.form == "one-hot" and len(columns) > 1:
            with view.blame(self.places[0]):
                return one_hot(np.stack(columns, axis=1))
        if len(columns) > 1:
            return np.stack(columns, axis=1)
        return columns[0]

    def votes(self, view: View) -> NDArray[np.float64]:
        """Return how many have voted for 1 (n,); NaN where that is missing."""
        with view.blame(self.places[0]):
            return numbers(_unwrapped(view.raw(self.places[0]))).astype(np.float64)

    def column(self, raw: Raw, seen: Seen) -> NDArray[Any]:
        """Return the codes of one of the columns."""
        assert not isinstance(self.coder, MatchCoder)
        if self.form == "value":
            codes = self.coder.encode(_unwrapped(raw), seen)
            return codes if isinstance(self.coder, ClassCoder) else codes.astype(np.int8)
        if self.form == "sets":
            return self._sets(raw, seen)
        single = len(self.places) > 1
        if not single:
            raw = _matrix(raw, self.width)
        assert isinstance(self.coder, BinaryCoder)
        codes = self.coder.encode(raw, seen)
        if self.form == "rows":
            return codes if single or codes.ndim == 2 else codes.reshape(-1, 1)
        return codes if single else one_hot(codes)

    def _sets(self, raw: Raw, seen: Seen) -> NDArray[np.int8]:
        """Return 1 for each class in a row's list. An empty list is a row without any."""
        from calibcli.io.formats.nested import Lists

        assert isinstance(self.coder, ClassCoder)
        lists = Lists.of(raw)
        codes = np.zeros((len(lists.sizes), self.width), np.int8)
        row = np.repeat(np.arange(len(codes)), np.where(lists.present, lists.sizes, 0))
        flat = self.coder.encode(lists.flat(), seen)
        codes[row[flat >= 0], flat[flat >= 0]] = 1
        for bad in (MISSING, UNKNOWN):
            codes[row[flat == bad]] = bad
        codes[~lists.present] = MISSING
        return codes

    def _matches(self, view: View, seen: Seen) -> NDArray[np.int8]:
        raws = []
        for place in self.places:
            with view.blame(place):
                raws.append(_unwrapped(view.raw(place)))
        assert isinstance(self.coder, MatchCoder)
        return self.coder.encode_pair(raws[0], raws[1], seen)

    @property
    def name(self) -> str:
        """What messages call the labels."""
        names = [place.name for place in self.places if place.name != ARRAY]
        return f"column {listing(map(repr, names))}" if names else "the labels"

    def usable(self, codes: NDArray[Any], *, drop_invalid: bool) -> bool:
        """Whether no label is unknown, nor missing unless such rows may be left out."""
        if not codes.size or codes.min() >= 0:
            return True
        if (codes == UNKNOWN).any():
            return False
        return drop_invalid or not (codes == MISSING).any()

    def check_positive(self, seen: Seen, path: str) -> None:
        """Raise InputError where, after all rows, none had the label that is to mean 1."""
        positive = getattr(self.coder, "positive", None)
        if positive is None or seen.positive:
            return
        found = sorted(seen.unknown)
        few = len(found) <= 10 and all(len(text) <= 40 and text.isprintable() for text in found)
        raise InputError(
            f"{self.name} of {show(path)}: no row has the label {positive!r}",
            hint=f"--positive is one of {', '.join(found)}" if few and found else None,
            topic="values",
        )

    def left_out(self, codes: NDArray[Any]) -> tuple[NDArray[np.bool_] | None, int]:
        """Return which rows (n,) have no label, and how many of them have one to be ignored.

        A row of several labels stays where it has one. None where every row has a label.
        """
        if not codes.size or codes.min() >= 0:
            return None, 0
        rows = codes.reshape(len(codes), -1)
        none = np.asarray((rows < 0).all(axis=1))
        ignored = (rows == IGNORED).all(axis=1)
        return (none, int(ignored.sum())) if none.any() else (None, 0)


def _unwrapped(raw: Raw) -> Raw:
    """Return what lists of one value hold."""
    if isinstance(raw, (np.ndarray, Keys)) or not _holds_lists(raw):
        return raw
    from calibcli.io.formats.nested import Lists, inside

    lists = Lists.of(raw)
    long = np.flatnonzero(lists.present & (lists.sizes > 1))
    if long.size:
        size = int(lists.sizes[long[0]])
        raise BadValueError(f"a list of {size} labels", int(long[0]), int(long.size))
    return inside(raw, ("0",))


def _holds_lists(raw: Raw) -> bool:
    return str(raw.type).startswith(("list", "large_list", "fixed_size_list"))


def _matrix(raw: Raw, width: int) -> Raw:
    if isinstance(raw, (np.ndarray, Keys)) or not _holds_lists(raw):
        return raw
    from calibcli.io.formats.nested import matrix

    try:
        return matrix(raw, width)
    except BadValueError as error:
        problem = error.problem.replace("value", "label")
        raise BadValueError(problem, error.row, error.count, error.hint) from None


# -- labels that cannot be used --------------------------------------------------------------------


def mixed_labels(labelling: Labelling, path: str) -> InputError:
    """Return the error about three values, of which one may be no label."""
    return InputError(
        f"{labelling.name} of {show(path)}: the labels are -1, 0 and 1, which are three values",
        hint="which is no label? --ignore-label -1 leaves such rows out",
    )


def unusable_labels(
    labelling: Labelling,
    classes: int,
    bad: Iterable[tuple[int, int, str, int]],
    seen: Seen,
) -> InputError:
    """Describe bad labels: (kind, number, file, first row) of each frame that has some, in order.

    They are counted in the whole data set, so that it does not matter which part is read first.
    """
    counts = {MISSING: 0, UNKNOWN: 0}
    firsts: dict[int, tuple[str, int]] = {}
    for kind, number, path, row in bad:
        counts[kind] += number
        firsts.setdefault(kind, (path, row))
    kind = UNKNOWN if counts[UNKNOWN] else MISSING
    path, row = firsts[kind]
    total = counts[kind]
    rows = "row" if total == 1 else "rows"
    named = labelling.places[0].name != ARRAY
    what = f"{labelling.name} of {show(path)}" if named else show(path)
    where = f"{total:,} {rows}, the first is {row_text(row)}"
    if kind == MISSING:
        gone = "labels that are missing" if labelling.form in ("rows", "sets") else "such rows"
        hint = f"--drop-invalid leaves out {gone}"
        return InputError(f"{what}: a missing label in {where}", hint=hint)
    binary = isinstance(labelling.coder, BinaryCoder)
    known = "neither 0 nor 1" if binary else f"none of the {classes} classes"
    return InputError(
        f"{what}: a label that is {known} in {where}",
        hint=unknown_hint(labelling.coder, seen),
        topic="values",
    )
