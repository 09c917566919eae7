"""Binary calibrators on several classes: each class against the rest, then renormalised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from calibcli.core.calibrators.classes.row_scores import finite_rows, one_vs_rest_logits, raised
from calibcli.core.calibrators.evidence import FloatArray
from calibcli.core.calibrators.identity import Identity
from calibcli.core.calibrators.registry import calibrator_from_dict
from calibcli.core.calibrators.types import CLASSES, Calibrator, Space, Takes
from calibcli.core.numeric.scales import expit, softmax
from calibcli.core.statistics.counting.tally import Tally
from calibcli.core.statistics.keys import logit_keys
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.calibrators.classes.rows import Deal, RowBatch, RowSource


TIE = 1e-9
"""Relative lead of the class with the highest score among those whose probabilities are equal."""


@dataclass(frozen=True, slots=True)
class OneVsRest(Calibrator):
    """One binary calibrator a class.

    Attributes:
        calibrators: K of them, in class order.
        normalize: True where the classes exclude each other: rows are divided by their sum, and
            a row whose sum is 0 keeps its uncalibrated probabilities. Where maps with steps give
            the most probable classes one probability, the scores decide between them. False
            where each column is a problem of its own: `apply` then takes binary logits.
        floor: logits of a row below it are read as it (see `RowSource.floor`), or None.
    """

    calibrators: tuple[Calibrator, ...]
    normalize: bool = True
    floor: float | None = None
    notes: tuple[str, ...] = ()

    method: ClassVar[str] = "one-vs-rest"
    space: ClassVar[Space] = "logit"
    takes: ClassVar[Takes] = CLASSES
    free_form: ClassVar[bool] = False
    complexity: ClassVar[int] = 9

    @property
    def at_bound(self) -> bool:
        """Whether the fit of a class ended at a bound."""
        return any(one.at_bound for one in self.calibrators)

    def by_column(self, columns: int) -> tuple[Calibrator, ...]:
        """Return the map of each column, of labels that do not exclude each other."""
        if columns != len(self.calibrators):
            raise InputError(
                f"{columns} score columns, but the calibrator was fitted on "
                f"{len(self.calibrators)} classes"
            )
        return () if self.normalize else self.calibrators

    @classmethod
    def fit(
        cls,
        classes: Sequence[ScoreStats],
        fit_one: Callable[[ScoreStats], Calibrator],
        *,
        normalize: bool = True,
        floor: float | None = None,
        names: Sequence[str] | None = None,
    ) -> Self:
        """Fit each class's pairs (its probability, whether it is the label).

        A class without rows of both kinds keeps its scores, and a note says so.

        Args:
            classes: pairs of each class, in class order.
            fit_one: for example `Isotonic.fit`.
            normalize: see the class.
            floor: what `class_stats` was given.
            names: class names for the notes; default their indices.
        """
        fitted: list[Calibrator] = []
        notes: list[str] = []
        for index, stats in enumerate(classes):
            name = str(index) if names is None else names[index]
            if stats.positives > 0 and stats.negatives > 0:
                one = fit_one(stats)
                notes += [f"class {name}: {note}" for note in one.notes]
                fitted.append(one)
            else:
                notes.append(f"class {name} has rows of one label only: its scores are kept")
                fitted.append(Identity())
        return cls(tuple(fitted), normalize, floor, tuple(notes))

    def apply(self, x: FloatArray) -> FloatArray:
        """Return probabilities (n, K) of rows of logits or log-probabilities (n, K).

        Raises:
            InputError: when K is not the number of calibrators.
        """
        x = np.asarray(x, dtype=np.float64)
        self.by_column(x.shape[-1])
        odds = one_vs_rest_logits(raised(finite_rows(x), self.floor)) if self.normalize else x
        p = np.empty(x.shape, dtype=np.float64)
        for k, one in enumerate(self.calibrators):
            column = odds[:, k]
            p[:, k] = one.apply(column if one.space == "logit" else expit(column))
        if not self.normalize:
            return p
        _untied(p, odds)
        total = p.sum(axis=1, keepdims=True)
        lost = total[:, 0] == 0.0
        p /= np.where(total > 0.0, total, 1.0)
        if lost.any():
            p[lost] = softmax(finite_rows(x[lost]))
        return p

    @property
    def has_logits(self) -> bool:
        """Where each label is mapped by itself, by maps that all have them."""
        return not self.normalize and all(one.has_logits for one in self.calibrators)

    def logits(self, x: FloatArray) -> FloatArray:
        """Return calibrated logits (n, K) of logits (n, K), label by label."""
        columns = zip(self.calibrators, np.asarray(x, dtype=np.float64).T, strict=True)
        return np.stack([one.logits(column) for one, column in columns], axis=1)

    def mix(self, old: Calibrator, new: Calibrator, step: float) -> Calibrator | None:
        """Return, class by class, what lies between two."""
        if not isinstance(old, OneVsRest) or not isinstance(new, OneVsRest):
            return None
        if old.normalize != new.normalize or len(old.calibrators) != len(new.calibrators):
            return None
        pairs = zip(old.calibrators, new.calibrators, strict=True)
        steps = [before.toward(after, step) for before, after in pairs]
        maps = tuple(one for one in steps if one is not None)
        if len(maps) < len(steps):
            return None
        return OneVsRest(maps, new.normalize, new.floor, new.notes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "method": self.method,
            "normalize": self.normalize,
            "floor": self.floor,
            "calibrators": [one.to_dict() for one in self.calibrators],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the calibrator that `to_dict` wrote."""
        parts = tuple(calibrator_from_dict(one) for one in payload["calibrators"])
        floor = None if payload["floor"] is None else float(payload["floor"])
        return cls(parts, bool(payload["normalize"]), floor, tuple(payload["notes"]))


