"""`threshold`: choose the cut-off, over every distinct score."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from calibcli.errors import AnswerNoError, InputError
from calibcli.io.formats.sources import expand
from calibcli.workflows.input.gather import holds_stats
from calibcli.workflows.input.loaded import load_calibrator
from calibcli.workflows.input.loaded_cuts import CUT
from calibcli.workflows.input.overlap import found_overlap, watch_of
from calibcli.workflows.input.warnings import calibrator_warnings
from calibcli.workflows.threshold.by_group import (
    check_task,
    equal_slices,
    in_groups,
    members,
    pairs_of,
)
from calibcli.workflows.threshold.choosing import DRAWS, Chosen, Refused, choose_slice
from calibcli.workflows.threshold.class_cuts import gather_cuts
from calibcli.workflows.threshold.outcome import keep, outcome, spoilt, void
from calibcli.workflows.threshold.wish import Wish

if TYPE_CHECKING:
    from calibcli.core.decisions.thresholds import Curve
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gather import Gathered, Progress, Slice

__all__ = ["Wish", "threshold"]

Result = dict[str, Any]
MOST_RESAMPLED = 100
"""Slices up to which each cut-off gets an interval: resampling thousands takes minutes."""


def threshold(
    spec: InputSpec,
    conventions: Conventions,
    wish: Wish,
    *,
    calibrator: str | None = None,
    output: str | None = None,
    candidates: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Choose the cut-off of a binary score, or one for each class against the rest.

    Args:
        spec: what to read; what each cut-off does in `spec.groups` is shown.
        conventions: the level of the intervals.
        wish: what to achieve.
        calibrator: path of a calibrator to apply first.
        output: path of the thresholds artifact.
        candidates: path of a CSV of every candidate.
        threads: how many threads read.
        progress: called with the number of rows read so far.

    Raises:
        AnswerNoError: no cut-off meets the constraints; nothing is written.
        InputError: unusable input, one label only.
        UsageError: options that do not fit the input, or each other.
    """
    loaded = None if calibrator is None else load_calibrator(calibrator)
    shown = spec.groups
    if wish.per_group is not None and not saved(spec):
        spec = replace(spec, groups=tuple(dict.fromkeys((*shown, wish.per_group))))
    watch = watch_of(loaded)
    found = gather_cuts(
        spec,
        conventions,
        wish,
        calibrator=None if loaded is None else loaded.calibrator,
        threads=threads,
        progress=progress,
        watch=watch,
    )
    check_task(found.task, wish)
    warnings = list(found.warnings)
    if loaded is not None:
        warnings += [
            warning.replace("figures after it are", "the cut-off is chosen")
            for warning in calibrator_warnings(loaded, found, spec, found_overlap(loaded, watch))
        ]
    slices = [found.overall] if found.task == "binary" else found.class_slices
    more: Result = {}
    if wish.per_group is not None:
        own = members(found, wish.per_group)
        rest, said = _chosen(slices, found, conventions, wish)
        if wish.equal is None:
            parts, also = _chosen(own, found, conventions, wish)
            said = list(dict.fromkeys([*said, *also]))
        else:
            parts, more["equal"] = equal_slices(own, conventions, wish)
        chosen = rest + parts
    else:
        chosen, said = _chosen(slices, found, conventions, wish)
    warnings += said
    items = [one.item for one in chosen]
    if found.groups:
        columns = set(shown) or {str(one.where["column"]) for one in found.groups}
        columns -= {wish.per_group or ""} - set(shown)
        seen = [one for one in found.groups if one.where["column"] in columns]
        more["groups"], said = in_groups(seen, items[: len(slices)], conventions, wish, found.task)
        warnings += said
    kind = "empirical" if wish.guarantee is None else "certified"
    if kind == "certified" and spoilt(warnings):
        kind = "empirical"
        warnings.append(void("the guarantee"))
    result = outcome(
        inputs=found.inputs,
        params={
            **found.params,
            "confidence": conventions.confidence,
            "seed": conventions.seed,
            "prior": _plain(wish.prior),
            "calibrator": calibrator,
            "guarantee": wish.guarantee,
            "per_group": wish.per_group,
            "equal": wish.equal,
        },
        task=found.task,
        objective=wish.objective.name,
        constraints=[str(constraint) for constraint in wish.constraints],
        kind=kind,
        thresholds=items,
        warnings=warnings,
        **more,
    )
    if candidates is not None:
        _write_candidates(candidates, [(one.item["slice"], one.curve) for one in chosen], wish)
    keep(output, result, found.classes, CUT, loaded)
    return result


