"""`apply`: calibrated probabilities and decisions beside every row, in stream."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from calibcli._version import __version__
from calibcli.core.decisions.stored import REGIONS, SETS
from calibcli.core.results.base import plain as plain_of
from calibcli.core.results.warning import Warning, warned
from calibcli.core.statistics.buckets import buckets_of
from calibcli.engines.remote import current
from calibcli.engines.threads import map_ordered
from calibcli.errors import InputError, UsageError
from calibcli.io.formats.arrow_arrays import number_array
from calibcli.io.formats.sources import expand
from calibcli.io.output.writers import open_table_sink, output_type
from calibcli.io.provenance import metadata_of, write_beside
from calibcli.tasks.collect import Layout, usable
from calibcli.tasks.features import kind_of, refuse
from calibcli.tasks.table import TASKS
from calibcli.workflows.apply.columns import (
    added_names,
    decision_arrays,
    interval_of,
    new_groups,
    refuse_taken,
    rows_of_new_groups,
    scores_table,
)
from calibcli.workflows.apply.opening import (
    bound,
    fitting_thresholds,
    made_by,
    opened,
    without_calibrator,
)
from calibcli.workflows.apply.shares import Part, shares_of
from calibcli.workflows.input.gated import parsed, passed
from calibcli.workflows.input.gather import dropped, unseen_rows, with_group_of
from calibcli.workflows.input.loaded.loading import load_calibrator
from calibcli.workflows.input.remembered import with_scale
from calibcli.workflows.input.warnings import check_fits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from numpy.typing import NDArray

    from calibcli.core.calibrators.composed.grouped import Grouped
    from calibcli.io.rows.dataset import Batch, Categories, Dataset, InputSpec, Partition
    from calibcli.workflows.input.gather import Progress
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
    from calibcli.workflows.input.loaded.cuts import LoadedThresholds

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Notes:
    """Numbers of rows that the result tells of, a batch at a time."""

    unseen: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    strangers: list[int] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)

    def merge(self, other: _Notes) -> None:
        """Take in those of another part."""
        self.unseen.extend(other.unseen)
        self.dropped.extend(other.dropped)
        self.strangers.extend(other.strangers)
        self.parts.extend(other.parts)


def apply(
    calibrator: str | None,
    spec: InputSpec,
    output: str,
    *,
    thresholds: str | None = None,
    prior: str | None = None,
    fail_if: Sequence[str] = (),
    provenance: bool = False,
    interval: bool = False,
    stream: BinaryIO | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Write every input row with its calibrated probability, in the order of the input.

    Args:
        calibrator: path of the calibrator; None for thresholds of scores as they are, whose
            decisions are then all that is added.
        spec: what to read; labels are not needed.
        output: where to write; the suffix tells the type. NPY holds the probabilities alone.
        thresholds: path of thresholds, for a decision beside the probability.
        prior: the prevalence where the scores are used, or of each class, or "em".
        fail_if: gates, on what needs no labels; one that fails leaves the old output.
        provenance: whether a file beside the output says what made it; Parquet and Arrow do
            themselves.
        interval: whether the interval of each probability stands beside it.
        stream: write CSV here instead (standard output).
        threads: how many threads calibrate.
        progress: called with the number of rows written so far.

    Raises:
        InputError: unusable input, output or artifacts; an old output is left as it was.
        UsageError: options that do not go together, a gate that cannot be evaluated.
    """
    gates = parsed(fail_if)
    if calibrator is None:
        assert thresholds is not None
        cuts, loaded = without_calibrator(thresholds)
    else:
        cuts, loaded = None, load_calibrator(calibrator)
    if interval:
        medium = TASKS.get(spec.task or loaded.task, "rows")
        refuse("apply --interval", kind_of(loaded.task, medium))
    sure = interval_of(loaded, prior) if interval else None
    if TASKS.get(loaded.task) == "boxes":
        from calibcli.workflows.apply.boxes import apply_boxes

        if prior is not None:
            refuse("apply --prior", "boxes")
        return apply_boxes(
            calibrator,
            spec,
            output,
            thresholds=thresholds,
            fail_if=fail_if,
            provenance=provenance,
            stream=stream,
        )
    if spec.key is not None and spec.labels is None and loaded.calibrator.method != "pool":
        raise UsageError(
            "--key joins the files of several models, and the calibrator is of one", "leave it out"
        )
    if thresholds is not None and cuts is None:
        cuts = fitting_thresholds(thresholds, loaded)
    if TASKS.get(spec.task) == "images":
        if prior is not None:
            refuse("apply --prior", "masks")
        if gates:
            refuse("apply --fail-if", "masks")
        if stream is not None:
            raise UsageError("-o - is not for images", "-o OUT.npy")
        from calibcli.workflows.apply.images import apply_images

        spec = replace(spec, logits=spec.logits or loaded.logits)
        return apply_images(
            loaded,
            calibrator,
            spec,
            output,
            cuts=cuts,
            thresholds=thresholds,
            provenance=provenance,
            threads=threads,
            progress=progress,
        )
    if cuts is not None and cuts.rule == REGIONS:
        raise InputError(
            f"{thresholds} filters regions of images, and rows have none",
            "give the images: --task segmentation",
        )
    plain = "csv" if stream is not None else output_type(output).kind
    keep = plain != "npy"
    if cuts is not None and not keep:
        raise UsageError(
            "NPY holds probabilities alone, not decisions", "write -o OUT.parquet or OUT.csv"
        )
    if interval and not keep:
        raise UsageError("NPY holds probabilities alone", "write -o OUT.parquet or OUT.csv")
    spec = with_scale(spec, loaded.raw_scale, "the calibrator was fitted")
    if loaded.logits and not spec.logits:
        spec = replace(spec, logits=True)
    assumed: Result = {}
    if loaded.classes and spec.classes is None:
        spec, assumed = replace(spec, classes=loaded.classes), {"classes": None}
    if spec.task is None:
        spec, assumed = replace(spec, task=loaded.task), {**assumed, "task": None}
    spec = with_group_of(spec, loaded.calibrator)
    if cuts is not None and cuts.group is not None and cuts.group not in spec.groups:
        spec = replace(spec, groups=(*spec.groups, cuts.group))
    sources = expand(spec.paths, spec.input_format)
    named = spec.score is not None or spec.scores is not None
    pool = loaded.calibrator.method == "pool"  # opens the columns of its models by itself
    if not named and not pool and loaded.stored.input.scores:
        spec = bound(spec, loaded, sources)
    typed = plain in ("parquet", "arrow")
    dataset = opened(spec, loaded, sources, assumed, keep=keep, typed=typed)
    check_fits(loaded, dataset.task, dataset.classes, logits=spec.logits)
    layout = Layout(
        dataset.task, dataset.classes, dataset.score_names, logits=spec.logits, intervals=False
    )
    names = added_names(loaded, cuts, interval, bare=calibrator is None) if keep else []
    if keep and dataset.schema is not None:
        refuse_taken(dataset, names)
    rows = 0
    place = None if cuts is None or cuts.group is None else spec.groups.index(cuts.group)
    text = plain in ("csv", "tsv")

    def readable(batch: Batch, notes: _Notes) -> Batch:
        found, bad = usable(batch, layout)
        if found is None or not bad:
            return batch
        if spec.drop_invalid:
            notes.dropped.append(bad)
            return batch.take(found)
        row = batch.row(int((~found).argmax()))
        raise InputError(
            f"{batch.source}, row {row + 1:,}: no usable score",
            "leave such rows out with --drop-invalid",
        )

    shift = None
    if prior is not None:
        from calibcli.workflows.apply.prior import Sample, shift_of

        def sample(batch: Batch) -> Sample:
            mass = batch.count if batch.weight is None else batch.weight
            bucket = None if batch.unit is None else buckets_of(batch.unit)
            return Sample(batch.scores, _probabilities(loaded, batch, spec, []), mass, bucket)

        samples = (sample(readable(batch, _Notes())) for batch in dataset.batches())
        shift = shift_of(loaded, prior, samples, logits=spec.logits)

    def one(batch: Batch, notes: _Notes) -> Any:
        batch = readable(batch, notes)
        p = _probabilities(loaded, batch, spec, notes.unseen)
        if shift is not None:
            p = shift.apply(p)
        group = None if place is None else batch.groups[place]
        decided = None
        if cuts is not None and calibrator is not None:
            decided = _decided(cuts, p, group, logits=False)
        elif cuts is not None:  # the scores themselves: logits of 40 and 41 are both 1.0
            decided = _decided(cuts, batch.scores, group, logits=spec.logits)
        notes.parts.append(Part.of(p, decided, exclusive=dataset.exclusive))
        if not keep:
            return p
        table = scores_table(batch, loaded) if batch.table is None else batch.table
        if cuts is not None and group is not None:
            notes.strangers.append(rows_of_new_groups(cuts, group.codes, group.values))
        columns = [] if calibrator is None else [p] if p.ndim == 1 else list(p.T)
        if sure is not None:
            scores = np.asarray(batch.scores, np.float64)
            own = None if loaded.group is None else batch.groups[spec.groups.index(loaded.group)]
            ends = sure(scores, p, own, logits=spec.logits)
            columns += (
                ends if p.ndim == 1 else [end[:, k] for k in range(p.shape[1]) for end in ends]
            )
        arrays = [number_array(column) for column in columns]
        if cuts is not None and decided is not None:
            arrays += decision_arrays(cuts, decided, text=text)
        for name, array in zip(names, arrays, strict=True):
            table = table.append_column(name, array)
        return table

    def whole(partition: Partition) -> tuple[list[Any], _Notes]:
        own = _Notes()
        return [one(batch, own) for batch in partition.batches()], own

    notes = _Notes()

    def tables() -> Iterator[Any]:
        if current() is None:
            yield from map_ordered(lambda batch: one(batch, notes), dataset.batches(), threads)
            return
        for made, own in map_ordered(whole, dataset.partitions):
            notes.merge(own)
            yield from made

    made = made_by(None if calibrator is None else loaded, cuts, names)
    with open_table_sink(output, stream=stream, metadata=metadata_of(made)) as sink:
        for table in tables():
            sink.write(table)
            rows += len(table)
            if progress is not None:
                progress(rows)
        result = _result(dataset, loaded, calibrator, thresholds, rows, output)
        found = shares_of(
            notes.parts,
            dataset.classes,
            sets=cuts is not None and cuts.rule == SETS,
            refers=cuts is not None and cuts.refers,
        )
        result["decided"] = plain_of(found)
        if not passed(result, gates):
            sink.abort()
            provenance = False
    if provenance:
        result["provenance"] = write_beside(output, made)
    strangers = sum(notes.strangers)
    said = [unseen_rows(sum(notes.unseen))] if notes.unseen else []
    said += [] if cuts is None or not strangers else [new_groups(cuts, strangers)]
    if notes.dropped:
        said.append(dropped(sum(notes.dropped), "rows without a usable score"))
    if shift is not None:
        said += shift.caution()
        if cuts is not None:
            before = "the thresholds were chosen before --prior moved the probabilities"
            said.append(Warning("prior", before))
    result |= warned(said)
    if shift is not None:
        result["prevalence"] = shift.words()
        result["prior"] = shift.to_dict()
    return result


