"""Thresholds in use: decisions from the JSON, with NumPy alone.

| rule of the artifact | decision |
| --- | --- |
| a cut-off, binary | bool (n,): score >= threshold |
| a cut-off, binary, with `refer=` | int (n,): 1, 0, or REFER (-2) within the band |
| cut-offs of labels, multi-label | bool (n, K), or int (n, K) with bands |
| cut-offs of classes, multi-class | int (n,): a class, or NONE (-1) |
| keep what is sure (`--abstain`) | int (n,): a class, or REFER (-2) |
| least expected cost (`--cost-matrix`) | int (n,): a class, or REFER (-2) |
| prediction sets (`--coverage`) | bool (n, K): which classes are in the set |
| regions (`--search min-area=…`) | refused: rows have no regions, `apply` reads images |
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.rules import REFER, CostMatrix, decide_band, decide_classes
from calibcli.errors import InputError
from calibcli.io.artifacts.artifacts import read_artifact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from calibcli.core.decisions.conformal import ConformalSets

CUT = "score >= threshold"
KEEP = "most probable class when its probability >= threshold, else refer"
SETS = "classes whose nonconformity <= quantile"
COSTS = "least expected cost"
REGIONS = "regions of score >= threshold"


@dataclass(frozen=True, slots=True)
class LoadedThresholds:
    """Thresholds from their JSON.

    Attributes:
        task: the task they were chosen for.
        classes: names of the classes; () for binary.
        values: one threshold, or one for each class; NaN for a class that got none. Empty where
            decisions do not come from cut-offs.
        calibrated: whether they apply to calibrated probabilities.
        payload: the whole artifact.
        by_group: the thresholds, or quantiles of sets, of the values of `group`.
    """

    task: str
    classes: tuple[str, ...]
    values: NDArray[np.float64]
    calibrated: bool
    payload: dict[str, Any]
    by_group: dict[str, float] = field(default_factory=dict)

    @property
    def rule(self) -> str:
        """How decisions are made, as it stands in the artifact."""
        return str(self.payload.get("rule", CUT))

    @property
    def group(self) -> str | None:
        """The column of groups that decisions need, if they need one."""
        if self.rule == SETS:
            wheres = [one["slice"] for one in self.payload["sets"]["slices"]]
        else:
            wheres = [one["slice"] for one in self.payload["thresholds"]]
        return next((str(w["column"]) for w in wheres if w["kind"] == "group"), None)

    @property
    def refers(self) -> bool:
        """Whether some rows may be referred (REFER) rather than decided."""
        if self.rule == KEEP:
            return True
        if self.rule == COSTS:
            return bool(self.payload["cost_matrix"]["refers"])
        return self.rule == CUT and any(map(_band, self.payload["thresholds"]))

    def decide(
        self,
        scores: ArrayLike,
        groups: Sequence[Any] | None = None,
        *,
        logits: bool | None = None,
    ) -> NDArray[Any]:
        """Return one decision a row; see the table at the head of this module.

        Args:
            scores: (n,), or (n, K) for several classes: what the thresholds were chosen on, which
                is the calibrator's output where there was one.
            groups: (n,) the value of the column `group`, where thresholds differ by group. A
                value that was not there when choosing gets the threshold of all rows, and a
                prediction set of every class.
            logits: whether the scores are logits; default what the thresholds were chosen on.

        Raises:
            InputError: scores of another shape, NaN, no groups where they are needed.
        """
        codes, values = None, None
        if groups is not None:
            named, codes = np.unique(
                np.array([str(g) for g in groups], object), return_inverse=True
            )
            values = [str(name) for name in named]
        return self.decide_coded(scores, codes, values, logits=logits)

    def decide_coded(
        self,
        scores: ArrayLike,
        codes: NDArray[np.integer[Any]] | None = None,
        values: Sequence[str] | None = None,
        *,
        logits: bool | None = None,
    ) -> NDArray[Any]:
        """Decide as `decide` does, with groups as codes (n,) into `values`."""
        p = self._probabilities(scores, logits)
        if self.rule == REGIONS:
            raise InputError(
                "these thresholds filter regions of images, and rows have none",
                "calibcli apply CALIBRATOR STACK --task segmentation --thresholds FILE",
            )
        if self.group is not None and (codes is None or values is None):
            raise InputError(
                f"these thresholds differ by {self.group!r}, and no groups are given",
                "decide(scores, groups)",
            )
        if self.rule == SETS:
            return self._in_set(p, codes, values)
        if self.rule == COSTS:
            entry = self.payload["cost_matrix"]
            ratio = entry["prior_ratio"]
            prior = None if ratio is None else np.array(ratio, np.float64)
            return CostMatrix.from_rows(entry["costs"]).decide(_two(p), prior=prior)
        if self.rule == KEEP:
            return _kept(p, float(self.payload["abstain"]["threshold"]))
        return self._cut(p, codes, values)

    def _probabilities(self, scores: ArrayLike, logits: bool | None) -> NDArray[np.float64]:
        given = np.asarray(scores)
        binary = self.task == "binary"
        if given.ndim != (1 if binary else 2) or (
            not binary and given.shape[1] != len(self.classes)
        ):
            wanted = "(n,)" if binary else f"(n, {len(self.classes)})"
            raise InputError(f"scores of shape {given.shape}, where {wanted} is needed")
        p = given.astype(np.float64)
        if p.size and np.isnan(p.min()):
            raise InputError("the scores hold NaN")
        kind = logits
        if kind is None:
            kind = bool(self.payload.get("params", {}).get("logits")) and not self.calibrated
        if not kind:
            return p
        from calibcli.core.calibrators.rowmath import finite_rows
        from calibcli.core.numeric.scales import expit, softmax

        return softmax(finite_rows(p)) if self.task == "multiclass" else expit(p)

    def _cut(
        self,
        p: NDArray[np.float64],
        codes: NDArray[np.integer[Any]] | None,
        values: Sequence[str] | None,
    ) -> NDArray[Any]:
        bands = [_band(one) for one in self.payload["thresholds"]]
        if self.task == "multiclass":
            return decide_classes(p, self.values)
        if self.task == "multilabel":
            if not any(bands):
                return np.asarray(p >= self.values)
            pairs = zip(bands, self.values.tolist(), strict=True)
            low, high = np.array([(v, v) if band is None else band for band, v in pairs]).T
            return np.where(p >= high, 1, np.where((p < low) | np.isnan(low), 0, REFER))
        if self.group is None or codes is None or values is None:
            if bands[0] is not None:
                return decide_band(p, *bands[0])
            return np.asarray(p >= self.values[0])
        of_group = {
            str(one["slice"]["value"]): one
            for one in self.payload["thresholds"]
            if one["slice"]["kind"] == "group"
        }
        items = [of_group.get(value, self.payload["thresholds"][0]) for value in values]
        if not any(bands):
            return np.asarray(p >= np.array([one["threshold"] for one in items])[codes])
        ends = np.array([_band(one) or (one["threshold"],) * 2 for one in items], np.float64)
        low, high = ends[codes].T
        return np.where(p >= high, 1, np.where(p < low, 0, REFER))

    def _in_set(
        self,
        p: NDArray[np.float64],
        codes: NDArray[np.integer[Any]] | None,
        values: Sequence[str] | None,
    ) -> NDArray[np.bool_]:
        sets = _sets(self.payload["sets"])
        if self.group is None or codes is None or values is None:
            return sets.sets(_two(p))
        return sets.sets(_two(p), np.array(list(values), object)[codes])


def load_thresholds(path: str) -> LoadedThresholds:
    """Read thresholds.

    Raises:
        InputError: no such artifact, or one that this version cannot read.
    """
    payload = read_artifact(path, "thresholds")
    task, classes = payload["task"], tuple(payload["classes"])
    items = payload["thresholds"]
    by_group: dict[str, float] = {}
    if task == "binary":
        classes = ()
        found = [one["threshold"] for one in items if one["slice"]["kind"] == "overall"][:1]
        by_group = {
            str(one["slice"]["value"]): float(one["threshold"])
            for one in items
            if one["slice"]["kind"] == "group"
        }
    else:
        named = {one["slice"].get("name"): one["threshold"] for one in items}
        found = [named.get(name) for name in classes] if items else []
    if payload.get("rule") == SETS:
        by_group = {
            str(one["slice"]["value"]): math.inf if one["quantile"] is None else one["quantile"]
            for one in (payload.get("sets") or {}).get("slices", [])
            if one["slice"]["kind"] == "group"
        }
    values = np.array([math.nan if v is None else v for v in found], dtype=np.float64)
    loaded = LoadedThresholds(task, classes, values, bool(payload["calibrated"]), payload, by_group)
    _check(path, loaded)
    return loaded


def _check(path: str, loaded: LoadedThresholds) -> None:
    """Raise InputError for an artifact whose rule lacks what it decides by."""
    wanted = {SETS: "sets", COSTS: "cost_matrix", KEEP: "abstain"}.get(loaded.rule, "thresholds")
    if not loaded.payload.get(wanted):
        raise InputError(
            f"{path} has the rule {loaded.rule!r}, but no {wanted}",
            "choose again: calibcli threshold SCORES -o FILE",
        )


def _band(item: dict[str, Any]) -> tuple[float, float] | None:
    band = (item.get("cost") or {}).get("band")
    return None if band is None else (float(band["low"]), float(band["high"]))


def _two(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities of both classes of a binary score."""
    return np.stack([1.0 - p, p], axis=1) if p.ndim == 1 else p


def _kept(p: NDArray[np.float64], at: float) -> NDArray[np.int64]:
    if p.ndim == 1:
        best = (p >= 0.5).astype(np.int64)
        sure = np.maximum(p, 1.0 - p)
    else:
        best = p.argmax(axis=1).astype(np.int64)
        sure = p.max(axis=1)
    return np.where(sure >= at, best, REFER)


def _sets(entry: dict[str, Any]) -> ConformalSets:
    from calibcli.core.decisions.conformal import ConformalSets

    names = ("method", "coverage", "classes", "by", "quantiles", "rows", "penalty", "free_rank")
    return ConformalSets.from_dict({name: entry[name] for name in names})
