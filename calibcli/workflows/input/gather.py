"""What every command starts with: score files, or saved statistics, to populations of pairs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from calibcli._version import __version__
from calibcli.core.results.warning import Warning
from calibcli.errors import InputError, UsageError
from calibcli.io.dataset import raw_scale_of
from calibcli.io.failures import reading
from calibcli.io.formats.sources import expand, one_array
from calibcli.tasks.collect import Counted, count
from calibcli.tasks.families import families_of, merged, population_of, whole
from calibcli.tasks.population import Layout, OfTask, Population, of_pairs
from calibcli.tasks.table import TASKS, medium, open_dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.numeric.raw_scale import RawScale
    from calibcli.io.dataset import Dataset
    from calibcli.io.formats.sources import Source
    from calibcli.io.rows.recipe import InputSpec
    from calibcli.tasks.watching import Watch
    from calibcli.workflows.input.conventions import Conventions

    Progress = Callable[[int], None]
    Opened = tuple[Dataset | None, Sequence[Source]]

Result = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Slice:
    """A population under its name in the JSON, before and after calibration."""

    where: Result
    population: Population
    calibrated: Population | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Gathered(OfTask):
    """Everything a command knows about its input."""

    task: str
    classes: tuple[str, ...]
    logits: bool
    overall: Slice
    groups: tuple[Slice, ...]
    inputs: list[Result]
    params: Result
    dropped: int = 0
    dataset: Dataset | None = None
    warnings: list[Warning] = field(default_factory=list)
    labelled: bool = True
    watch: Watch | None = None

    @property
    def raw_scale(self) -> RawScale | None:
        """How raw scores were turned into logits; None where scores are no raw ones."""
        return raw_scale_of(self.dataset)

    @property
    def name(self) -> str:
        """What a user calls the task."""
        return self.task if self.dataset is None else self.dataset.name

    @property
    def medium(self) -> str:
        """What the files hold: "rows", "images" or "boxes"."""
        return "rows" if self.dataset is None else self.dataset.medium

    def as_pairs(self) -> Gathered:
        """Return boxes of all classes as one population of pairs, and so those of each group.

        What has one score a row, whatever it is of, is fitted and compared alike.
        """
        if self.dataset is None or self.dataset.medium != "boxes":
            return self

        def pooled(one: Slice) -> Slice:
            before, after = one.population, one.calibrated
            return replace(
                one,
                population=of_pairs(before.pairs, units=before.units),
                calibrated=None if after is None else of_pairs(after.pairs),
            )

        return replace(
            self,
            task="binary",
            classes=(),
            overall=pooled(self.overall),
            groups=tuple(map(pooled, self.groups)),
        )

    @property
    def fitted_task(self) -> str:
        """The task of a calibrator of these rows: boxes have one of their own."""
        return self.name if self.medium == "boxes" else self.task

    @property
    def fitted_classes(self) -> tuple[str, ...]:
        """The classes that a calibrator of these rows names, also where all are fitted alike."""
        boxes = self.dataset is not None and self.medium == "boxes"
        return self.dataset.classes if boxes and self.dataset is not None else self.classes

    @property
    def clustered(self) -> bool:
        """Whether several rows can be of one unit: a cluster, or an image."""
        if self.dataset is not None:
            return self.dataset.unit.clustered
        return bool(self.params.get("cluster"))

    @property
    def class_slices(self) -> list[Slice]:
        """One slice for each class of a multi-class or multi-label input, against the rest."""
        after = self.overall.calibrated
        found = []
        for k, name in enumerate(self.classes):
            own = one_class(self.overall.population, k)
            changed = None if after is None else one_class(after, k)
            found.append(Slice({"kind": "class", "name": name}, own, changed))
        return found


def one_class(population: Population, k: int) -> Population:
    """Return class k against the rest. Rows are independent again: one pair a row."""
    stats = population.classes[k]
    if population.rows_apart:
        return of_pairs(stats if stats.parts is None else replace(stats, parts=None))
    extra = None if population.extra is None else population.extra.of_label(k)
    return of_pairs(stats, units=population.units, extra=extra)


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
        edges=conventions.exact_on(raw_scale_of(dataset)),
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
) -> Gathered:
    """Read the input once and return its populations, also after a calibrator if given.

    Labels must be found; with `labels` None they are read if there are any. `watch` sketches the
    rows of score files. `opened` is the input where it has been opened before. `by_bucket` tells
    that the statistics are to be saved.

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
        found = _from_stats(sources)
        return found if calibrator is None else calibrated_cells(found, calibrator)
    layout = replace(layout_of(dataset, spec, conventions), by_bucket=by_bucket)
    counted = count(
        dataset,
        layout,
        calibrator=calibrator,
        columns=reading.groups,
        beside=() if watch is None else (watch,),
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


def from_counted(dataset: Dataset, spec: InputSpec, counted: Counted) -> Gathered:
    """Return the populations that a pass has counted."""
    after = counted.calibrated
    overall = Slice(
        {"kind": "overall"},
        counted.side.population(),
        None if after is None else after.population(),
    )
    groups = [
        Slice(
            {"kind": "group", "column": column, "value": value},
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


def _natural(value: str) -> tuple[bool, float, str]:
    """Sort numbers as numbers, before text."""
    try:
        return False, float(value), value
    except ValueError:
        return True, 0.0, value


def input_params(spec: InputSpec, dataset: Dataset) -> Result:
    """Return the input options as they stand in the JSON."""
    return medium(dataset.medium).params(spec, dataset)


# -- saved statistics ------------------------------------------------------------------------------


def stats_payload(found: Gathered) -> Result:
    """Return the statistics artifact of some input."""
    from calibcli.io.rows.hashing import with_digest

    return {
        "calibcli": __version__,
        "task": found.task,
        "classes": list(found.classes),
        "logits": found.logits,
        "inputs": [with_digest(one) for one in found.inputs],
        "params": found.params,
        "families": {
            "overall": families_of(found.overall.population),
            "groups": [
                {"slice": group.where, **families_of(group.population)} for group in found.groups
            ],
        },
    }


def _payload(source: Source) -> Result:
    from calibcli.io.artifacts.artifacts import parse_artifact, read_artifact

    with reading(source.name), source.open() as file:
        if file.read(64).lstrip().startswith(b"["):
            raise one_array(source)
    if source.data is None and source.spool is None:
        return read_artifact(source.path, "stats")
    with source.open() as file:
        return parse_artifact(file.read(), source.name, "stats")


def _slice_key(where: Result) -> str:
    return f"{where['column']}\0{where['value']}"


def _from_stats(sources: Sequence[Source]) -> Gathered:
    """Merge saved statistics; rows that come twice are refused.

    Statistics are told apart by the digests of the files that they were counted from, as two
    shards may hold equal counts; by the counts where there are no digests.
    """
    total: Population | None = None
    groups: dict[str, tuple[Result, Population]] = {}
    seen: dict[str, str] = {}
    first: Result = {}
    inputs: list[Result] = []
    for source in sources:
        path, payload = source.name, _payload(source)
        first = first or payload
        for name in ("task", "classes", "logits"):
            if payload[name] != first[name]:
                raise InputError(
                    f"{path} and {sources[0].name} differ in {name}", "merge statistics of one kind"
                )
        with whole():
            families = payload["families"]
            own = population_of(payload["task"], families["overall"])
            parts = [
                (one["slice"], population_of(payload["task"], one), _slice_key(one["slice"]))
                for one in families["groups"]
            ]
        saved = payload.get("inputs", [])
        digests = {one["digest"] for one in saved if one.get("digest")} or {own.pairs.digest()}
        if twice := digests & seen.keys():
            raise InputError(
                f"{path} holds the same rows as {seen[min(twice)]}",
                "leave out the copy: its rows would count twice",
            )
        seen |= dict.fromkeys(digests, path)
        total = own if total is None else merged(total, own)
        for where, one, key in parts:
            groups[key] = (where, merged(groups[key][1], one) if key in groups else one)
        inputs += [{name: one[name] for name in ("path", "rows")} for one in saved]
    assert total is not None
    return Gathered(
        first["task"],
        tuple(first["classes"]),
        first["logits"],
        Slice({"kind": "overall"}, total),
        tuple(Slice(where, one) for where, one in groups.values()),
        inputs,
        first.get("params", {}),
    )


def calibrated_cells(found: Gathered, calibrator: Calibrator | tuple[Calibrator, ...]) -> Gathered:
    """Calibrate the cells of saved binary statistics."""
    from calibcli.core.fitting.held_out import apply_to_cells

    if not found.single or isinstance(calibrator, tuple):
        raise UsageError(
            "a calibrator of several classes needs whole rows", "give the score files instead"
        )

    def after(one: Slice) -> Slice:
        stats = one.population.pairs
        changed = of_pairs(stats.map(apply_to_cells(calibrator, stats)))
        return replace(one, calibrated=changed)

    groups = tuple(after(group) for group in found.groups)
    return replace(found, overall=after(found.overall), groups=groups)
