"""The rule of a thresholds artifact.

| rule | decisions |
| --- | --- |
| a cut-off, binary | bool (n,): score >= threshold |
| a cut-off, binary, with `refer=` | int (n,): 1, 0, or REFER (-2) within the band |
| cut-offs of labels, multi-label | bool (n, K), or int (n, K) with bands |
| cut-offs of classes, multi-class | int (n,): a class, or NONE (-1) |
| keep what is sure (`--abstain`) | int (n,): a class, or REFER (-2) |
| least expected cost (`--cost-matrix`) | int (n,): a class, or REFER (-2) |
| prediction sets (`--coverage`) | bool (n, K): which classes are in the set |
| regions (`--search min-area=…`) | of images: see `core.segmentation.regions.MaskRule` |
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from calibcli.core.decisions.rules import (
    ByGroup,
    ClassCuts,
    CostMatrix,
    Cut,
    Keep,
    LabelCuts,
    LeastCost,
    Rule,
)

CUT = "score >= threshold"
KEEP = "most probable class when its probability >= threshold, else refer"
SETS = "classes whose nonconformity <= quantile"
COSTS = "least expected cost"
REGIONS = "regions of score >= threshold"

Payload = dict[str, Any]


def rule_of(payload: Payload, *, exclusive: bool) -> Rule:
    """Return the rule of the payload of a thresholds artifact that decides about rows.

    `exclusive` tells that one of several classes is decided a row.
    """
    kind = payload.get("rule", CUT)
    if kind == SETS:
        from calibcli.core.decisions.conformal import ConformalSets

        return ConformalSets.from_dict(payload["sets"])
    if kind == COSTS:
        entry = payload["cost_matrix"]
        ratio = entry["prior_ratio"]
        return LeastCost(
            CostMatrix.from_rows(entry["costs"]),
            None if ratio is None else np.array(ratio, np.float64),
        )
    if kind == KEEP:
        return Keep(float(payload["abstain"]["threshold"]))
    return _cut_offs(payload, exclusive)


def group_column(payload: Payload) -> str | None:
    """Return the column of groups by which decisions differ, if they do."""
    sets = payload.get("rule") == SETS
    items = payload["sets"]["slices"] if sets else payload["thresholds"]
    wheres = [item["slice"] for item in items]
    return next((str(where["column"]) for where in wheres if where["kind"] == "group"), None)


def _cut_offs(payload: Payload, exclusive: bool) -> Rule:
    items, classes = payload["thresholds"], tuple(payload["classes"])
    column = group_column(payload)
    own = [item for item in items if item["slice"]["kind"] != "group"]
    rest = _of_one(own, classes, exclusive)
    if column is None:
        return rest
    by_value: dict[str, list[Payload]] = {}
    for item in items:
        if item["slice"]["kind"] == "group":
            by_value.setdefault(str(item["slice"]["value"]), []).append(item)
    rules = {value: _of_one(some, classes, exclusive) for value, some in by_value.items()}
    return ByGroup(column, rest, rules)


def _of_one(items: list[Payload], classes: tuple[str, ...], exclusive: bool) -> Rule:
    """Return the rule of the cut-offs of all rows, or of one group."""
    if not classes:
        cut = _cut(items[0])
        return Cut(math.inf) if cut is None else cut
    by_class = {item["slice"].get("class", item["slice"].get("name")): item for item in items}
    found = [by_class.get(name, {}) for name in classes]
    cuts = tuple(map(_cut, found))
    if not exclusive:
        return LabelCuts(cuts)
    thresholds = np.array([math.nan if cut is None else cut.threshold for cut in cuts])
    weights = [item.get("weight") for item in found]
    if any(weight is None for weight in weights):
        return ClassCuts(thresholds)
    return ClassCuts(thresholds, np.array(weights, np.float64))


def _cut(item: Payload) -> Cut | None:
    band = (item.get("cost") or {}).get("band")
    if band is not None:
        return Cut(float(band["high"]), float(band["low"]))
    value, logit = item.get("threshold"), item.get("logit")
    if value is None:
        return None
    return Cut(float(value), logit=None if logit is None else float(logit))
