"""`apply --prior`: the prevalence where the scores are used, given, or estimated from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import structs

from calibcli.core.calibrators import CALIBRATORS, Identity
from calibcli.core.comparison.prior import estimate_rows, odds_factor, shifted, shifted_rows
from calibcli.core.numeric.scales import logit
from calibcli.core.numeric.special import norm_ppf
from calibcli.core.results.base import UNSET, Record, UnsetType, field, plain
from calibcli.core.results.warning import Warning
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.core.statistics.counting.tally import Tally
from calibcli.core.statistics.keys import logit_keys, probability_keys
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import InputError, UsageError
from calibcli.io.artifacts.stats import stats_from_dict
from calibcli.tasks.features import kind_of, refuse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from calibcli.core.comparison.label_shift import Mixture
    from calibcli.core.comparison.prior import Estimate
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator

    Array = NDArray[np.float64]
    Mass = NDArray[Any] | None

Result = dict[str, Any]
ESTIMATE = ("em", "estimate")
SURE = 0.001
"""Chance below which a departure from label shift is told: large samples always depart a little."""
MOST_NUMBERS = 1 << 22
"""Rows of several classes are thinned to this many numbers before EM."""


class ShiftedClass(Record, frozen=True, kw_only=True):
    """A prevalence that is changed: of label 1, or of a class; with its interval if estimated."""

    name: str | None = field(default=None, name="class")
    was: float = field(name="from")
    to: float
    low: float | None = None
    high: float | None = None
    as_sure_as_labelled_rows: float | UnsetType | None = UNSET


@dataclass(frozen=True, slots=True)
class Shift:
    """From the calibrator's prevalence to another.

    Attributes:
        classes: names of the classes; () for binary.
        old: (1,) prevalence of label 1, or (K,) of each class; `new` likewise.
        found: how the new one was estimated, or None where it was given.
        knows: what its interval holds beside the sampling error of independent rows.
        mixture: the test of label shift, where there is one.
    """

    classes: tuple[str, ...]
    old: Array
    new: Array
    found: Estimate | None = None
    knows: tuple[str, ...] = ()
    mixture: Mixture | None = None

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
        method = "given" if self.found is None else "maximum likelihood (EM), label shift"
        result: Result = {"method": method, "prevalences": plain(self.rows())}
        if self.found is not None:
            result["interval_holds"] = ["sampling", *self.knows]
        if self.mixture is not None:
            test = self.mixture
            result["label_shift"] = {"statistic": test.statistic, "df": test.df, "p": test.p}
        return result

    def rows(self) -> list[ShiftedClass]:
        """Return the prevalence of label 1, or of each class."""
        rows = []
        for k, name in enumerate(self.classes or (None,)):
            row = ShiftedClass(name=name, was=float(self.old[k]), to=float(self.new[k]))
            if self.found is not None:
                effective = float(self.found.effective[k])
                row = structs.replace(
                    row,
                    low=float(self.found.low[k]),
                    high=float(self.found.high[k]),
                    as_sure_as_labelled_rows=effective if np.isfinite(effective) else None,
                )
            rows.append(row)
        return rows

    def words(self) -> str:
        """Return the new prevalence in words, and how sure it is."""
        said = []
        for row in self.rows():
            text = "" if row.name is None else f"{row.name} "
            text += f"{row.to:.4g}"
            if row.low is not None:
                text += f" [{row.low:.4g}, {row.high:.4g}]"
            said.append(f"{text} (was {row.was:.4g})")
        return ", ".join(said)

    def caution(self) -> list[Warning]:
        """Return what an estimate rests on; nothing of a prevalence that was given."""
        if self.found is None:
            return []
        lacks = [] if "calibrator" in self.knows else ["the calibrator's own error"]
        lacks += [] if "clusters" in self.knows else ["clusters of rows (--cluster)"]
        told = ["the prevalence was estimated, as if nothing else had changed since the fit"]
        if lacks:
            told[0] += f"; its 95% interval does not know {' and '.join(lacks)}"
        if self.mixture is not None and self.mixture.p < SURE:
            told.append(
                "more than the prevalence has changed: these scores are no mixture of the two "
                f"labels' scores at the fit (p {_small(self.mixture.p)}), so the estimate may be "
                "far off"
            )
        return [Warning("prior", text) for text in told]


def _small(p: float) -> str:
    return f"{p:.2g}" if p >= 1e-6 else "below 1e-6"


def old_prevalence(loaded: LoadedCalibrator) -> Array:
    """Return the prevalence of label 1 (1,), or of each class (K,), where it was fitted.

    Raises:
        InputError: the artifact does not tell, or one label was absent.
        UsageError: each label is a problem of its own.
    """
    stored = loaded.stored
    refuse("apply --prior", kind_of(loaded.task))
    if not loaded.classes:
        value = stored.before.value("prevalence")
        found = np.array([np.nan if value is None else value], dtype=np.float64)
    else:
        families = (stored.stats or {}).get("classes") or []
        parts = [stats_from_dict(one) for one in families]
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


@dataclass(frozen=True, slots=True)
class Sample:
    """Unlabelled rows of a batch.

    Attributes:
        scores: (n,) or (n, K) as they were read.
        p: (n,) or (n, K) calibrated.
        mass: (n,) weights or counts, or None.
        bucket: (n,) bucket of the row's cluster, or None where rows are independent.
    """

    scores: NDArray[Any]
    p: Array
    mass: Mass
    bucket: NDArray[np.int64] | None


def shift_of(
    loaded: LoadedCalibrator, text: str, samples: Iterable[Sample], *, logits: bool
) -> Shift:
    """Return the shift that --prior asks for.

    Args:
        loaded: the calibrator.
        text: prevalences, or "em".
        samples: the rows; read only where the prevalence is to be estimated.
        logits: whether their scores are logits.

    Raises:
        InputError: a calibrator that does not tell its own prevalence.
        UsageError: no prevalences.
    """
    if text not in ESTIMATE:
        new = given_prevalence(text, loaded.classes)
        return Shift(loaded.classes, old_prevalence(loaded), new)
    old = old_prevalence(loaded)
    if loaded.classes:
        found = estimate_rows(*_thinned((one.p, one.mass) for one in samples), old)
        return Shift(loaded.classes, old, found.value, found)
    return _estimated(loaded, samples, old, logits=logits)


def _estimated(
    loaded: LoadedCalibrator, samples: Iterable[Sample], old: Array, *, logits: bool
) -> Shift:
    """Estimate a binary prevalence; from raw scores where the calibrator is a map of them alone."""
    from calibcli.core.comparison.label_shift import map_error, mixture, prevalence

    plain = loaded.calibrator.method in CALIBRATORS
    current = _collapsed(samples, raw=plain, logits=logits and plain)
    calibrator = loaded.calibrator if plain else Identity()
    knows = ("clusters",) if current.parts is not None else ()
    error = test = None
    payload = (loaded.stored.stats or {}).get("pairs")
    if plain and payload is not None:
        reference = stats_from_dict(payload)
        if reference.logits == current.logits:
            error = map_error(calibrator, reference, current, _widths(loaded))
            test = mixture(reference, current)
    if error is not None:
        knows = (*knows, "calibrator")
    found = prevalence(calibrator, current, float(old[0]), error=error or 0.0)
    return Shift((), old, found.value, found, knows, test)


def _widths(loaded: LoadedCalibrator) -> tuple[Array, Array] | None:
    """Return scores and the standard deviation of the map's logit there, if it knows clusters."""
    params, known = loaded.stored.params, [one for one in loaded.stored.map if one.low is not None]
    level = params.confidence
    if not params.cluster or not known or not level:
        return None
    points = np.array([(one.score, one.low, one.high) for one in known], np.float64)
    score, low, high = points.T
    return score, (logit(high) - logit(low)) / 2.0 / norm_ppf((1.0 + level) / 2.0)


def _collapsed(samples: Iterable[Sample], *, raw: bool, logits: bool) -> ScoreStats:
    """Return the rows by cell, every label 0: memory does not grow with them."""
    tally = parts = None
    for one in samples:
        values = one.scores if raw else one.p
        key = logit_keys(values) if logits else probability_keys(np.clip(values, 0.0, 1.0))
        if tally is None:
            weighted = one.mass is not None and one.mass.dtype.kind == "f"
            tally = Tally(weighted=weighted, logits=logits)
            if one.bucket is not None:
                parts = Tally(BUCKETS, weighted=weighted, logits=logits)
        none = np.zeros(len(key), bool)
        tally.add(key, none, None, one.mass)
        if parts is not None:
            parts.add(key, none, one.bucket, one.mass)
    if tally is None:
        raise InputError("no rows to estimate a prevalence from")
    return ScoreStats.from_tally(tally, 0, parts)


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
