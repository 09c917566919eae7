"""`fit`: learn the correction on held-out data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from calibcli.core.statistics.sketch import CAPACITY
from calibcli.errors import UsageError
from calibcli.io.artifacts.artifacts import write_artifact
from calibcli.io.boxes.dataset import CLASS
from calibcli.tasks.features import kind_of, refuse
from calibcli.tasks.table import TASKS, medium
from calibcli.tasks.watching import Watch
from calibcli.workflows.fit.fitted import FitOptions, Fitted
from calibcli.workflows.fit.pairs import fit_binary, fit_multilabel
from calibcli.workflows.fit.result import artifact_of, result_of
from calibcli.workflows.input.gated import place
from calibcli.workflows.input.gather import Reading, open_input, reads_stats

if TYPE_CHECKING:
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gated import Gated
    from calibcli.workflows.input.gather import Progress
    from calibcli.workflows.input.gathered import Gathered

Result = dict[str, Any]


def fit(
    spec: InputSpec,
    conventions: Conventions,
    options: FitOptions,
    *,
    output: str | Gated | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    in_brief: bool = False,
) -> Result:
    """Fit a calibrator; write it to `output`; return the result with figures before and after.

    Figures after are of maps that have not seen the rows (cross-fitted) wherever there are
    enough rows of each class, and are labelled in-sample otherwise. `in_brief` leaves out figures
    of classes that exclude each other which tables do not show.

    Raises:
        InputError: unusable input, one class only.
        UsageError: a method that does not fit the task, a gate that cannot be evaluated.
    """
    if options.temperatures:
        options = replace(options, method="temperature")
    # Groups play no part in a fit unless it is by group; leaving them out leaves the pass cheaper.
    column = options.per_group
    if options.per_class and TASKS.get(spec.task) == "boxes":
        column, own = CLASS, replace(options, per_class=False, per_group=CLASS)
    else:
        own = options
    groups: tuple[str, ...] = () if column is None or reads_stats(spec) else (column,)
    if options.by is not None:
        from calibcli.workflows.measure.series import with_by

        groups = with_by(replace(spec, groups=()), options.by).groups
    spec = replace(spec, groups=groups)
    own = replace(own, raw=spec.raw)
    reading = Reading(spec, conventions, Watch(CAPACITY), threads, progress)
    if options.models:
        from calibcli.workflows.fit.models import fit_models

        found, fitted = fit_models(reading, options)
    else:
        opened = open_input(spec)
        dataset = opened[0]
        if dataset is not None and options.by is not None and dataset.classes:
            refuse("fit --folds time:COL", kind_of(dataset.task, dataset.medium))
        if dataset is not None and dataset.exclusive and column is None:
            from calibcli.workflows.fit.rows import fit_rows

            found, fitted = fit_rows(dataset, reading, options)
        else:
            found = reading.read(opened).as_pairs()
            medium(found.medium).check_fit(found.overall.population.pairs, spec)
            if options.by is None:
                fitted = fit_gathered(found, reading.again, own)
            else:
                from calibcli.workflows.fit.forward import forward

                found, blocks = forward(found, options.by, options.folds)
                fitted = fit_binary(found.overall.population.pairs, own, blocks)
    result = result_of(found, conventions, options, fitted, in_brief=in_brief)
    path = place(output, result)
    if path is not None:
        payload = artifact_of(found, fitted, result, conventions.confidence)
        if options.models:
            from calibcli.workflows.fit.each_model import model_stats, of_each_model

            payload |= model_stats(of_each_model(found, reading.again, options.models))
        write_artifact(path, "calibrator", payload)
    return result


def fit_gathered(found: Gathered, reading: Reading, options: FitOptions) -> Fitted:
    """Fit what the options ask for to gathered populations; one model.

    Raises:
        InputError: one class only, too few rows.
        UsageError: a method that does not fit the task.
    """
    if options.per_class:
        refuse("fit --per-class", kind_of(found.task, found.medium))
    column = options.per_group
    if column is not None and found.exclusive:
        from calibcli.workflows.fit.group_rows import fit_group_rows

        return fit_group_rows(found, reading, column, options)
    if column is not None:
        from calibcli.workflows.fit.groups import fit_groups

        return fit_groups(found, column, options)
    if found.single:
        return fit_binary(found.overall.population.pairs, options)
    if found.labels:
        return fit_multilabel(found, options)
    from calibcli.workflows.fit.rows import fit_rows

    if found.dataset is None:
        raise UsageError(
            "several classes are fitted from whole rows", "give the score files, not statistics"
        )
    return fit_rows(found.dataset, reading, options)[1]


__all__ = ["FitOptions", "fit"]
