"""The table of features and kinds of scores as a page of docs."""

from __future__ import annotations

from calibcli.tasks.features import FEATURES, FURTHER, KINDS, REFUSALS, refusal

COLUMNS = KINDS | FURTHER

HEAD = """# What works for which scores

Every row is a feature, every column a kind of score file. "yes" acts; a number is a refusal with
exit code 2, whose reason is listed below and printed by the program. The table is made by
`python -m benchmarks.matrix` from the one table that the program reads
(`calibcli/tasks/features.py`), and a test tries each cell: the output is another one, or the reason
is printed.
"""
NOT_YET: frozenset[tuple[str, str]] = frozenset()
"""Cells that neither act nor are refused with their reason."""


def page() -> str:
    """Return the page."""
    told: dict[tuple[str, str], list[str]] = {}  # a reason is listed once, with all it is of
    for feature, found in REFUSALS.items():
        for one in found:
            told.setdefault((one.reason, one.hint), []).append(f"`{feature}`")
    numbers = {reason: n for n, reason in enumerate(told, 1)}
    lines = [
        HEAD,
        f"| feature | {' | '.join(COLUMNS.values())} |",
        f"| --- |{' --- |' * len(COLUMNS)}",
    ]
    acts = dict.fromkeys(COLUMNS, 0)
    for feature in FEATURES:
        cells = []
        for kind in COLUMNS:
            why = refusal(feature, kind)
            if (feature, kind) in NOT_YET:
                cells.append("not yet")
            elif why is None:
                cells.append("yes")
                acts[kind] += 1
            else:
                cells.append(str(numbers[why.reason, why.hint]))
        lines.append(f"| `{feature}` | {' | '.join(cells)} |")
    counts = " | ".join(f"{n} of {len(FEATURES)}" for n in acts.values())
    lines += [f"| acts | {counts} |", ""]
    lines.append(
        f"{sum(acts.values())} of {len(FEATURES) * len(COLUMNS)} act. What is refused, and why:\n"
    )
    for (reason, hint), features in told.items():
        n = numbers[reason, hint]
        lines.append(f"{n}. {', '.join(features)}: {reason}. Instead: {hint}.")
    return "\n".join(lines) + "\n"
