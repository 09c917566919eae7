"""Fits of several classes, which need whole rows."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from calibcli.core.calibrators import CALIBRATORS, Identity, OneVsRest, Temperature
from calibcli.core.calibrators.classes.rows import resolved_floor
from calibcli.core.calibrators.types import BINARY, MULTICLASS, worth
from calibcli.core.fitting.selection import BINARY_CANDIDATES
from calibcli.core.fitting.selection_rows import (
    auto_rows,
    cross_fit_rows,
    earns_its_place,
    fit_method,
)
from calibcli.errors import InputError, UsageError
from calibcli.tasks.collect import count
from calibcli.workflows.fit.fitted import Fitted
from calibcli.workflows.fit.pairs import fitter
from calibcli.workflows.input.gather import from_counted, layout_of
from calibcli.workflows.input.row_passes import RowPasses

if TYPE_CHECKING:
    from calibcli.core.calibrators import Calibrator, RowSource
    from calibcli.core.fitting.selection import Candidate
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.tasks.collect import Population
    from calibcli.workflows.fit.fitted import FitOptions
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gather import Gathered


def fit_rows(
    found: Gathered,
    spec: InputSpec,
    conventions: Conventions,
    options: FitOptions,
    threads: int | None,
) -> Fitted:
    """Fit a calibrator of several classes.

    Raises:
        UsageError: statistics instead of rows.
        InputError: labels of one class only.
    """
    rows, size = passes_over(found, spec, conventions).source(), len(found.classes)
    candidates: tuple[Candidate, ...] = ()
    notes: tuple[str, ...] = ()
    calibrator: Calibrator
    folds: tuple[Calibrator, ...]
    if options.per_class:
        calibrator, folds, candidates, method = _per_class(found, rows, options)
    elif options.method == "auto":
        chosen = auto_rows(
            rows,
            size,
            folds=options.folds,
            select=cast("Any", options.select),
            clustered=found.clustered,
            clock=options.clock,
        )
        calibrator, folds = chosen.calibrator, chosen.fold_calibrators
        candidates, notes = chosen.candidates, chosen.notes
        method = next(c.method for c in candidates if c.chosen)
    else:
        method = options.method
        calibrator, folds = _one_method(rows, size, options)
    kind = "cross-fitted" if folds else "in-sample"
    if method == Identity.method:
        kind = "unchanged"
    after = population_after(found, spec, conventions, folds or calibrator, threads)
    said = (*notes, *calibrator.notes)
    return Fitted(method, calibrator, candidates, after, kind, said, folds=folds)


def passes_over(
    found: Gathered, spec: InputSpec, conventions: Conventions, place: int | None = None
) -> RowPasses:
    """Return passes over the rows behind gathered populations.

    Raises:
        UsageError: there are none, only saved statistics.
    """
    if found.dataset is None:
        raise UsageError(
            "several classes are fitted from whole rows", "give the score files, not statistics"
        )
    layout = layout_of(found.dataset, replace(spec, groups=()), conventions)
    return RowPasses(found.dataset, layout, place, worth=worth(found.overall.population.pairs))


def population_after(
    found: Gathered,
    spec: InputSpec,
    conventions: Conventions,
    calibrator: Calibrator | tuple[Calibrator, ...],
    threads: int | None,
) -> Population:
    """Return the rows after a calibrator, or after the one of each fold."""
    assert found.dataset is not None
    spec = replace(spec, groups=())
    layout = layout_of(found.dataset, spec, conventions)
    counted = count(found.dataset, layout, calibrator=calibrator, threads=threads)
    after = from_counted(found.dataset, spec, counted).overall.calibrated
    assert after is not None
    return after


def _one_method(
    rows: RowSource, size: int, options: FitOptions
) -> tuple[Calibrator, tuple[Calibrator, ...]]:
    """Return the method fitted on all rows, and on those outside each fold."""
    if options.temperatures:
        calibrator = Temperature.fit_rows(rows, size, temperatures=options.temperatures)
        return calibrator, ()
    whole = fit_method(rows, size, options.method)
    start = whole if MULTICLASS <= CALIBRATORS[options.method].tasks else None
    try:
        return whole, cross_fit_rows(rows, size, options.method, folds=options.folds, start=start)
    except InputError:
        return whole, ()


def _per_class(
    found: Gathered, rows: RowSource, options: FitOptions
) -> tuple[Calibrator, tuple[Calibrator, ...], tuple[Candidate, ...], str]:
    """Fit one map for each class against the rest; small classes borrow from all."""
    from calibcli.core.calibrators.classes.one_vs_rest import class_stats
    from calibcli.core.fitting.shrinkage import fit_family
    from calibcli.workflows.fit.groups import candidates_of, own_methods

    size = len(found.classes)
    floor = resolved_floor(rows)
    by_fold = class_stats(rows, size, options.folds, floor)
    parts = [[by_fold[fold][k] for fold in range(options.folds)] for k in range(size)]
    if options.method == "auto":
        few = [m for m in BINARY_CANDIDATES if not CALIBRATORS[m].free_form and m != "identity"]
        methods = tuple(few)
    else:
        if not CALIBRATORS[options.method].tasks >= BINARY:
            raise UsageError(
                f"{options.method} has no form for one class against the rest",
                "leave out --per-class: it has parameters for each class already",
            )
        methods = own_methods(options)
    families = {
        name: fit_family(
            parts,
            fitter(name, options),
            {name: partial(_fit, fitter(name, options))},
            select=cast("Any", options.select),
        )
        for name in methods
    }
    method = min(families, key=lambda name: min(t.loss for t in families[name].tried))
    family = families[method]

    def joined(overall: Calibrator, slices: Any) -> OneVsRest:
        return OneVsRest(tuple(one.with_overall(overall) for one in slices), floor=floor)

    notes = tuple(
        f"class {name}: {one.note}"
        for name, one in zip(found.classes, family.slices, strict=True)
        if one.note
    )
    calibrator = replace(joined(family.overall, family.slices), notes=notes)
    folds = tuple(joined(overall, slices) for overall, slices in family.folds)
    tried = candidates_of(list(families.values()), family, "class")
    if options.method == "auto":
        clustered = found.overall.population.pairs.parts is not None
        select = cast("Any", options.select)
        if not earns_its_place(rows, folds, select=select, clustered=clustered):
            return Identity(), (), tried, Identity.method
    return calibrator, folds, tried, f"{method} per class"


def _fit(fit: Any, stats: Any) -> Calibrator:
    return cast("Calibrator", fit(stats))
