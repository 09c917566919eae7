"""`threshold`: choose the cut-off, over every distinct score."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from msgspec import structs

from calibcli.core.decisions.stored import CUT, rule_of_cuts
from calibcli.core.results.warning import Warning
from calibcli.io.task import OfTask, Task
from calibcli.tasks.collect import Counts
from calibcli.tasks.families import STATS_CLASSES
from calibcli.tasks.features import kind_of, refuse
from calibcli.workflows.input.asked import Asked
from calibcli.workflows.input.passes import RowPass
from calibcli.workflows.measure.decided.counted import counted_cells, counted_rows
from calibcli.workflows.measure.decided.judged import decision_result
from calibcli.workflows.threshold.beside import worse_than_plain
from calibcli.workflows.threshold.by_group import check_task, equal_slices, in_groups, members
from calibcli.workflows.threshold.classes.cuts import gather_cuts
from calibcli.workflows.threshold.classes.row_sets import chosen_of_rows
from calibcli.workflows.threshold.outcome import (
    cut_stats,
    group_stats,
    in_raw_unit,
    keep,
    kind_promised,
    outcome,
)
from calibcli.workflows.threshold.promised import evenly_kept, units_of_slices
from calibcli.workflows.threshold.slices import (
    Parts,
    chosen_for_every_group,
    chosen_of_classes,
    chosen_of_labels,
    chosen_of_slices,
    named_slices,
)
from calibcli.workflows.threshold.wish import Wish

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from calibcli.core.decisions.rules import Rule
    from calibcli.core.numeric.raw_scale import RawScale
    from calibcli.core.results.threshold import CutOff
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.workflows.input.asked import Options
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gated import Gated
    from calibcli.workflows.input.gather import Opened
    from calibcli.workflows.input.gathered import Gathered
    from calibcli.workflows.measure.decided.counted import CountedRule
    from calibcli.workflows.threshold.choosing import Chosen

__all__ = ["Wish", "threshold"]

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Input(OfTask):
    """What was read: rows to pass over, or populations that were counted."""

    task: str
    classes: tuple[str, ...]
    inputs: list[Result]
    params: Result
    warnings: list[Warning] = field(default_factory=list)
    rows: RowPass | None = None
    found: Gathered | None = None

    @classmethod
    def of_rows(cls, rows: RowPass) -> _Input:
        """Return what a pass is over, after the first scan."""
        return cls(
            rows.dataset.task,
            rows.dataset.classes,
            rows.dataset.inputs,
            rows.params(),
            list(rows.warnings),
            rows,
        )


def threshold(
    spec: InputSpec,
    conventions: Conventions,
    wish: Wish,
    *,
    output: str | Gated | None = None,
    candidates: str | None = None,
    per_class: bool = False,
    **options: Unpack[Options],
) -> Result:
    """Choose the cut-off of a binary score, or one for each class or label.

    Cut-offs of classes that exclude each other are chosen, and judged, on the decisions of all of
    them together.

    Args:
        spec: what to read; what the decisions are in `spec.groups` is shown.
        conventions: the level of the intervals.
        wish: what to achieve.
        output: path of the thresholds artifact.
        candidates: path of a CSV of every candidate.
        per_class: whether several classes are asked for, which get a cut-off each anyway.
        options: see `Options`.

    Raises:
        AnswerNoError: no cut-off meets the constraints; nothing is written.
        InputError: unusable input, one label only.
        UsageError: options that do not fit the input, or each other.
    """
    asked = Asked.of(spec, conventions, options)
    found = choose_cuts(asked, wish, per_class=per_class)
    stats = found.stats, found.group_stats
    keep(output, found.result, found.classes, CUT, asked.loaded, *stats)
    if candidates is not None:
        scale = found.scale if asked.loaded is None else None
        _write_candidates(candidates, found.chosen, wish, scale)
    return found.result


@dataclass(frozen=True, slots=True)
class Cuts:
    """Cut-offs: the result, what is behind it, and the classes that it is about.

    `cuts` are those of the result, of raw scores as they are keyed; `stats` the scores before the
    calibrator, as an artifact keeps them, where they were counted by themselves, `group_stats`
    those of each group that has a cut-off.
    """

    result: Result
    cuts: Sequence[CutOff]
    classes: tuple[str, ...]
    chosen: list[Chosen]
    stats: Result | None
    scale: RawScale | None = None
    group_stats: dict[str, Result] | None = None

    @property
    def rule(self) -> Rule:
        """What decides by them."""
        exclusive = Task(self.result["task"]).exclusive
        return rule_of_cuts(self.cuts, self.classes, exclusive=exclusive)


def choose_cuts(
    asked: Asked, wish: Wish, *, opened: Opened | None = None, per_class: bool = False
) -> Cuts:
    """Choose as `threshold` does, and write nothing.

    Args:
        asked: what to read, and after which calibrator.
        wish: what to achieve.
        opened: the input where it has been opened before.
        per_class: whether several classes are asked for.
    """
    conventions, shown = asked.conventions, asked.spec.groups
    asked = replace(asked, spec=with_groups(asked.spec, wish))
    if opened is None:
        opened = asked.open()
    dataset = opened[0]
    rows = None
    if asked.loaded is None and dataset is not None:
        wish = replace(wish, scale=dataset.raw_scale)
    if dataset is None:
        asked = replace(asked, spec=replace(asked.spec, groups=shown))
    else:
        if wish.within is not None:
            shown = tuple(dict.fromkeys((*shown, wish.within)))
        if per_class:
            refuse("threshold --per-class", kind_of(dataset.task, dataset.medium))
        check_task(dataset, wish)
        rows = RowPass.over(dataset, asked)
    stats, by_group = None, None
    if rows is not None and rows.dataset.exclusive:
        few = len(rows.dataset.classes) <= STATS_CLASSES
        plain = Counts(replace(rows.layout, groups=(), clustered=False, intervals=False))
        rows.beside += [plain] if few else []
        parts = chosen_of_classes(rows, conventions, wish)
        read = _Input.of_rows(rows)
        stats = cut_stats(plain.before.population()) if few else None
    else:
        found = gather_cuts(asked, wish, opened)
        check_task(found, wish)
        warnings = [*found.warnings, *asked.warnings(found, "the cut-off is chosen")]
        read = _Input(found.task, found.classes, found.inputs, found.params, warnings, rows, found)
        parts = _of_populations(found, conventions, wish, rows)
        if not found.exclusive and found.overall.population.pairs.n:
            stats = cut_stats(found.overall.population)
        by_group = group_stats(found, wish.per_group)
    items = [one.item for one in parts.chosen]
    read.warnings.extend(parts.warnings)
    counts = _counted(read, items, shown, wish)
    more: Result = dict(parts.more)
    crossed, folds = more.pop("cross_fitted", None), more.pop("folds", None)
    decision = decision_result(
        counts.counts, read.classes, conventions.confidence, plain=counts.plain
    )
    more["decision"] = structs.replace(decision, cross_fitted=crossed)
    read.warnings.extend(worse_than_plain(counts, wish, folds))
    if counts.groups:
        kept = replace(wish, constraints=()) if wish.by_rows else wish
        groups, said = in_groups(counts.groups, items, conventions, kept)
        if wish.scale is not None:
            groups = in_raw_unit(groups, items, wish.scale)
        more["groups"] = groups
        read.warnings.extend(said)
    told = items if wish.scale is None else in_raw_unit(items, items, wish.scale)
    kind = kind_promised("certified", read.warnings, given=wish.guarantee is not None)
    result = outcome(
        inputs=read.inputs,
        params={
            **read.params,
            "confidence": conventions.confidence,
            "seed": conventions.seed,
            "prior": _plain(wish.prior),
            "calibrator": asked.path,
            "guarantee": wish.guarantee,
            "per_group": wish.per_group,
            "equal": wish.equal,
            **({} if wish.costs is None else {"cost": wish.costs.text}),
            **({"unreachable": "never"} if wish.never else {}),
        },
        task=read.task,
        objective=wish.objective.name,
        constraints=[str(constraint) for constraint in wish.constraints],
        kind=kind,
        thresholds=told,
        warnings=read.warnings,
        **more,
    )
    return Cuts(result, items, read.classes, parts.chosen, stats, wish.scale, by_group)


def with_groups(spec: InputSpec, wish: Wish) -> InputSpec:
    """Return the input with the columns of groups that get cut-offs, or promises, of their own."""
    own = [column for column in (wish.per_group, wish.within) if column is not None]
    return replace(spec, groups=tuple(dict.fromkeys((*spec.groups, *own))))


def _of_populations(
    found: Gathered, conventions: Conventions, wish: Wish, rows: RowPass | None
) -> Parts:
    """Choose in populations that were counted: of all rows, and of each group."""
    if found.exclusive:
        return chosen_of_classes(found, conventions, wish)
    clustered, whole = found.clustered, named_slices(found.overall, found.classes)

    def chosen(slices: Any, units: Any = None) -> Parts:
        return chosen_of_slices(
            slices, conventions, wish, found.classes, clustered=clustered, units=units
        )

    if wish.within is not None:
        return chosen_for_every_group(found, whole, conventions, wish, rows)
    if wish.by_rows:
        return Parts(*chosen_of_rows(rows, whole, found.overall, conventions, wish))
    if wish.objective.common is not None:
        return chosen_of_labels(whole, conventions, wish)
    own = [] if wish.per_group is None else members(found, wish.per_group)
    units: list[Any] = [None] * (1 + len(own))
    if wish.guarantee is not None and clustered and rows is not None:
        each = [whole, *(named_slices(member, found.classes) for member in own)]
        units = list(units_of_slices(rows, wish, each))
    parts = chosen(whole, units[0])
    parts.warnings.extend(evenly_kept([one for one in units if one is not None]))
    if wish.per_group is None:
        return parts
    if wish.equal is not None:
        equal, level = equal_slices(own, conventions, wish)
        return Parts([*parts.chosen, *equal], parts.warnings, {"equal": level})
    more = chosen(
        [one for member in own for one in named_slices(member, found.classes)],
        None if units[0] is None else [one for some in units[1:] for one in some],
    )
    warnings = list(dict.fromkeys([*parts.warnings, *more.warnings]))
    return Parts([*parts.chosen, *more.chosen], warnings)


def _counted(read: _Input, items: list[CutOff], shown: tuple[str, ...], wish: Wish) -> CountedRule:
    """Count the decisions of the cut-offs: over the rows, or where cells tell them, over these."""
    rule = rule_of_cuts(items, read.classes, exclusive=read.exclusive)
    joint = read.exclusive or wish.per_group is not None
    if read.rows is not None and (joint or read.found is None):
        return counted_rows(read.rows, rule, shown)
    assert read.found is not None
    counted = counted_cells(read.found, rule)
    assert counted is not None
    return counted


def _plain(prior: tuple[float, ...] | None) -> float | list[float] | None:
    return prior if prior is None else prior[0] if len(prior) == 1 else list(prior)


def _write_candidates(
    path: str, chosen: Sequence[Chosen], wish: Wish, scale: RawScale | None
) -> None:
    """Write the whole curve: counts, rates and the objective at every candidate."""
    from calibcli.core.decisions.objectives import FIGURES
    from calibcli.workflows.threshold.candidates import write_candidates

    rates = {name: FIGURES[name] for name in ("precision", "recall", "fpr")}
    if not wish.by_rows:  # a figure of rows is none of one label
        rates[wish.objective.name] = wish.objective.function
    header = ["threshold", "tp", "fp", "fn", "tn", *rates]
    slices = []
    for one in chosen:
        where, curve = one.item.slice, one.curve
        shown = curve.threshold if scale is None else scale.raw(curve.threshold)
        columns = [shown, curve.tp, curve.fp, curve.fn, curve.tn]
        columns += [curve.figure(function) for function in rates.values()]
        slices.append(
            (where.name or where.value or "overall", [column.tolist() for column in columns])
        )
    write_candidates(path, header, slices)
