"""Options that commands share, each declared once, as fields of small dataclasses."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any

import typer

from calibcli.cli import console, project
from calibcli.cli.choices import Binned, Closed, EngineName, Format, Task
from calibcli.errors import UsageError

SCORES_HELP = "Parquet, CSV, JSON Lines, Arrow or NPY files, folders, globs, URIs, or - for stdin."


@dataclass(frozen=True, eq=False, repr=False)
class InputOptions:
    """Where the scores and labels are."""

    score: Annotated[str | None, typer.Option(metavar="COL", help="The score column (binary).")] = (
        None
    )
    scores: Annotated[
        str | None,
        typer.Option(
            metavar="COL,COL",
            help="The score columns in class order, or a glob such as 'prob_*'.",
        ),
    ] = None
    label: Annotated[str | None, typer.Option(metavar="COL", help="The label column.")] = None
    labels: Annotated[
        str | None, typer.Option(metavar="FILE", help="Labels in a file of their own.")
    ] = None
    logits: Annotated[bool, typer.Option("--logits", help="Scores are logits.")] = False
    raw: Annotated[
        bool,
        typer.Option("--raw", help="Scores are no probabilities: points, margins, distances."),
    ] = False
    descending: Annotated[
        bool, typer.Option("--descending", help="With --raw: low scores mean label 1.")
    ] = False
    task: Annotated[
        Task | None, typer.Option(help="What a row is; default by the shape of the scores.")
    ] = None
    classes: Annotated[
        str | None,
        typer.Option(metavar="A,B,C", help="Class names, bound to the score columns in order."),
    ] = None
    positive: Annotated[
        str | None, typer.Option(metavar="VALUE", help="The label that means 1.")
    ] = None
    weight: Annotated[
        str | None, typer.Option(metavar="COL", help="Importance weight of a row.")
    ] = None
    count: Annotated[
        str | None, typer.Option(metavar="COL", help="How many identical rows a row stands for.")
    ] = None
    cluster: Annotated[
        str | None,
        typer.Option(metavar="COL", help="Rows that belong together: a patient, an image."),
    ] = None
    drop_invalid: Annotated[
        bool, typer.Option("--drop-invalid", help="Leave out rows without a score or label.")
    ] = False
    input_format: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help="Format of standard input: csv, jsonl, parquet, …"),
    ] = None
    key: Annotated[
        str | None,
        typer.Option(
            metavar="COL[,COL]", help="Join --labels FILE to the scores by this column of both."
        ),
    ] = None
    predicted: Annotated[
        str | None,
        typer.Option(
            metavar="COL", help="The predicted class, of which --score is the confidence."
        ),
    ] = None
    votes: Annotated[
        str | None,
        typer.Option(
            metavar="N|COL",
            help="Labels count who said 1, of N annotators or of as many as COL says; 1: shares.",
        ),
    ] = None
    renormalise: Annotated[
        bool,
        typer.Option("--renormalise", help="Class probabilities were rounded: make them sum to 1."),
    ] = False

    layout: Annotated[
        str | None,
        typer.Option(
            metavar="NCHW|NHWC|CDHW", help="Axes of image stacks (segmentation). [default: NCHW]"
        ),
    ] = None
    ignore_label: Annotated[
        str | None,
        typer.Option(metavar="V", help="Leave out rows, or pixels, with this label."),
    ] = None
    scale: Annotated[
        float | None,
        typer.Option(metavar="S", help="Scores are probabilities times S, such as 255."),
    ] = None

    images: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A table of images, by their ids: columns for --group, --cluster, --by, --weight.",
        ),
    ] = None

    def spec(
        self,
        paths: list[str],
        groups: tuple[str, ...] = (),
        calibrator: str | None = None,
        joined: str | None = None,
        thresholds: str | None = None,
    ) -> Any:
        """Return the InputSpec of these options, with what artifacts remember of their scores.

        `joined` is what a key joins to the scores beside --labels.
        """
        if self.key is not None and self.labels is None and joined is None:
            raise UsageError(
                "--key joins the rows of two files", "give the other with --labels FILE"
            )
        from calibcli.io.rows.dataset import InputSpec

        self._refuse_of_other_tasks()
        if self.predicted is not None and self.predicted not in groups:
            groups = (*groups, self.predicted)
        spec = InputSpec(
            paths=tuple(paths),
            score=self.score,
            scores=texts(self.scores),
            label=self.label,
            labels=self.labels,
            logits=self.logits or self.raw,
            raw=self.raw,
            descending=self.descending,
            task=None if self.task is None else self.task.value,
            classes=texts(self.classes),
            positive=self.positive,
            weight=self.weight,
            count=self.count,
            groups=groups,
            cluster=self.cluster,
            drop_invalid=self.drop_invalid,
            input_format=self.input_format,
            layout=self.layout,
            ignore_label=None if self.ignore_label is None else _number_or_text(self.ignore_label),
            scale=self.scale,
            images=self.images,
            key=self.key,
            predicted=self.predicted,
            renormalise=self.renormalise,
            votes=self.votes,
        )
        if calibrator is None and thresholds is None:
            return spec
        from calibcli.workflows.input.remembered import remembered

        return remembered(spec, calibrator, thresholds)

    def _refuse_of_other_tasks(self) -> None:
        """Refuse options of images for other tasks, and those of rows for images and boxes."""
        pixels, boxes = self.task is Task.SEGMENTATION, self.task is Task.DETECTION
        of_images: dict[str, Any] = {} if pixels else {"--layout": self.layout}
        if not pixels and not boxes:
            of_images["--images"] = self.images
        of_rows: dict[str, Any] = {}
        if boxes:
            of_rows = {"--ignore-label": self.ignore_label, "--scale": self.scale}
        if pixels or boxes:
            of_rows |= {"--predicted": self.predicted, "--key": self.key}
            of_rows["--votes"] = self.votes
            of_rows["--renormalise"] = self.renormalise or None
            of_rows["--raw"] = self.raw or None
        for option, value in of_images.items():
            if value is not None:
                raise UsageError(f"{option} is for images", "add --task segmentation")
        for option, value in of_rows.items():
            if value is not None:
                raise UsageError(f"{option} is not for --task {self.task}", "leave it out")
        if self.descending and not self.raw:
            raise UsageError("--descending is for raw scores", "add --raw")
        if self.raw and (self.logits or self.scale is not None):
            other = "--logits" if self.logits else "--scale"
            raise UsageError(f"--raw and {other} say different things of scores", "give one")
        if self.raw and self.predicted is not None:
            raise UsageError("--predicted has a confidence, which is a probability", "leave it out")
        if self.scale is not None and self.logits:
            raise UsageError("--scale is of probabilities, not of logits", "leave out one of both")
        if self.renormalise and self.logits:
            raise UsageError("--renormalise is for probabilities", "logits need not sum to 1")
        if self.scale is not None and not 0 < self.scale < float("inf"):
            raise UsageError("--scale is a number above 0", "for example --scale 100")


@dataclass(frozen=True, eq=False, repr=False)
class GroupOptions:
    """Which slices are shown apart."""

    group: Annotated[
        list[str] | None,
        typer.Option(metavar="COL", help="The same again for each value of this column."),
    ] = None


@dataclass(frozen=True, eq=False, repr=False)
class BinOptions:
    """How scores are binned and how sure intervals are."""

    bins: Annotated[
        str, typer.Option(metavar="B[,B…]", help="Numbers of bins; the first is the headline.")
    ] = "15"
    binning: Annotated[Binned, typer.Option(help="Bins of equal width or of equal mass.")] = (
        Binned.WIDTH
    )
    edges: Annotated[
        str | None, typer.Option(metavar="0,…,1", help="Bin edges, instead of a number of bins.")
    ] = None
    closed: Annotated[Closed, typer.Option(help="Which end a bin holds: right is (lo, hi].")] = (
        Closed.RIGHT
    )
    tolerance: Annotated[float, typer.Option(help="A gap up to this is within tolerance.")] = 0.05
    confidence: Annotated[float, typer.Option(help="Level of the intervals.")] = 0.95
    no_ci: Annotated[bool, typer.Option("--no-ci", help="No intervals.")] = False
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0

    def conventions(self, **more: Any) -> Any:
        """Return the Conventions of these options."""
        from calibcli.workflows.input.conventions import Conventions

        return Conventions(
            bins=whole_numbers(self.bins, "--bins"),
            binning=self.binning.value,
            edges=numbers(self.edges, "--edges") if self.edges else (),
            closed=self.closed.value,
            tolerance=self.tolerance,
            confidence=None if self.no_ci else self.confidence,
            seed=self.seed,
            **more,
        )


@dataclass(frozen=True, eq=False, repr=False)
class RunOptions:
    """How a command runs and talks."""

    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads; default the cores of this process.")
    ] = None
    engine: Annotated[
        EngineName, typer.Option(help="Where files are read: in threads here, or by Dask workers.")
    ] = EngineName.THREADS
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="tcp://HOST:PORT", help="The Dask scheduler, with --engine dask."),
    ] = None
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No warnings on stderr.")] = False
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr.")] = False
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False
    no_config: Annotated[
        bool,
        typer.Option(
            "--no-config", is_eager=True, callback=project.no_config, help="Read no project file."
        ),
    ] = False
    config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            is_eager=True,
            callback=project.config,
            help="Options as TOML. [default: calibcli.toml or pyproject.toml here or above]",
        ),
    ] = None

    def complete(self, result: dict[str, Any]) -> None:
        """Say in a result what of the run its workflow does not know.

        Which project file options came from, if any, and which of them count; and which artifacts
        were changed by hand.
        """
        for name in console.edited():
            result["warnings"] = [*result.get("warnings", ()), console.EDITED.format(name)]
            result["warning_codes"] = [*result.get("warning_codes", ()), "edited"]
        values: Any = self.config  # its callback returns what the file holds
        if isinstance(values, project.Values):
            result["params"]["config"] = values.path
            result["params"]["config_options"] = values.telling


RESERVED_TAGS = frozenset(
    {"slice", "column", "name", "stage", "threshold", "outcome", "expr", "version", "task"}
    | {"command", "method", "objective", "kind", "le", "quantile", "instance", "job"}
    | {"check", "decision", "score"}
)
"""Labels that results and Prometheus give by themselves."""


@dataclass(frozen=True, eq=False, repr=False)
class FormatOptions:
    """How a result is printed."""

    format: Annotated[
        Format,
        typer.Option(help="How the result is printed; junit shows the gates."),
    ] = Format.TABLE
    tag: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A label of the result for Prometheus and JUnit, such as model=churn; repeatable.",
        ),
    ] = None

    def tags(self) -> dict[str, str]:
        """Return the tags by name, before anything is read or written.

        Raises:
            UsageError: a tag without a name, with one that is no label or has a meaning already,
                or twice.
        """
        found: dict[str, str] = {}
        for text in self.tag or ():
            name, sign, value = text.partition("=")
            if not sign or not name.isascii() or not name.isidentifier() or name[:2] == "__":
                raise UsageError(
                    f"--tag {text!r} is not NAME=VALUE", "for example --tag model=churn"
                )
            if name in RESERVED_TAGS:
                raise UsageError(f"--tag {name} has a meaning already", f"call it {name}_of_mine")
            if name in found:
                raise UsageError(f"--tag {name} is given twice", "give each tag a name of its own")
            found[name] = value
        return found


def _number_or_text(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value


def texts(value: str | None) -> tuple[str, ...] | None:
    """Return the parts of a comma-separated option; None for None.

    Raises:
        UsageError: an empty part, as an unset variable leaves it.
    """
    if value is None:
        return None
    parts = tuple(part.strip() for part in value.split(","))
    if not all(parts):
        raise UsageError(
            f"{value!r} has an empty part", "is a variable of the shell unset? use one comma"
        )
    return parts


def numbers(value: str | None, option: str) -> tuple[float, ...]:
    """Return the numbers of a comma-separated option.

    Raises:
        UsageError: a part that is no finite number.
    """
    with suppress(ValueError):
        found = tuple(float(part) for part in texts(value) or ())
        if all(map(isfinite, found)):
            return found
    raise UsageError(
        f"{option} {value!r} is not a list of numbers", f"for example {option} 0.5,1,2"
    )


def whole_numbers(value: str, option: str) -> tuple[int, ...]:
    """Return the whole numbers of a comma-separated option.

    Raises:
        UsageError: a part that is no whole number.
    """
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError:
        raise UsageError(
            f"{option} {value!r} is not a list of whole numbers", f"for example {option} 15,10,20"
        ) from None
