"""`apply --prior`: the prevalence where the scores are used, given, or estimated from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.cells import probability_keys
from calibcli.core.prior import estimate, estimate_rows, odds_factor, shifted, shifted_rows
from calibcli.core.stats import ScoreStats
from calibcli.core.tally import Tally
from calibcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from calibcli.core.prior import Estimate
    from calibcli.workflows.loaded import LoadedCalibrator

    Array = NDArray[np.float64]
    Mass = NDArray[Any] | None

Result = dict[str, Any]
ESTIMATE = ("em", "estimate")
MOST_NUMBERS = 1 << 22
"""Rows of several classes are thinned to this many numbers before EM."""


@dataclass(frozen=True, slots=True)
class Shift:
    """From the calibrator's prevalence to another.

    Attributes:
        classes: names of the classes; () for binary.
        old: (1,) prevalence of label 1, or (K,) of each class; `new` likewise.
        found: how the new one was estimated, or None where it was given.
    """

    classes: tuple[str, ...]
    old: Array
    new: Array
    found: Estimate | None = None

    def apply(self, p: Array) -> Array:
        """Return shifted probabilities (n,) or (n, K)."""
        if self.classes:
            return shifted_rows(p, self.old, self.new)
        old, new = float(self.old[0]), float(self.new[0])
        if new in (0.0, 1.0):
            return np.full(p.shape, new)
        return shifted(p, old, new)

    def to_dict(self) -> Result:
        """Return plain JSON types: one entry for label 1, or one for each class."""
        rows = []
        for k, name in enumerate(self.classes or ("",)):
            row: Result = {"class": name} if name else {}
            row |= {"from": float(self.old[k]), "to": float(self.new[k])}
            if self.found is not None:
                effective = float(self.found.effective[k])
                row |= {"low": float(self.found.low[k]), "high": float(self.found.high[k])}
                row["as_sure_as_labelled_rows"] = effective if np.isfinite(effective) else None
            rows.append(row)
        method = "given" if self.found is None else "maximum likelihood (EM), label shift"
        return {"method": method, "prevalences": rows}

    def words(self) -> str:
        """Return the new prevalence in words, and how sure it is."""
        said = []
        for row in self.to_dict()["prevalences"]:
            text = f"{row['class']} " if "class" in row else ""
            text += f"{row['to']:.4g}"
            if "low" in row:
                text += f" [{row['low']:.4g}, {row['high']:.4g}]"
            said.append(f"{text} (was {row['from']:.4g})")
        return ", ".join(said)

    def caution(self) -> list[str]:
        """Return what an estimate rests on; nothing of a prevalence that was given."""
        if self.found is None:
            return []
        told = (
            "the prevalence was estimated: its 95% interval is the sampling error of these rows "
            "alone, and it holds only where the calibrator does but for the prevalence"
        )
        return [told]


def old_prevalence(loaded: LoadedCalibrator) -> Array:
    """Return the prevalence of label 1 (1,), or of each class (K,), where it was fitted.

    Raises:
        InputError: the artifact does not tell, or one label was absent.
        UsageError: each label is a problem of its own.
    """
    payload = loaded.payload
    if loaded.task == "multilabel":
        raise UsageError(
            "--prior is for binary scores or classes that exclude each other",
            "apply it to one label at a time",
        )
    if not loaded.classes:
        metrics = (payload.get("before") or {}).get("metrics") or {}
        value = (metrics.get("prevalence") or {}).get("value")
        found = np.array([np.nan if value is None else value], dtype=np.float64)
    else:
        families = (payload.get("stats") or {}).get("classes") or []
        parts = [ScoreStats.from_dict(one) for one in families]
        found = np.array([one.positives / one.n for one in parts], dtype=np.float64)
        if len(found) != len(loaded.classes):
            found = np.full(1, np.nan)
    if not np.isfinite(found).all() or (len(found) == 1 and not 0.0 < found[0] < 1.0):
        raise InputError(
            "the calibrator does not tell the prevalence that it was fitted at",
            "fit it again: calibcli fit SCORES -o FILE",
        )
    return found


def given_prevalence(text: str, classes: tuple[str, ...]) -> Array:
    """Read --prior: one number, or one for each class.

    Raises:
        UsageError: no prevalences.
    """
    size = len(classes) or 1
    try:
        values = np.array([float(part) for part in text.split(",")])
    except ValueError:
        values = np.full(0, np.nan)
    if not classes and len(values) == 1 and 0.0 < values[0] < 1.0:
        return values
    if classes and len(values) == size and (values >= 0).all() and abs(values.sum() - 1) <= 1e-6:
        normal: Array = values / values.sum()
        return normal
    if classes:
        raise UsageError(
            f"--prior {text!r} is not {size} prevalences that sum to 1",
            "one a class, in class order, or --prior em to estimate them",
        )
    raise UsageError(
        f"--prior {text!r} is no prevalence between 0 and 1",
        "for example --prior 0.1, or --prior em to estimate it",
    )


def odds_ratio(loaded: LoadedCalibrator, text: str) -> float:
    """Return what --prior multiplies the odds of label 1 by.

    Raises:
        UsageError: an estimate, which needs scores; no prevalence.
    """
    if text in ESTIMATE:
        raise UsageError(
            "--emit reads no scores to estimate a prevalence from", "give it: --prior 0.1"
        )
    new = given_prevalence(text, ())
    return odds_factor(float(old_prevalence(loaded)[0]), float(new[0]))


def shift_of(
    loaded: LoadedCalibrator, text: str, calibrated: Iterable[tuple[Array, Mass]]
) -> Shift:
    """Return the shift that --prior asks for.

    Args:
        loaded: the calibrator.
        text: prevalences, or "em".
        calibrated: batches of calibrated probabilities and the rows' weights or counts; read only
            where the prevalence is to be estimated.

    Raises:
        InputError: a calibrator that does not tell its own prevalence.
        UsageError: no prevalences.
    """
    if text not in ESTIMATE:
        new = given_prevalence(text, loaded.classes)
        return Shift(loaded.classes, old_prevalence(loaded), new)
    old = old_prevalence(loaded)
    if loaded.classes:
        found = estimate_rows(*_thinned(calibrated), old)
    else:
        found = estimate(*_collapsed(calibrated), float(old[0]))
    return Shift(loaded.classes, old, found.value, found)


def _collapsed(calibrated: Iterable[tuple[Array, Mass]]) -> tuple[Array, Array]:
    """Return (probability, mass) of cells: memory does not grow with the rows."""
    tally: Tally | None = None
    for p, mass in calibrated:
        if tally is None:
            weighted = mass is not None and mass.dtype.kind == "f"
            tally = Tally(weighted=weighted)
        tally.add(probability_keys(p), np.zeros(len(p), bool), None, mass)
    if tally is None:
        raise InputError("no rows to estimate a prevalence from")
    stats = ScoreStats.from_tally(tally, 0)
    return stats.score, np.asarray(stats.total, dtype=np.float64)


def _thinned(calibrated: Iterable[tuple[Array, Mass]]) -> tuple[Array, Array]:
    """Return (rows, mass), every 2^k-th row where all would be too many numbers."""
    stride, seen = 1, 0
    kept: list[tuple[Array, Array]] = []
    for p, mass in calibrated:
        weight = np.ones(len(p)) if mass is None else mass.astype(np.float64)
        rows = (seen + np.arange(len(p))) % stride == 0
        seen += len(p)
        kept.append((p[rows], weight[rows]))
        while sum(one.size for one, _ in kept) > MOST_NUMBERS:
            whole = np.concatenate([one for one, _ in kept]), np.concatenate([w for _, w in kept])
            kept = [(whole[0][::2], whole[1][::2])]
            stride *= 2
    if not kept:
        raise InputError("no rows to estimate a prevalence from")
    rows_, weights = np.concatenate([one for one, _ in kept]), np.concatenate([w for _, w in kept])
    # Thinned rows stand for those between them, which tell nothing more here: no mass is added.
    return rows_, weights
