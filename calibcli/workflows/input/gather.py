"""What every command starts with: score files, or saved statistics, to populations of pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from calibcli.core.results.figures import OVERALL, Where
from calibcli.core.results.warning import Warning
from calibcli.errors import InputError, UsageError
from calibcli.io.failures import reading
from calibcli.io.formats.sources import expand
from calibcli.tasks.collect import Counted, count
from calibcli.tasks.population import Layout
from calibcli.tasks.table import TASKS, medium, open_dataset
from calibcli.workflows.input.gathered import Gathered, Slice
from calibcli.workflows.input.saved import calibrated_cells, from_stats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calibcli.core.calibrators import Calibrator
    from calibcli.io.dataset import Dataset
    from calibcli.io.formats.source import Source
    from calibcli.io.rows.recipe import InputSpec
    from calibcli.tasks.watching import Watch
    from calibcli.workflows.input.conventions import Conventions

    Progress = Callable[[int], None]
    Opened = tuple[Dataset | None, Sequence[Source]]

Result = dict[str, Any]


def is_artifact(source: Source) -> bool:
    """Return whether a file that may be JSON is one that calibcli has written."""
    if source.kind != "stats":
        return False
    with reading(source.name), source.open() as file:
        return b'"calibcli/' in file.read(256)


def holds_stats(sources: Sequence[Source], task: str | None = None) -> bool:
    """Return whether the input is saved statistics rather than scores.

    Boxes are JSON too.

    Raises:
        InputError: it is some of both.
    """
    kinds = {source.kind for source in sources}
    if TASKS.get(task) == "boxes" and "stats" in kinds:
        kinds = {"stats" if is_artifact(source) else "scores" for source in sources}
    if "stats" in kinds and len(kinds) > 1:
        raise InputError(
            "scores and saved statistics cannot be read as one data set",
            "save the statistics of the scores too: calibcli measure SCORES --save-stats FILE",
        )
    return kinds == {"stats"}


def reads_stats(spec: InputSpec) -> bool:
    """Return whether the input options name files of saved statistics; a pipe is left unread."""
    return "-" not in spec.paths and holds_stats(expand(spec.paths, spec.input_format), spec.task)


def layout_of(dataset: Dataset, spec: InputSpec, conventions: Conventions) -> Layout:
    """Return what a pass over this data set counts."""
    return Layout(
        task=dataset.task,
        classes=dataset.classes,
        names=dataset.score_names,
        groups=spec.groups,
        edges=conventions.exact_on(dataset.raw_scale),
        logits=spec.logits,
        weighted=spec.weighted,
        clustered=dataset.unit.clustered,
        intervals=conventions.confidence is not None,
        drop_invalid=spec.drop_invalid,
        medium=dataset.medium,
    )


def gather(
    spec: InputSpec,
    conventions: Conventions,
    *,
    calibrator: Calibrator | tuple[Calibrator, ...] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    labels: bool | None = True,
    watch: Watch | None = None,
    opened: Opened | None = None,
    by_bucket: bool = False,
    to_logits: bool = False,
) -> Gathered:
    """Read the input once and return its populations, also after a calibrator if given.

    Labels must be found; with `labels` None they are read if there are any. `watch` sketches the
    rows of score files. `opened` is the input where it has been opened before. `by_bucket` tells
    that the statistics are to be saved; for `to_logits` see `Counts`.

    Raises:
        InputError: input that cannot be used.
        UsageError: options that do not fit the input.
    """
    reading = with_group_of(spec, calibrator)
    if opened is None:
        opened = open_input(spec, calibrator, labels=labels)
    dataset, sources = opened
    if dataset is None:
        if spec.raw:
            raise UsageError("--raw is for scores, and these are saved statistics", "leave it out")
        if spec.groups:
            raise UsageError(
                "--group cannot be read from saved statistics",
                "they hold the groups that they were saved with",
            )
        found = from_stats(sources)
        if calibrator is None:
            return found
        return calibrated_cells(found, calibrator, to_logits=to_logits)
    layout = replace(layout_of(dataset, spec, conventions), by_bucket=by_bucket)
    counted = count(
        dataset,
        layout,
        calibrator=calibrator,
        columns=reading.groups,
        beside=() if watch is None else (watch,),
        to_logits=to_logits,
        threads=threads,
        progress=progress,
    )
    return replace(from_counted(dataset, spec, counted), watch=watch)


def open_input(
    spec: InputSpec,
    calibrator: Calibrator | tuple[Calibrator, ...] | None = None,
    *,
    labels: bool | None = True,
) -> Opened:
    """Open score files, with the group column that a calibrator reads; a pipe is opened once.

    Returns:
        (the data set, or None for saved statistics; the files).
    """
    sources = expand(spec.paths, spec.input_format)
    if holds_stats(sources, spec.task):
        return None, sources
    reading = with_group_of(spec, calibrator)
    dataset = open_for(calibrator, reading, sources, need_labels=labels)
    return dataset.by_content(), sources


def open_for(
    calibrator: Calibrator | tuple[Calibrator, ...] | None,
    spec: InputSpec,
    sources: Sequence[Source],
    **options: Any,
) -> Dataset:
    """Open score files as a calibrator reads them: one score, or those of several models.

    Raises:
        InputError: files that cannot be used.
    """
    one = calibrator[0] if isinstance(calibrator, tuple) else calibrator
    if one is None or one.method != "pool":
        return open_dataset(spec, sources=sources, **options)
    from calibcli.core.calibrators.composed.model_pool import ModelPool
    from calibcli.tasks.rows.models import open_models

    assert isinstance(one, ModelPool)
    return open_models(spec, one.models, files=one.files, sources=sources, **options)


def with_group_of(
    spec: InputSpec, calibrator: Calibrator | tuple[Calibrator, ...] | None
) -> InputSpec:
    """Return the input options with the group column that a calibrator by group reads, if any."""
    one = calibrator[0] if isinstance(calibrator, tuple) else calibrator
    column = getattr(one, "column", None)
    if column is None or column in spec.groups:
        return spec
    return replace(spec, groups=(*spec.groups, column))


@dataclass(frozen=True, slots=True)
class Reading:
    """How rows are read, as often as a command has to.

    Attributes:
        spec: what to read.
        conventions: what stays exact, and whether there are intervals.
        watch: sketches the rows of the first pass.
        threads: how many threads read; `progress` is told how far the first pass is.
    """

    spec: InputSpec
    conventions: Conventions
    watch: Watch | None = None
    threads: int | None = None
    progress: Progress | None = None

    @property
    def again(self) -> Self:
        """The same for further passes, of which nobody is told."""
        return replace(self, watch=None, progress=None)

    def with_groups(self, *columns: str) -> Self:
        """Return the same with other group columns."""
        return replace(self, spec=replace(self.spec, groups=columns))

    def layout(self, dataset: Dataset) -> Layout:
        """Return what a pass over opened files counts."""
        return layout_of(dataset, self.spec, self.conventions)

    def read(
        self,
        opened: Opened | None = None,
        calibrator: Calibrator | tuple[Calibrator, ...] | None = None,
        *,
        to_logits: bool = False,
    ) -> Gathered:
        """Read everything once, also after a calibrator if given; see `gather`.

        Raises:
            InputError: input that cannot be used.
            UsageError: options that do not fit the input.
        """
        return gather(
            self.spec,
            self.conventions,
            calibrator=calibrator,
            threads=self.threads,
            progress=self.progress,
            watch=self.watch,
            opened=opened,
            to_logits=to_logits,
        )


def from_counted(dataset: Dataset, spec: InputSpec, counted: Counted) -> Gathered:
    """Return the populations that a pass has counted."""
    after = counted.calibrated
    overall = Slice(
        OVERALL,
        counted.side.population(),
        None if after is None else after.population(),
    )
    groups = [
        Slice(
            Where("group", column=column, value=value),
            counted.side.group(number, value),
            None if after is None else after.group(number, value),
        )
        for number, column in enumerate(spec.groups)
        for value in sorted(counted.groups[number].values or (), key=_natural)
    ]
    return Gathered(
        dataset.task,
        dataset.classes,
        spec.logits,
        overall,
        tuple(groups),
        dataset.inputs,
        input_params(spec, dataset),
        counted.dropped,
        dataset,
        [
            *reading_warnings(dataset, counted.dropped, counted.unseen),
            *medium(dataset.medium).warnings(dataset, overall.population),
        ],
        counted.labelled,
    )


def reading_warnings(dataset: Dataset, left_out: int, unseen: int) -> list[Warning]:
    """Return what is to be said of a pass: rows without a score or label, and of no known group."""
    found = list(dataset.remarks)
    if left_out:
        found.append(dropped(left_out, "rows without a usable score or label"))
    if unseen:
        found.append(unseen_rows(unseen))
    return found


def unseen_rows(rows: int) -> Warning:
    """Return the warning about rows of groups that a calibrator was not fitted on."""
    text = f"{rows:,} rows belong to groups that the calibrator has not seen: the overall map"
    return Warning("unseen-group", text)


def dropped(number: float, what: str) -> Warning:
    """Return the warning about rows, boxes or records that are left out."""
    return Warning("dropped", f"{number:,} {what} were left out")


def input_params(spec: InputSpec, dataset: Dataset) -> Result:
    """Return the input options as they stand in the JSON."""
    return medium(dataset.medium).params(spec, dataset)


def _natural(value: str) -> tuple[bool, float, str]:
    """Sort numbers as numbers, before text."""
    try:
        return False, float(value), value
    except ValueError:
        return True, 0.0, value