def _untied(p: FloatArray, odds: FloatArray) -> None:
    """Raise, of the most probable classes that are equal, that of the highest score by 1e-9."""
    tied = p == p.max(axis=1, keepdims=True)
    rows = np.flatnonzero(np.count_nonzero(tied, axis=1) > 1)
    first = np.where(tied[rows], odds[rows], -np.inf).argmax(axis=1)
    p[rows, first] *= 1.0 + TIE


def class_stats(rows: RowSource, folds: Deal) -> list[list[ScoreStats]]:
    """Return the pairs (probability of the class, is it the label) by fold and class.

    One pass. Pairs are collapsed from `one_vs_rest_logits`, which is what `OneVsRest.apply`
    reads, so a score is the same number at fit and at apply. Index as `[fold][class]`.
    """
    found = rows.scan(_Pairs(rows.n_classes, folds, rows.floor))
    size = int(folds.max()) + 1
    return [[ScoreStats.from_tally(tally, fold) for tally in found.read] for fold in range(size)]


class _Pairs:
    """The pairs of each class against the rest, by fold."""

    def __init__(self, n_classes: int, folds: Deal, floor: float | None) -> None:
        self.n_classes, self.folds, self.floor = n_classes, folds, floor
        self.tallies: list[Tally] = []

    @property
    def read(self) -> list[Tally]:
        if not self.tallies:
            self._begin(weighted=False)
        return self.tallies

    def _begin(self, *, weighted: bool) -> None:
        options: dict[str, Any] = {"logits": True, "weighted": weighted}
        size = int(self.folds.max()) + 1
        self.tallies = [Tally(size, **options) for _ in range(self.n_classes)]

    def fresh(self) -> _Pairs:
        return _Pairs(self.n_classes, self.folds, self.floor)

    def add(self, rows: RowBatch) -> None:
        if not self.tallies:
            self._begin(weighted=rows.weight is not None and not rows.counts)
        odds = np.concatenate(
            [one_vs_rest_logits(raised(block.z, self.floor)) for block in rows.blocks()]
        )
        slot = self.folds[np.asarray(rows.bucket)]
        weight: NDArray[Any] | None = rows.weight
        if weight is not None and rows.counts:
            weight = weight.astype(np.int64)
        for k, tally in enumerate(self.tallies):
            tally.add(logit_keys(odds[:, k]), rows.label == k, slot, weight)

    def merge(self, other: _Pairs) -> None:
        if not self.tallies:
            self.tallies = other.tallies
            return
        for mine, theirs in zip(self.tallies, other.tallies, strict=False):
            mine.merge(theirs)
