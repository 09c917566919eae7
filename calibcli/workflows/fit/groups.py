"""`fit --per-group`: one map for each value of a column, borrowing from all rows by size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

from calibcli.core.calibrators import Identity, OneVsRest
from calibcli.core.calibrators.composed.grouped import Grouped, GroupMap
from calibcli.core.calibrators.evidence import label_evidence
from calibcli.core.fitting.auto import auto
from calibcli.core.fitting.families import deal, fit_family, merged
from calibcli.core.fitting.problems import BINARY_CANDIDATES, Pairs
from calibcli.core.results.fit import Candidate
from calibcli.errors import InputError, UsageError
from calibcli.tasks.population import of_pairs
from calibcli.workflows.fit.fitted import Fitted, GroupOutcome, check_method
from calibcli.workflows.fit.pairs import fitter, label_population

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.fitting.families import Family, SliceFit
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.workflows.fit.fitted import FitOptions
    from calibcli.workflows.input.gathered import Gathered, Slice

SIMPLE = ("temperature", "platt", "beta")
"""Methods of a group's own map that `auto` compares."""


def own_methods(options: FitOptions) -> tuple[str, ...]:
    """Return the methods that are compared for the slices' own maps."""
    return SIMPLE if options.method == "auto" else (options.method,)


def group_slices(found: Gathered, column: str) -> list[Slice]:
    """Return the slices of the group column.

    Raises:
        UsageError: saved statistics without these groups.
    """
    slices = [one for one in found.groups if one.column == column]
    if not slices:
        raise UsageError(
            f"these statistics hold no groups of {column!r}",
            f"save them with it: calibcli measure SCORES --group {column} --save-stats FILE",
        )
    return slices


def fit_groups(found: Gathered, column: str, options: FitOptions) -> Fitted:
    """Fit binary scores, or each label of a multi-label task, by group.

    Raises:
        InputError: too few rows to cross-fit.
    """
    if options.method != "auto":
        check_method(options.method, found.task)
    slices = group_slices(found, column)
    if found.single:
        family, notes = _family([one.population.pairs for one in slices], options)
        return _binary(slices, column, family, notes)
    return _labels(found, slices, column, options)


def _family(stats: Sequence[ScoreStats], options: FitOptions) -> tuple[Family, tuple[str, ...]]:
    """Return the maps of all groups; `auto` chooses the overall method first, on all rows."""
    total = merged(list(stats))
    if min(label_evidence(total)) < 2 * options.folds:
        raise InputError(
            f"fewer than {2 * options.folds} rows of one label: too few to fit by group",
            "leave out --per-group, or give more rows",
        )
    overall, methods = options.method, list(own_methods(options))
    notes: tuple[str, ...] = ()
    if options.method == "auto":
        pairs = Pairs(total, folds=options.folds, seed=options.seed)
        select = cast("Any", options.select)
        chosen = auto(pairs, select=select, methods=BINARY_CANDIDATES)
        overall, notes = chosen.method, chosen.notes
        if overall not in (*methods, Identity.method):
            methods.append(overall)
    family = fit_family(
        deal(stats, options.folds, options.seed),
        fitter(overall, options),
        {name: fitter(name, options) for name in methods},
        select=cast("Any", options.select),
        earn=options.method == "auto",
    )
    return family, (*notes, *family.overall.notes)


def _binary(slices: list[Slice], column: str, family: Family, notes: tuple[str, ...]) -> Fitted:
    groups: dict[str, GroupMap] = {}
    outcomes = []
    values = [one.value for one in slices]
    for one, fit, held in zip(slices, family.slices, family.held_out, strict=True):
        note = fit.note
        groups[one.value] = GroupMap(fit.own, fit.rows, (fit.weight,), note)
        after = of_pairs(held)
        outcomes.append(
            GroupOutcome(one.where, fit.rows, (fit.weight,), note, one.population, after)
        )
    prior = None if math.isinf(family.prior_rows) else family.prior_rows
    calibrator = Grouped(column, family.overall, groups, prior_rows=prior, notes=notes)
    after = of_pairs(merged(family.held_out))
    return Fitted(
        _title(family, column),
        calibrator,
        candidates_of([family], family, column),
        after,
        "cross-fitted",
        (*notes, *_common_note(family, column)),
        tuple(outcomes),
        folds=tuple(
            _fold_maps(column, values, overall, [(fit,) for fit in fits])
            for overall, fits in family.folds
        ),
    )


