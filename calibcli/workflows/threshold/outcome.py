"""The result of `threshold` and its artifact, whatever kind of decision it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from msgspec import structs

from calibcli._version import __version__
from calibcli.core.results.base import plain
from calibcli.core.results.warning import Warning, any_of, warned
from calibcli.io.artifacts.artifacts import write_artifact
from calibcli.tasks.families import compact_stats
from calibcli.workflows.input.gated import place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.numeric.raw_scale import RawScale
    from calibcli.core.results.threshold import CutOff, GroupCut
    from calibcli.tasks.population import Population
    from calibcli.workflows.input.gated import Gated
    from calibcli.workflows.input.gathered import Gathered
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator

    Cut = TypeVar("Cut", CutOff, GroupCut)

Result = dict[str, Any]

_DECISIONS = ("equal", "abstain", "sets", "cost_matrix", "regions", "trade_off")
"""Keys of a result that an artifact needs to decide, and what a report draws of a search; other
curves and tables stay in the result."""


_SHOWN = frozenset({"curve", "counts"})
STATS_CELLS = 200
"""Cells of the scores that are kept with cut-offs."""
GROUP_CELLS, FEWEST_CELLS = 2000, 40
"""Cells of the statistics of all groups beside cut-offs together, and of each at least."""


def outcome(
    *,
    inputs: list[Result],
    params: Result,
    task: str,
    kind: str,
    objective: str | None = None,
    constraints: list[str] | None = None,
    thresholds: Sequence[CutOff] = (),
    warnings: list[Warning],
    **more: Any,
) -> Result:
    """Return a threshold result; `more` comes before the warnings."""
    result = {
        "schema": "calibcli/threshold",
        "version": 1,
        "calibcli": __version__,
        "inputs": inputs,
        "params": params,
        "task": task,
        "objective": objective,
        "constraints": constraints or [],
        "kind": kind,
        "thresholds": thresholds,
        **more,
        **warned(warnings),
    }
    return cast(Result, plain(result))


def keep(
    output: str | Gated | None,
    result: Result,
    classes: tuple[str, ...],
    rule: str,
    loaded: LoadedCalibrator | None,
    stats: Result | None = None,
    by_group: dict[str, Result] | None = None,
) -> None:
    """Write the artifact of a result, where a path is given and no gate holds it back.

    Raises:
        UsageError: a gate that cannot be evaluated.
    """
    path = place(output, result)
    if path is not None:
        write_artifact(
            path, "thresholds", artifact_of(result, classes, rule, loaded, stats, by_group)
        )


def artifact_of(
    result: Result,
    classes: tuple[str, ...],
    rule: str,
    loaded: LoadedCalibrator | None,
    stats: Result | None = None,
    by_group: dict[str, Result] | None = None,
) -> Result:
    """Return the artifact of a result; `stats` are the scores that it was chosen on.

    `by_group` are those of each group that has a cut-off of its own.
    """
    return {
        "calibcli": __version__,
        "task": result["task"],
        "classes": list(classes),
        "rule": rule,
        "kind": result["kind"],
        "objective": result["objective"],
        "constraints": result["constraints"],
        "calibrated": loaded is not None,
        "calibrator": None if loaded is None else loaded.stored.digest,
        "thresholds": result["thresholds"],
        **{
            key: {k: v for k, v in result[key].items() if k not in _SHOWN}
            for key in _DECISIONS
            if key in result
        },
        "rows": sum(one["rows"] or 0 for one in result["inputs"]),
        "inputs": result["inputs"],
        "params": result["params"],
        **({} if stats is None else {"stats": stats}),
        **({"group_stats": by_group} if by_group else {}),
        "warnings": result["warnings"],
    }


def cut_stats(population: Population) -> Result:
    """Return the scores as an artifact of cut-offs keeps them, to tell a shift by."""
    return compact_stats(population, cells=STATS_CELLS)


def group_stats(found: Gathered, column: str | None) -> dict[str, Result]:
    """Return the scores of each group that has a cut-off of its own, as an artifact keeps them."""
    own = [one for one in found.groups if one.column == column]
    cells = max(GROUP_CELLS // max(len(own), 1), FEWEST_CELLS)
    return {one.value: compact_stats(one.population, cells) for one in own}


def kind_promised(
    kind: str, warnings: list[Warning], promise: str = "the guarantee", *, given: bool = True
) -> str:
    """Return the kind of a result that promises something, unless its rows were fitted on.

    Args:
        kind: of the result if the promise holds.
        warnings: what is to be said so far; that the promise is void is added.
        promise: what is promised, in words.
        given: whether anything is.
    """
    if not given:
        return "empirical"
    if any_of(warnings, "in-sample"):
        warnings.append(_void(promise))
        return "empirical"
    return kind


def _void(promise: str) -> Warning:
    """Return the warning about a promise that does not hold."""
    text = (
        f"{promise} does not hold: the calibrator was fitted on these rows; "
        "give rows that neither the model nor the calibrator has seen"
    )
    return Warning("void", text)


def in_raw_unit(shown: Sequence[Cut], chosen: Sequence[CutOff], scale: RawScale) -> list[Cut]:
    """Return cut-offs of the logits that raw scores became, in the unit of the scores.

    Those of groups are among the `chosen` ones, which have logits. The intervals of the cut-offs
    are in the unit already.
    """
    cuts = {one.threshold: scale.cut(one.logit) for one in chosen if one.logit is not None}
    found = []
    for one in shown:
        at = cuts[one.threshold]
        assert one.confusion is not None
        table = structs.replace(one.confusion, threshold=at)
        own = structs.replace(one, threshold=at, confusion=table)
        found.append(structs.replace(own, logit=None) if hasattr(own, "logit") else own)
    return found
