"""Fits of several classes that exclude each other, which need whole rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from calibcli.core.calibrators import CALIBRATORS, Identity, OneVsRest, Temperature
from calibcli.core.calibrators.classes.one_vs_rest import class_stats
from calibcli.core.calibrators.classes.rows import deal
from calibcli.core.calibrators.types import SCORE
from calibcli.core.fitting.auto import auto
from calibcli.core.fitting.choice import one_standard_error
from calibcli.core.fitting.families import fit_family
from calibcli.core.fitting.held_out import FoldLosses, HeldOut
from calibcli.core.fitting.problems import BINARY_CANDIDATES, ROW_CANDIDATES, Rows
from calibcli.core.results.fit import Candidate
from calibcli.errors import InputError, UsageError
from calibcli.workflows.fit.fitted import Fitted, less_accurate
from calibcli.workflows.fit.groups import candidates_of, own_methods
from calibcli.workflows.fit.pairs import fitter
from calibcli.workflows.input.row_passes import DataRows

if TYPE_CHECKING:
    from calibcli.core.calibrators import Calibrator
    from calibcli.core.fitting.held_out import Score
    from calibcli.core.results.warning import Warning
    from calibcli.io.dataset import Dataset
    from calibcli.workflows.fit.fitted import FitOptions
    from calibcli.workflows.input.gather import Reading
    from calibcli.workflows.input.gathered import Gathered

RANK_KEEPING = (Identity.method, Temperature.method)
"""Methods that leave the most probable class as it is."""


def fit_rows(dataset: Dataset, reading: Reading, options: FitOptions) -> tuple[Gathered, Fitted]:
    """Fit a calibrator; the rows are counted once, before and after it.

    Raises:
        InputError: labels of one class only.
    """
    rows = rows_of(dataset, reading)
    select = cast("Score", options.select)
    candidates: tuple[Candidate, ...] = ()
    notes: tuple[str, ...] = ()
    problem = Rows(rows, folds=options.folds, clustered=dataset.unit.clustered)
    folds: tuple[Calibrator, ...] = ()
    if options.per_class:
        calibrator, folds, candidates, method = _per_class(problem, dataset.classes, options)
    elif options.method == "auto":
        chosen = auto(problem, select=select, methods=ROW_CANDIDATES, clock=options.clock)
        calibrator, folds, method = chosen.calibrator, chosen.folds, chosen.method
        candidates, notes = chosen.candidates, chosen.notes
    elif options.temperatures:
        calibrator = Temperature.fit(rows, temperatures=options.temperatures)
        method = options.method
    else:
        method = options.method
        calibrator = problem.fit(method)
        try:
            folds = problem.fit_folds(method, calibrator)
        except InputError:
            folds = ()
    kind = "cross-fitted" if folds else "in-sample"
    if method == Identity.method:
        kind = "unchanged"
    warnings: tuple[Warning, ...] = ()
    if kind == "cross-fitted" and method not in RANK_KEEPING:
        warnings = accuracy_warnings(problem, folds)
    mapped = None if kind == "unchanged" else (folds or calibrator)
    found, after = counted(dataset, reading, mapped)
    said = (*notes, *calibrator.notes)
    return found, Fitted(
        method, calibrator, candidates, after, kind, said, folds=folds, warnings=warnings
    )


def rows_of(dataset: Dataset | None, reading: Reading, place: int | None = None) -> DataRows:
    """Return the rows of a data set; `place` is of the group column that they keep.

    Raises:
        UsageError: there are none, only saved statistics.
    """
    if dataset is None:
        raise UsageError(
            "several classes are fitted from whole rows", "give the score files, not statistics"
        )
    layout = reading.with_groups().layout(dataset)
    return DataRows(dataset, layout, place=place, threads=reading.threads)


def counted(
    dataset: Dataset,
    reading: Reading,
    calibrator: Calibrator | tuple[Calibrator, ...] | None,
) -> tuple[Gathered, Any]:
    """Return the rows before and after a calibrator, or the one of each fold, from one pass."""
    both = reading.with_groups().read((dataset, ()), calibrator, to_logits=True)
    return replace(both, overall=replace(both.overall, calibrated=None)), both.overall.used


def accuracy_warnings(problem: Rows, folds: tuple[Calibrator, ...]) -> tuple[Warning, ...]:
    """Return a warning where the most probable class is right less often, beyond the interval."""
    wrong = HeldOut(2, clustered=problem.clustered)
    maps = [[Identity(), one] for one in folds]
    problem.source.scan(FoldLosses(wrong, maps, deal(problem.folds), "error"))
    return less_accurate(wrong)


def _per_class(
    problem: Rows, classes: tuple[str, ...], options: FitOptions
) -> tuple[Calibrator, tuple[Calibrator, ...], tuple[Candidate, ...], str]:
    """Fit one map for each class against the rest; small classes borrow from all."""
    rows, select = problem.source, cast("Score", options.select)
    by_fold = class_stats(rows, deal(options.folds))
    parts = [[fold[k] for fold in by_fold] for k in range(rows.n_classes)]
    if options.method == "auto":
        few = [m for m in BINARY_CANDIDATES if not CALIBRATORS[m].free_form and m != "identity"]
        methods = tuple(few)
    else:
        if not CALIBRATORS[options.method].takes >= SCORE:
            raise UsageError(
                f"{options.method} has no form for one class against the rest",
                "leave out --per-class: it has parameters for each class already",
            )
        methods = own_methods(options)
    families = {}
    for name in methods:
        fit = problem.against_rest(CALIBRATORS[name])
        if options.temperatures:
            fit = fitter(name, options)
        families[name] = fit_family(parts, fit, {name: fit}, select=select)
    method = min(families, key=lambda name: min(t.loss for t in families[name].tried))
    family = families[method]

    def joined(overall: Calibrator, slices: Any) -> OneVsRest:
        return OneVsRest(tuple(one.with_overall(overall) for one in slices), floor=rows.floor)

    notes = tuple(
        f"class {name}: {one.note}"
        for name, one in zip(classes, family.slices, strict=True)
        if one.note
    )
    calibrator = replace(joined(family.overall, family.slices), notes=notes)
    folds = tuple(joined(overall, slices) for overall, slices in family.folds)
    tried = candidates_of(list(families.values()), family, "class")
    if options.method == "auto" and not _earns_its_place(problem, folds, select):
        return Identity(), (), tried, Identity.method
    return calibrator, folds, tried, f"{method} per class"


def _earns_its_place(problem: Rows, folds: tuple[Calibrator, ...], select: Score) -> bool:
    """Return whether cross-fitted maps beat no calibration by the rule of `auto`."""
    held = problem.held_out(2, 1)
    same = [Identity() for _ in folds]
    problem.score(held, [same, folds], select)
    names = (Identity.method, OneVsRest.method)
    choice = one_standard_error(names, held.losses, held.errors, (0, 1))
    return choice.chosen != Identity.method
