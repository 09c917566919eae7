"""The table of features and kinds of scores as a page of docs."""

from __future__ import annotations

from calibcli.tasks.features import FEATURES, KINDS, REFUSALS, refusal

HEAD = """# What works for which scores

Every row is a feature, every column a kind of score file. "yes" acts; a number is a refusal with
exit code 2, whose reason is listed below and printed by the program. The table is made by
`python -m benchmarks.matrix` from the one table that the program reads
(`calibcli/tasks/features.py`), and a test tries each cell: the output is another one, or the reason
is printed.
"""
NOT_YET: frozenset[tuple[str, str]] = frozenset(
    {
        ("threshold --per-group", "boxes"),
    }
)
"""Cells that neither act nor are refused with their reason."""


def page() -> str:
    """Return the page."""
    reasons = {id(one): n for n, one in enumerate((r for rs in REFUSALS.values() for r in rs), 1)}
    lines = [HEAD, f"| feature | {' | '.join(KINDS.values())} |", f"| --- |{' --- |' * len(KINDS)}"]
    acts = dict.fromkeys(KINDS, 0)
    for feature in FEATURES:
        cells = []
        for kind in KINDS:
            found = refusal(feature, kind)
            if (feature, kind) in NOT_YET:
                cells.append("not yet")
            elif found is None:
                cells.append("yes")
                acts[kind] += 1
            else:
                cells.append(str(reasons[id(found)]))
        lines.append(f"| `{feature}` | {' | '.join(cells)} |")
    counts = " | ".join(f"{n} of {len(FEATURES)}" for n in acts.values())
    lines += [f"| acts | {counts} |", ""]
    lines.append(
        f"{sum(acts.values())} of {len(FEATURES) * len(KINDS)} act. What is refused, and why:\n"
    )
    for n, (feature, one) in enumerate(
        ((feature, one) for feature, rs in REFUSALS.items() for one in rs), 1
    ):
        lines.append(f"{n}. `{feature}`: {one.reason}. Instead: {one.hint}.")
    return "\n".join(lines) + "\n"
