"""`calibcli threshold`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import typer

from calibcli.cli import console, following, options
from calibcli.cli.choices import argument, flag, option
from calibcli.cli.commands.promotion import PromotionOptions, promote, put_back, refusals
from calibcli.cli.media import DetectionInput, SearchOptions, refuse
from calibcli.cli.outputs import keep_apart
from calibcli.cli.project import own_gates
from calibcli.cli.raw import refuse_raw
from calibcli.cli.spread import spread_options
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calibcli.core.results.promotion import PromotionResult
    from calibcli.workflows.threshold.wish import Wish

NAME = "threshold"


class Equal(StrEnum):
    """Figures that groups can share."""

    RECALL = "recall"
    FPR = "fpr"


class Unreachable(StrEnum):
    """What becomes of slices that cannot meet the bounds."""

    ERROR = "error"
    NEVER = "never"


class Sets(StrEnum):
    """Nonconformity scores of prediction sets."""

    LAC = "lac"
    APS = "aps"
    RAPS = "raps"
    APS_RANDOMISED = "aps-randomised"
    RAPS_RANDOMISED = "raps-randomised"


@spread_options
def command(
    context: typer.Context,
    read: options.InputOptions,
    groups: options.GroupOptions,
    boxes: DetectionInput,
    how: options.BinOptions,
    more: SearchOptions,
    promotion: PromotionOptions,
    form: options.FormatOptions,
    run: options.RunOptions,
    *,
    paths: list[str] | None = argument("SCORES...", options.SCORES_HELP),
    output: str | None = option("FILE", "Where the thresholds go.", short="-o"),
    calibrator: str | None = option("FILE", "Calibrate first with this."),
    maximize: str | None = option(
        "FIGURE",
        "f1, fbeta:B, youden, balanced-accuracy, accuracy, mcc, precision, recall, dice, "
        "iou, of images mean-dice; macro-f1 or micro-f1: one cut-off for all classes, "
        "by the labels of a row row-f1, row-precision, row-recall. "
        "[default: f1, or what the constraints leave open]",
    ),
    subject_to: list[str] | None = option(
        "BOUND",
        "Such as 'precision>=0.95'; of boxes fp_per_image, of the labels of a row row-recall and "
        "row-precision, in every group 'worst(group.COL).recall>=0.9'. Repeatable.",
    ),
    guarantee: float | None = option(
        "P", "The bounds hold on new rows or clusters with this confidence."
    ),
    cost: str | None = option("fp=1,fn=4", "Minimise expected cost; also tp=, tn=, refer=."),
    cost_matrix: str | None = option(
        "FILE",
        "Costs of deciding each class (columns) for each true one (rows), CSV or JSON; "
        "one more column is the cost of referring.",
    ),
    prior: str | None = option("P[,P…]", "Prevalence where it will be used; one a class."),
    per_class: bool = flag(
        "One cut-off a class (what several classes always get), or sets that cover each."
    ),
    per_group: str | None = option("COL", "One cut-off for each value of this column."),
    equal: Equal | None = option(None, "The groups of --per-group get the same recall or fpr."),
    abstain: str | None = option(
        "TARGET", "Keep what meets 'accuracy>=0.99', refer the other rows."
    ),
    coverage: float | None = option(
        "P",
        "Sets of classes that hold the true one with this probability; with --per-class "
        "or --group in each class or group.",
    ),
    sets: Sets | None = option(None, "How sets are made. [default: lac, the smallest]"),
    penalty: float | None = option(
        "P", "RAPS: added for each rank beyond the free. [default: 0.01]"
    ),
    free_rank: int | None = option(
        "N", "RAPS: ranks without a penalty. [default: 5; half of < 10 classes]"
    ),
    unreachable: Unreachable | None = option(
        None,
        "What a class or group gets that cannot meet the bounds: an error that names all "
        "of them, or a cut-off above every score (the others get theirs). [default: error]",
    ),
    candidates: str | None = option("FILE", "Write every candidate as CSV."),
) -> int:
    """Choose the cut-off: every distinct score is a candidate.

    A target that cannot be met is exit 1: the best attainable value is printed, nothing written.

    With --promote-over, for a job that nobody watches: the file is replaced only by cut-offs that
    are better on these rows beyond their interval, or where those in use break their target. What
    is not given is taken from the file. Exit 0 if it was, 1 if the old ones were kept.
    """
    from calibcli.tasks.table import TASKS

    project = getattr(run.config, "taken", ())
    if promotion.rollback is not None:
        promotion.check_rollback(paths, output, project)
        return put_back(promotion, form, run)
    if not paths:
        raise UsageError("no score files are named", "calibcli threshold SCORES... -o FILE")
    promotion.check(output, project)
    truth = boxes.ground_truth
    over = promotion.promote_over
    with refusals(over, form):
        keep_apart(
            [*paths, read.labels, calibrator, cost_matrix, truth],
            files=[output, candidates, over],
        )
    detection = read.task is not None and TASKS[read.task.value] == "boxes"
    if detection:
        refuse({"--coverage": coverage, "--abstain": abstain, "--cost-matrix": cost_matrix})
        refuse({"--group": groups.group})
    cut = {
        "--maximize": maximize,
        "--subject-to": subject_to,
        "--cost": cost,
        "--per-group": per_group,
        "--equal": equal,
        "--candidates": candidates,
        "--unreachable": unreachable,
    }
    _refuse_mixed(
        {"--coverage": coverage, "--abstain": abstain, "--cost-matrix": cost_matrix},
        cut | {"--search": more.search, "--background": more.background},
        {"--guarantee": guarantee, "--prior": prior, "--per-class": per_class or None},
        sets,
        ranks=penalty is not None or free_rank is not None,
    )
    tags = form.tags()
    conventions = how.conventions()
    regions = more.regions(read, maximize)
    shares = options.numbers(prior, "--prior") if prior is not None else None
    with refusals(over, form):
        spec = boxes.into(read.spec(paths, tuple(groups.group or ()), calibrator))
    if calibrator is None:
        refuse_raw(
            spec,
            {
                "--cost": cost,
                "--coverage": coverage,
                "--abstain": abstain,
                "--equal": equal,
                "--unreachable": unreachable,
            },
        )

    def wish_of() -> Wish:
        from calibcli.workflows.threshold.wish import Wish

        return Wish.parse(
            maximize,
            tuple(subject_to or ()),
            cost,
            shares,
            guarantee=guarantee,
            per_group=per_group,
            equal=None if equal is None else equal.value,
            images=regions is not None,
            boxes=detection,
            never=unreachable is Unreachable.NEVER,
        )

    if promotion.promote_over is not None:
        if detection:
            from calibcli.tasks.features import refuse as refuse_feature

            refuse_feature("threshold --promote-over", "boxes")
        refuse_kinds = {
            "--search": regions,
            "--coverage": coverage,
            "--abstain": abstain,
            "--cost-matrix": cost_matrix,
            "--candidates": candidates,
        }
        for name, value in refuse_kinds.items():
            if value is not None:
                raise UsageError(
                    f"--promote-over is for cut-offs of rows, not for {name}", "use -o FILE"
                )
        wanted = (maximize, cost, guarantee, shares, per_group, equal, unreachable)
        asked = bool(subject_to) or any(one is not None for one in wanted)

        def attempted(attempt: Any, tell: Any) -> PromotionResult:
            from calibcli.workflows.promote.cuts import promote_cuts

            wish = wish_of() if asked else None
            return promote_cuts(
                spec,
                conventions,
                wish,
                attempt,
                calibrator=calibrator,
                threads=run.threads,
                progress=tell,
            )

        return promote(attempted, promotion, conventions, form, run, tags)
    from calibcli.workflows.input.gated import Gated

    with console.Progress(quiet=run.quiet, verbose=run.verbose) as progress:
        common: dict[str, Any] = {
            "calibrator": calibrator,
            "output": Gated.of(output, own_gates(run.config, promotion.fail_if)),
            "threads": run.threads,
            "progress": progress.callback,
        }
        if coverage is not None:
            from calibcli.workflows.threshold.kinds.sets import prediction_sets

            method = "lac" if sets is None else sets.value
            result = prediction_sets(
                spec,
                conventions,
                coverage,
                method=method,
                penalty=penalty,
                free_rank=free_rank,
                per_class=per_class,
                **common,
            )
        elif abstain is not None:
            from calibcli.workflows.threshold.kinds.abstain import abstention

            result = abstention(spec, conventions, abstain, guarantee=guarantee, **common)
        elif cost_matrix is not None:
            from calibcli.workflows.threshold.kinds.cost_matrix import cheapest_class

            result = cheapest_class(spec, conventions, cost_matrix, prior=shares, **common)
        else:
            from calibcli.workflows.threshold.threshold import threshold

            wish = wish_of()
            if detection:
                from calibcli.workflows.threshold.boxes.search import threshold_boxes

                result = threshold_boxes(
                    spec,
                    conventions,
                    wish,
                    per_class=per_class,
                    search=more.search or (),
                    candidates=candidates,
                    **common,
                )
            elif regions is not None:
                from calibcli.workflows.threshold.masks.search import search_regions

                result = search_regions(
                    spec,
                    conventions,
                    wish,
                    regions,
                    candidates=candidates,
                    per_class=per_class,
                    **common,
                )
            else:
                result = threshold(
                    spec, conventions, wish, candidates=candidates, per_class=per_class, **common
                )
    run.complete(result)
    if tags:
        result["params"]["tags"] = tags
    console.warn(result, form.format, quiet=run.quiet)
    console.summarise(form.format, NAME, result)
    progress.tell(result)
    brief = console.read_by_people(form.format) and not promotion.every
    hint = following.after_threshold(context, output, calibrator) if brief else None
    console.emit(console.render(form.format.value, NAME, result, hint=hint))
    return console.judge(result, form.format.value, "-", quiet=run.quiet, held=output)


def _refuse_mixed(
    kinds: Mapping[str, object],
    cut: Mapping[str, object],
    extra: Mapping[str, object],
    sets: Sets | None,
    *,
    ranks: bool,
) -> None:
    """Refuse options of two kinds of decision in one run.

    Raises:
        UsageError: naming both.
    """
    chosen = [name for name, value in kinds.items() if value is not None]
    if sets is not None and "--coverage" not in chosen:
        raise UsageError("--sets says how prediction sets are made", "add --coverage 0.9")
    if ranks and "--coverage" not in chosen:
        raise UsageError("--penalty and --free-rank are for prediction sets", "add --coverage 0.9")
    if not chosen:
        return
    fits = {
        "--coverage": {"--per-class"},
        "--abstain": {"--guarantee"},
        "--cost-matrix": {"--prior"},
    }[chosen[0]]
    others = chosen[1:] + [
        name for name, value in {**cut, **extra}.items() if value is not None and name not in fits
    ]
    if others:
        raise UsageError(
            f"{chosen[0]} and {others[0]} are two kinds of decision", "give one of them a run"
        )
