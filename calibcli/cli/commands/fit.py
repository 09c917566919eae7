"""`calibcli fit`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import typer

from calibcli.cli import console, following, options
from calibcli.cli.choices import Format, argument, flag, option
from calibcli.cli.commands.promotion import FitPromotionOptions, promote, put_back, refusals
from calibcli.cli.commands.replay import refuse_idle, replayed
from calibcli.cli.media import DetectionInput
from calibcli.cli.outputs import keep_apart
from calibcli.cli.project import own_gates
from calibcli.cli.raw import refuse_raw
from calibcli.cli.spread import spread_options
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from calibcli.core.results.promotion import PromotionResult

NAME = "fit"


@spread_options
def command(
    context: typer.Context,
    read: options.InputOptions,
    boxes: DetectionInput,
    how: options.BinOptions,
    promotion: FitPromotionOptions,
    form: options.FormatOptions,
    run: options.RunOptions,
    *,
    paths: list[str] | None = argument("SCORES...", options.SCORES_HELP),
    output: str | None = option("FILE", "Where the calibrator goes.", short="-o"),
    method: str = option("M", "Method, or auto: chosen by cross-fitting.", default="auto"),
    folds: str = option(
        "N|time:COL[,N]",
        "Folds of cross-fitting; time:COL judges each of N blocks of time by fits on the "
        "rows before it.",
        default="5",
    ),
    select: str = option("SCORE", "Proper score that auto compares: nll or brier.", default="nll"),
    temperatures: str | None = option("T,T…", "Try only these temperatures."),
    per_class: bool = flag("One map for each class against the rest, renormalised."),
    per_group: str | None = option(
        "COL", "One map for each value of this column; small ones borrow."
    ),
    ensemble: str | None = option(
        "COL,COL", "Pool several models: their score columns or patterns, or files."
    ),
    replay: str | None = option(
        "COL", "What each way of refitting would have cost, period by period: day:COL, rows:N."
    ),
) -> int:
    """Learn the correction on held-out data, and write it as JSON.

    Figures after are cross-fitted: of maps that have not seen the rows they are judged on.

    With --promote-over, for a job that nobody watches: the file is replaced only by a calibrator
    that is better for sure on these rows. Exit 0 if it was, 1 if the old one was kept.
    """
    project = getattr(run.config, "taken", ())
    tags = form.tags()
    if replay is not None:
        refuse_idle(context)
    if promotion.rollback is not None:
        promotion.check_rollback(paths, output, project)
        return put_back(promotion, form, run)
    if not paths:
        raise UsageError("no score files are named", "calibcli fit SCORES... -o FILE")
    if replay is None:
        promotion.check(output, project)
    files = [output, promotion.promote_over, promotion.thresholds]
    with refusals(promotion.promote_over, form):
        keep_apart([*paths, read.labels, boxes.ground_truth], files=files)
        spec = boxes.into(read.spec(paths, joined=ensemble))
    refuse_raw(spec, {"--ensemble": ensemble, "--replay": replay})
    conventions = how.conventions()
    from calibcli.workflows.fit.fitted import FitOptions

    # Seconds differ from run to run, so they are for people who watch and nowhere else.
    watched = form.format is Format.TABLE and (run.verbose or sys.stdout.isatty())

    by, number = _folds(folds)
    if by is not None and promotion.promote_over is not None:
        raise UsageError(
            "--promote-over compares on the rows of one night", "--folds N, a number of folds"
        )
    wanted = FitOptions(
        method=method,
        folds=number,
        by=by,
        select=select,
        temperatures=options.numbers(temperatures, "--temperatures"),
        per_class=per_class,
        per_group=per_group,
        models=options.texts(ensemble) or (),
        seed=how.seed,
        clock=time.perf_counter if watched else None,
    )
    if replay is not None:
        return replayed(spec, conventions, wanted, replay, promotion, form, run)
    if promotion.promote_over is not None:

        def attempted(attempt: Any, tell: Any) -> PromotionResult:
            reading: dict[str, Any] = {"threads": run.threads, "progress": tell}
            if promotion.thresholds is not None:
                from calibcli.workflows.promote.pair import promote_pair

                cuts = promotion.thresholds
                return promote_pair(spec, conventions, wanted, attempt, cuts, **reading)
            from calibcli.workflows.promote import promote as workflow

            return workflow.promote(spec, conventions, wanted, attempt, **reading)

        return promote(attempted, promotion, conventions, form, run, tags)
    from calibcli.workflows.fit.fit import fit
    from calibcli.workflows.input.gated import Gated

    fail_if = own_gates(run.config, promotion.fail_if)
    brief = console.read_by_people(form.format) and not promotion.every
    with console.Progress(quiet=run.quiet, verbose=run.verbose) as progress:
        result = fit(
            spec,
            conventions,
            wanted,
            output=Gated.of(output, fail_if),
            threads=run.threads,
            progress=progress.callback,
            in_brief=brief and not fail_if,
        )
    run.complete(result)
    if tags:
        result["params"]["tags"] = tags
    console.warn(result, form.format, quiet=run.quiet)
    console.summarise(form.format, NAME, result)
    progress.tell(result)
    hint = following.after_fit(context, output) if brief else None
    console.emit(console.render(form.format.value, NAME, result, hint=hint))
    return console.judge(result, form.format.value, "-", quiet=run.quiet, held=output)


def _folds(text: str) -> tuple[str | None, int]:
    """Return the column of times, if any, and the number of folds.

    Raises:
        UsageError: no number, or another word than `time`.
    """
    by, number = None, text
    if text.startswith("time:"):
        column, _, number = text.removeprefix("time:").rpartition(",")
        by, number = (column, number) if number.isdigit() and column else (text[5:], "5")
    found = options.whole_numbers(number, "--folds")
    if len(found) != 1 or by == "":
        raise UsageError(f"--folds {text!r} is no number of folds", "--folds 5 or --folds time:COL")
    return by, found[0]