def saved(spec: InputSpec) -> bool:
    """Return whether the input is saved statistics; standard input is taken for scores."""
    return "-" not in spec.paths and holds_stats(expand(spec.paths, spec.input_format))


def _plain(prior: tuple[float, ...] | None) -> float | list[float] | None:
    return prior if prior is None else prior[0] if len(prior) == 1 else list(prior)


def _chosen(
    slices: list[Slice], found: Gathered, conventions: Conventions, wish: Wish
) -> tuple[list[Chosen], list[str]]:
    """Choose a cut-off in each slice; a class of one label gets none.

    Raises:
        AnswerNoError: a slice in which the constraints cannot be met.
        InputError: no slice with both labels.
    """
    chosen: list[Chosen] = []
    warnings: list[str] = []
    refused: list[tuple[str, Refused]] = []
    empty: list[str] = []
    draws = DRAWS if len(slices) <= MOST_RESAMPLED else 0
    classes = slices[0].where["kind"] == "class"
    for place, one in enumerate(slices):
        name = _name(one.where)
        stats = pairs_of(one)
        if classes and not (stats.positives and stats.negatives):
            empty.append(str(one.where["name"]))
            chosen.append(_nothing(one.where, stats))
            continue
        made = choose_slice(
            one.where,
            stats,
            conventions,
            wish,
            prior=wish.prior_of(found.task, place if classes else 0, found.classes),
            clustered=bool(found.params.get("cluster")),
            draws=draws,
        )
        if isinstance(made, Refused):
            refused.append((name, made))
            continue
        chosen.append(made)
        warnings += [f"{name}{text}" for text in made.warnings]
    if len(empty) == len(slices):
        raise InputError(
            "no class has both labels: there is nothing to choose",
            "give held-out rows of several classes",
        )
    if refused:
        raise _refusal(refused, len(slices))
    if empty:
        named = ", ".join(map(repr, empty[:5])) + (" …" if len(empty) > 5 else "")
        warnings.append(
            f"{len(empty)} of {len(slices)} classes have one label only and get no cut-off, so "
            f"they are never decided for: {named}"
        )
    if not draws and conventions.confidence is not None:
        warnings.append(f"no intervals of cut-offs: more than {MOST_RESAMPLED} slices")
    if wish.guarantee is not None and len(slices) > 1:
        warnings.append(
            f"each of {len(slices)} cut-offs keeps its promise with confidence "
            f"{wish.guarantee:g}; that all keep theirs at once is not promised"
        )
    return chosen, warnings


def _name(where: Result) -> str:
    if where["kind"] == "class":
        return f"class {where['name']!r}: "
    return f"{where['column']}={where['value']}: " if where["kind"] == "group" else ""


def _nothing(where: Result, stats: Any) -> Chosen:
    from calibcli.core.decisions.thresholds import Curve

    item = {"slice": where, "threshold": None, "n": stats.n, "reason": "one label only"}
    return Chosen(item, Curve.from_cells(stats.floor, stats.pos, stats.neg))


def _refusal(refused: list[tuple[str, Refused]], slices: int) -> AnswerNoError | InputError:
    """Return the error for slices without a cut-off: the first, and how many there are."""
    name, first = next((one for one in refused if one[1].unreachable), refused[0])
    more = f" (and {len(refused) - 1} of {slices} more)" if len(refused) > 1 else ""
    if first.unreachable:
        return AnswerNoError(f"{name}{first.reason}{more}", first.hint)
    return InputError(f"{name}{first.reason}{more}", first.hint)


def _write_candidates(path: str, curves: list[tuple[Result, Curve]], wish: Wish) -> None:
    """Write the whole curve: counts, rates and the objective at every candidate."""
    import csv
    from io import StringIO

    from calibcli.core.decisions.objectives import FIGURES
    from calibcli.io.output.sink import write_atomic

    rates = {name: FIGURES[name] for name in ("precision", "recall", "fpr")}
    rates[wish.objective.name] = wish.objective.function
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["slice", "threshold", "tp", "fp", "fn", "tn", *rates])
    for where, curve in curves:
        name = where.get("name") or where.get("value") or "overall"
        columns = [curve.threshold, curve.tp, curve.fp, curve.fn, curve.tn]
        columns += [curve.figure(function) for function in rates.values()]
        lists = [["" if v != v else v for v in c.tolist()] for c in columns]
        writer.writerows([name, *row] for row in zip(*lists, strict=True))
    write_atomic(path, out.getvalue())
