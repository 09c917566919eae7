"""Options that commands share, each declared once, as fields of small dataclasses."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any

from calibcli.cli import console, project
from calibcli.cli.choices import Binned, Closed, EngineName, Format, Task, flag, option
from calibcli.errors import UsageError

SCORES_HELP = "Parquet, CSV, JSON Lines, Arrow or NPY files, folders, globs, URIs, or - for stdin."


@dataclass(frozen=True, eq=False, repr=False)
class InputOptions:
    """Where the scores and labels are."""

    score: str | None = option("COL", "The score column (binary).")
    scores: str | None = option(
        "COL,COL", "The score columns in class order, or a glob such as 'prob_*'."
    )
    label: str | None = option("COL", "The label column.")
    labels: str | None = option("FILE", "Labels in a file of their own.")
    logits: bool = flag("Scores are logits.")
    raw: bool = flag("Scores are no probabilities: points, margins, distances.")
    descending: bool = flag("With --raw: low scores mean label 1.")
    task: Task | None = option(None, "What a row is; default by the shape of the scores.")
    classes: str | None = option("A,B,C", "Class names, bound to the score columns in order.")
    positive: str | None = option("VALUE", "The label that means 1.")
    weight: str | None = option("COL", "Importance weight of a row.")
    count: str | None = option("COL", "How many identical rows a row stands for.")
    cluster: str | None = option("COL", "Rows that belong together: a patient, an image.")
    drop_invalid: bool = flag("Leave out rows without a score or label.")
    input_format: str | None = option("FORMAT", "Format of standard input: csv, jsonl, parquet, …")
    key: str | None = option(
        "COL[,COL]", "Join --labels FILE to the scores by this column of both."
    )
    predicted: str | None = option(
        "COL", "The predicted class, of which --score is the confidence."
    )
    votes: str | None = option(
        "N|COL", "Labels count who said 1, of N annotators or of as many as COL says; 1: shares."
    )
    renormalise: bool = flag("Class probabilities were rounded: make them sum to 1.")

    layout: str | None = option(
        "NCHW|NHWC|CDHW", "Axes of image stacks (segmentation). [default: NCHW]"
    )
    ignore_label: str | None = option("V", "Leave out rows, or pixels, with this label.")
    scale: float | None = option("S", "Scores are probabilities times S, such as 255.")

    images: str | None = option(
        "FILE", "A table of images, by their ids: columns for --group, --cluster, --by, --weight."
    )

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
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        read = {
            "scores": texts(self.scores),
            "logits": self.logits or self.raw,
            "task": None if self.task is None else self.task.value,
            "classes": texts(self.classes),
            "ignore_label": None
            if self.ignore_label is None
            else _number_or_text(self.ignore_label),
        }
        spec = InputSpec(paths=tuple(paths), groups=groups, **{**given, **read})
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
        for name, value in of_images.items():
            if value is not None:
                raise UsageError(f"{name} is for images", "add --task segmentation")
        for name, value in of_rows.items():
            if value is not None:
                raise UsageError(f"{name} is not for --task {self.task}", "leave it out")
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

    group: list[str] | None = option("COL", "The same again for each value of this column.")


@dataclass(frozen=True, eq=False, repr=False)
class BinOptions:
    """How scores are binned and how sure intervals are."""

    bins: str = option("B[,B…]", "Numbers of bins; the first is the headline.", default="15")
    binning: Binned = option(None, "Bins of equal width or of equal mass.", default=Binned.WIDTH)
    edges: str | None = option("0,…,1", "Bin edges, instead of a number of bins.")
    closed: Closed = option(None, "Which end a bin holds: right is (lo, hi].", default=Closed.RIGHT)
    tolerance: float = option(None, "A gap up to this is within tolerance.", default=0.05)
    confidence: float = option(None, "Level of the intervals.", default=0.95)
    no_ci: bool = flag("No intervals.")
    seed: int = option(None, "Seed of everything that is drawn.", default=0)

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

    threads: int | None = option(None, "Threads; default the cores of this process.", min=1)
    engine: EngineName = option(
        None,
        "Where files are read: in threads here, or by Dask workers.",
        default=EngineName.THREADS,
    )
    scheduler: str | None = option("tcp://HOST:PORT", "The Dask scheduler, with --engine dask.")
    quiet: bool = flag("No warnings on stderr.", short="-q")
    verbose: bool = flag("Say more on stderr.", short="-v")
    debug: bool = flag("Show the traceback of a failure.")
    no_config: bool = flag("Read no project file.", is_eager=True, callback=project.no_config)
    config: str | None = option(
        "FILE",
        "Options as TOML. [default: calibcli.toml or pyproject.toml here or above]",
        is_eager=True,
        callback=project.config,
    )

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

    format: Format = option(
        None, "How the result is printed; junit shows the gates.", default=Format.TABLE
    )
    tag: list[str] | None = option(
        "NAME=VALUE",
        "A label of the result for Prometheus and JUnit, such as model=churn; repeatable.",
    )

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