def _fold_maps(
    column: str,
    values: Sequence[str],
    overall: Calibrator,
    fits: Sequence[Sequence[SliceFit]],
) -> Grouped:
    """Return the maps that have not seen a fold; `fits` are those of each value, by label."""
    groups = {}
    for value, own in zip(values, fits, strict=True):
        weight = tuple(fit.weight for fit in own)
        maps = [fit.own for fit in own]
        one = maps[0]
        if isinstance(overall, OneVsRest):
            labels = zip(maps, overall.calibrators, strict=True)
            both = tuple(whole if fit is None else fit for fit, whole in labels)
            one = OneVsRest(both, normalize=False)
        groups[value] = GroupMap(one if any(weight) else None, own[0].rows, weight)
    return Grouped(column, overall, groups)


def _labels(found: Gathered, slices: list[Slice], column: str, options: FitOptions) -> Fitted:
    """Fit each label of a multi-label task by group, each with an n0 of its own."""
    families: list[Family] = []
    notes: list[str] = []
    apart = found.overall.population.rows_apart
    for k, name in enumerate(found.classes):
        stats = [one.population.classes[k] for one in slices]
        try:
            family, said = _family(stats, options)
        except InputError as error:
            raise InputError(f"label {name!r}: {error.message}", error.hint) from error
        families.append(family)
        notes += [f"label {name!r}: {note}" for note in (*said, *_common_note(family, column))]
    overall = OneVsRest(tuple(family.overall for family in families), normalize=False)
    groups: dict[str, GroupMap] = {}
    outcomes = []
    for place, one in enumerate(slices):
        fits = [family.slices[place] for family in families]
        weight = tuple(fit.weight for fit in fits)
        own = tuple(
            family.overall if fit.own is None else fit.own
            for family, fit in zip(families, fits, strict=True)
        )
        note = "; ".join(
            f"{name}: {fit.note}" for name, fit in zip(found.classes, fits, strict=True) if fit.note
        )
        rows = fits[0].rows
        calibrator = OneVsRest(own, normalize=False) if any(weight) else None
        groups[one.value] = GroupMap(calibrator, rows, weight, note)
        held = label_population([family.held_out[place] for family in families], apart=apart)
        outcomes.append(GroupOutcome(one.where, rows, weight, note, one.population, held))
    after = label_population([merged(family.held_out) for family in families], apart=apart)
    return Fitted(
        f"{options.method} by {column}",
        Grouped(column, overall, groups, notes=tuple(notes)),
        (),
        after,
        "cross-fitted",
        tuple(notes),
        tuple(outcomes),
        folds=tuple(
            _fold_maps(
                column,
                [one.value for one in slices],
                OneVsRest(tuple(overall for overall, _ in parts), normalize=False),
                list(zip(*(fits for _, fits in parts), strict=True)),
            )
            for parts in zip(*(family.folds for family in families), strict=True)
        ),
    )


def _title(family: Family, column: str) -> str:
    if math.isinf(family.prior_rows):
        return f"{family.overall.method} (one map for every {column})"
    return f"{family.method} by {column}"


def _common_note(family: Family, column: str) -> tuple[str, ...]:
    if math.isinf(family.prior_rows):
        return (f"the groups of {column} do not differ enough: one map serves all",)
    return ()


def candidates_of(families: Sequence[Family], chosen: Family, column: str) -> tuple[Candidate, ...]:
    """Return what was compared as the table of candidates: one map for all, then each method."""
    rows: list[Candidate] = []
    least = min(one.loss for family in families for one in family.tried)
    for family in families:
        for one in family.tried:
            common = math.isinf(one.prior_rows)
            name = family.overall.method if common else one.method
            title = f"{name}, one map" if common else f"{name} by {column}"
            taken = (
                family is chosen
                and one.prior_rows == chosen.prior_rows
                and (common or one.method == chosen.method)
            )
            note = "" if common else f"n0 = {one.prior_rows:g}"
            rows.append(Candidate(title, one.loss, one.loss - least, one.se, None, taken, note))
    return tuple(rows)
