"""What chosen cut-offs do on the rows of a report, beside what they did when they were chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from calibcli.render.tables import choices, decisions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calibcli.render.tables.layout import Table

    Result = Mapping[str, Any]


def measured(report: Result) -> list[dict[str, Any]]:
    """Return the chosen cut-offs with the counts of the report's own rows, as far as it has them.

    A cut-off of calibrated probabilities is looked up after calibration, where it was measured.
    """
    chosen = report.get("thresholds") or {}
    found = []
    for item in chosen.get("thresholds") or []:
        part = _part(report["measure"], item.get("slice") or {})
        if part is not None and chosen.get("calibrated", False):
            part = part.get("calibrated")
        for table in (part or {}).get("confusion") or []:
            if table["threshold"] == item["threshold"]:
                rows = sum(table[key] or 0 for key in ("tp", "fp", "fn", "tn"))
                found.append(
                    {
                        "slice": item.get("slice") or {},
                        "threshold": item["threshold"],
                        "n": rows,
                        "confusion": table,
                    }
                )
                break
    return found


def tables(report: Result) -> list[Table]:
    """Return the cut-offs on these rows, then what was seen when they were chosen."""
    chosen = report["thresholds"]
    here = measured(report)
    made = []
    now = decisions.thresholds_table(
        {"thresholds": here, "params": report["measure"].get("params") or {}}
    )
    if now:
        made.append(replace(now, caption="On the rows of this report: score >= threshold"))
    then = decisions.thresholds_table(chosen)
    if then:
        made.append(replace(then, caption="On the rows that it was chosen on"))
    others = [decisions.costs_table(chosen), *choices.tables(chosen)]
    made += [replace(one, caption=f"{one.caption} (when chosen)") for one in others if one]
    return made


def _part(measure: Result, where: Result) -> Result | None:
    kind = where.get("kind", "overall")
    if kind == "overall":
        overall: Result = measure["overall"]
        return overall
    if kind == "class":
        return next(
            (p for p in measure.get("classes") or [] if p["slice"].get("name") == where["name"]),
            None,
        )
    return None
