"""Chosen cut-offs of raw scores in the unit of the scores, as they are printed and stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calibcli.core.numeric.raw_scale import RawScale

Result = dict[str, Any]


def in_raw_unit(result: Result, scale: RawScale) -> Result:
    """Return a threshold result of the logits that raw scores became, in the unit of the scores.

    The intervals of the cut-offs are in it already.
    """
    cuts = {one["threshold"]: scale.cut(one["logit"]) for one in result["thresholds"]}

    def shown(item: Result) -> Result:
        table, at = item["confusion"], cuts[item["threshold"]]
        found = {name: value for name, value in item.items() if name != "logit"}
        return found | {"threshold": at, "confusion": {**table, "threshold": at}}

    found = {**result, "thresholds": [shown(one) for one in result["thresholds"]]}
    if "groups" in result:
        found["groups"] = [shown(one) for one in result["groups"]]
    return found