def _result(
    dataset: Dataset,
    loaded: LoadedCalibrator,
    calibrator: str | None,
    thresholds: str | None,
    rows: int,
    output: str,
) -> Result:
    return {
        "schema": "calibcli/apply",
        "version": 1,
        "calibcli": __version__,
        "inputs": dataset.inputs,
        "params": {"calibrator": calibrator, "thresholds": thresholds},
        "task": dataset.task,
        "method": None if calibrator is None else loaded.method,
        "rows": rows,
        "output": output,
        **warned(()),
    }


def _decided(
    cuts: LoadedThresholds, scores: NDArray[Any], group: Categories | None, *, logits: bool
) -> NDArray[Any]:
    """Decide calibrated probabilities, or scores as they are, (n,) or (n, K)."""
    codes, values = (None, None) if group is None else (group.codes, group.values)
    return cuts.decide_coded(scores, codes, values, logits=logits)


def _probabilities(
    loaded: LoadedCalibrator, batch: Batch, spec: InputSpec, unseen: list[int]
) -> NDArray[np.float64]:
    """Calibrate a batch; `unseen` is told of rows whose group the calibrator does not know."""
    if loaded.group is None:
        scores = batch.scores if batch.models is None else batch.models
        return loaded.apply(scores, logits=spec.logits)
    group = batch.groups[spec.groups.index(loaded.group)]
    missed = cast("Grouped", loaded.calibrator).unseen(group.codes, group.values)
    if missed:
        unseen.append(missed)
    return loaded.apply_coded(batch.scores, group.codes, group.values, logits=spec.logits)
