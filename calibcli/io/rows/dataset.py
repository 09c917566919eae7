"""The door: score files in, batches of arrays out, whatever the files are.

A data set is a list of partitions that can be read again, apart and from different threads, in
bounded memory. The partitions and batches of the same files are always the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from calibcli.engines.threads import map_ordered
from calibcli.errors import InputError
from calibcli.io.dataset import ROW, Batch, Dataset, Partition, Unit
from calibcli.io.failures import show
from calibcli.io.formats.buffers import ARRAY
from calibcli.io.formats.frames import Reader
from calibcli.io.formats.readers import open_reader
from calibcli.io.formats.sources import expand
from calibcli.io.provenance import made_of, noted
from calibcli.io.rows.batch import RowBatch
from calibcli.io.rows.beside.view import Beside
from calibcli.io.rows.evidence import Evidence
from calibcli.io.rows.keys import Categories
from calibcli.io.rows.names import known
from calibcli.io.rows.partition import RowPartition, Shared
from calibcli.io.rows.recipe import InputSpec, Recipe
from calibcli.io.rows.resolve import make_recipe, require_same
from calibcli.io.task import OfTask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calibcli.core.numeric.raw_scale import RawScale
    from calibcli.core.results.parts.provenance import Provenance
    from calibcli.core.results.warning import Warning
    from calibcli.io.formats.source import Source
    from calibcli.io.rows.beside.side import SideTable

__all__ = [
    "Batch",
    "Categories",
    "Dataset",
    "InputSpec",
    "Partition",
    "RowBatch",
    "RowDataset",
    "open_dataset",
]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RowDataset(OfTask):
    """Opened files: what they hold, and the partitions to read.

    Attributes:
        task: "binary", "multiclass" or "multilabel".
        classes: The K class names, in the order of the scores; () for binary.
        score_names: The score columns; () for an array without names.
        partitions: In row order.
        schema: The pyarrow.Schema of `Batch.table`, when all columns are kept.
        unit: What is independent: a row, or what the cluster column names.
        remark: What is to be said of how labels are understood.
        raw_scale: How scores that are no probabilities were turned into logits.
        made: What has made each file, where it says.
    """

    task: str
    classes: tuple[str, ...]
    score_names: tuple[str, ...]
    partitions: list[RowPartition]
    schema: Any
    paths: tuple[str, ...]
    shared: Shared = field(repr=False)
    unit: Unit = ROW
    remark: Warning | None = None
    scores_beside: bool = False
    raw_scale: RawScale | None = None
    made: tuple[Provenance | None, ...] = ()

    medium: ClassVar[str] = "rows"

    @property
    def name(self) -> str:
        """What a user calls the task."""
        return self.task

    @property
    def sources(self) -> tuple[Source, ...]:
        """The files, as they can be opened again."""
        return tuple({id(p.reader): p.reader.source for p in self.partitions}.values())

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """Return {"path", "rows"} of each file; rows is None before a pass where it is unknown."""
        side = self.partitions[0].beside.side if self.partitions else None
        if self.scores_beside and side is not None:
            return [{"path": side.path, "rows": side.rows}]
        rows: list[int | None] = [0] * len(self.paths)
        for partition in self.partitions:
            n = self.shared.rows.get(partition.index, partition.rows)
            before = rows[partition.source_index]
            rows[partition.source_index] = None if n is None or before is None else before + n
        plain = [{"path": path, "rows": n} for path, n in zip(self.paths, rows, strict=True)]
        return [noted(one, made) for one, made in zip(plain, self.made, strict=True)]

    @property
    def remarks(self) -> list[Warning]:
        """What is to be said of how the files were read, after a pass."""
        from calibcli.core.results.warning import Warning

        found = [] if self.remark is None else [self.remark]
        if self.shared.ignored:
            total = sum(self.shared.ignored.values())
            rows = "row has" if total == 1 else "rows have"
            found.append(
                Warning("ignored", f"{total:,} {rows} the label to ignore and are left out")
            )
        return found + self._unmatched()

    def _unmatched(self) -> list[Warning]:
        """Return how many rows of either file the other does not have."""
        from calibcli.core.results.warning import Warning

        joins, found = self.shared.joins, []
        if joins.found is None:
            return []
        side = self.partitions[0].beside.side
        assert side is not None
        unmatched, rows = sum(joins.unmatched.values()), sum(self.shared.rows.values())
        what = "have no scores there" if self.scores_beside else "are left out"
        lonely, path = side.rows - int(joins.found.sum()), show(side.path)
        if unmatched:
            text = f"{unmatched:,} of {rows:,} rows {what}: their keys are not in {path}"
            found.append(Warning("unmatched", text))
        if lonely:
            lack = "are of no row here" if self.scores_beside else "have no scores"
            text = f"{lonely:,} of {side.rows:,} rows of {path} {lack}"
            found.append(Warning("unmatched", text))
        return found

    def by_content(self) -> RowDataset:
        """Return the same, whose rows are known by what they hold; see `identity`.

        Rows of one score are counted by it, and clusters have their own identity.

        Raises:
            InputError: see `RowPartition.batches`.
        """
        if self.unit.clustered or self.task == "binary":
            return self
        return self.numbered()

    def numbered(self) -> RowDataset:
        """Return the same with the copies of each row numbered, unless there are too many rows."""
        from calibcli.io.rows.identity import copies_of

        copies = copies_of(self.partitions, len(self.classes))
        if copies is None:
            return self
        parts = [
            replace(part, copies=own) for part, own in zip(self.partitions, copies, strict=True)
        ]
        return replace(self, partitions=parts)

    def as_read(self) -> RowDataset:
        """Return the same, a row of the file a row."""
        return replace(self, partitions=[replace(one, copies=None) for one in self.partitions])

    def batches(self) -> Iterator[RowBatch]:
        """Read everything, in row order, in this thread."""
        for partition in self.partitions:
            yield from partition.batches()


def open_dataset(
    spec: InputSpec,
    *,
    need_labels: bool | None = True,
    keep_columns: bool = False,
    typed: bool = False,
    sources: Sequence[Source] | None = None,
    scores_beside: str | None = None,
) -> RowDataset:
    """Open score files: expand the paths, read the headers, choose the columns.

    Args:
        spec: The input options.
        need_labels: True: labels must be found. False: none are read. None: if there are any.
        keep_columns: Also hand over all columns, as `Batch.table`; those of a CSV file as text,
            exactly as they are.
        typed: Give those columns types where all values allow, which takes a pass over the files:
            for an output that has types, such as Parquet.
        sources: What `expand` made of the paths before; a pipe can be read only once.
        scores_beside: A file that has the scores, for the rows of these files, by their key.

    Raises:
        InputError: A file that is missing, empty or damaged, a column that is missing, ambiguous
            or of the wrong type, files that differ in their columns, labels of another length.
        UsageError: Options that do not fit together.
    """
    if sources is None:
        sources = expand(spec.paths, spec.input_format)
    readers = [open_reader(source) for source in sources]
    first = next((r for r in readers if any(part.rows != 0 for part in r.parts)), None)
    if first is None:
        raise InputError(
            f"{show(readers[0].source.name)} holds no rows",
            hint="it has a header and nothing else: is it the file that was meant?",
        )
    other = scores_beside or spec.labels
    side_readers = tuple(map(open_reader, expand((other,)))) if other else ()
    _refuse_unequal(spec, first)
    side_first = Evidence(side_readers[0]) if side_readers else None
    recipe = make_recipe(
        spec,
        Evidence(first),
        side_first,
        need_labels=need_labels,
        scores_beside=scores_beside is not None,
    )
    for reader in readers:
        if reader is not first:
            require_same(recipe, first, reader, keep=keep_columns)
    side, offsets = _side(recipe, side_readers, readers)
    schema = first.schema() if keep_columns else None
    if typed and schema is not None:
        schema = _typed(readers, schema)
    shared = Shared()
    earlier = 0
    chunked = any(place.every for place in recipe.groups)
    for number, reader in enumerate(readers):
        name = reader.source.name
        beside = Beside(side, offsets[number], name, recipe.key, recipe.same)
        for part in reader.parts:
            index = len(shared.partitions)
            shared.partitions.append(
                RowPartition(
                    name,
                    number,
                    index,
                    part,
                    reader,
                    recipe,
                    beside,
                    keep_columns,
                    schema,
                    shared,
                    before=earlier,
                )
            )
        earlier += reader.count() if chunked and number + 1 < len(readers) else 0
    dataset = RowDataset(
        task=recipe.task,
        classes=recipe.classes,
        score_names=() if recipe.scores == (ARRAY,) else recipe.scores,
        partitions=shared.partitions,
        schema=schema,
        paths=tuple(source.shown for source in sources),
        shared=shared,
        unit=_unit(spec, recipe),
        remark=_one_hot(spec, recipe),
        scores_beside=scores_beside is not None,
        raw_scale=spec.raw_scale,
        made=tuple(made_of(one.source, one.schema) for one in readers),
    )
    return _standardised(dataset, spec) if spec.raw and spec.raw_scale is None else dataset


def _standardised(dataset: RowDataset, spec: InputSpec) -> RowDataset:
    """Return the same with raw scores on a scale of their own, which a first pass finds."""
    from calibcli.core.numeric.raw_scale import ScoreSpread

    def spread(partition: RowPartition) -> ScoreSpread:
        own = ScoreSpread()
        for batch in partition.batches():
            own.add(batch.scores)
        return own

    whole = ScoreSpread()
    for own in map_ordered(spread, dataset.partitions):
        whole.merge(own)
    scale = whole.scale(descending=spec.descending)
    recipe = replace(dataset.partitions[0].recipe, raw_scale=scale)
    partitions = [replace(one, recipe=recipe) for one in dataset.partitions]
    dataset.shared.partitions[:] = partitions
    return replace(dataset, partitions=partitions, raw_scale=scale)


def _unit(spec: InputSpec, recipe: Recipe) -> Unit:
    """Return what is independent: a row with all its votes, or what the cluster column names."""
    if spec.cluster is not None:
        return Unit(spec.cluster, clustered=True)
    return ROW if recipe.votes is None else Unit("row", clustered=True)


def _one_hot(spec: InputSpec, recipe: Recipe) -> Warning | None:
    """Return what is to be said where the logits may be those of labels that are apart."""
    guessed = spec.task is None and spec.logits
    if not guessed or recipe.labelling is None or recipe.labelling.form != "one-hot":
        return None
    from calibcli.core.results.warning import Warning

    text = "each row of labels has a single 1: read as classes that exclude each other"
    return Warning("one-hot", f"{text}; --task multilabel reads each column by itself")


def _refuse_unequal(spec: InputSpec, reader: Reader) -> None:
    """Refuse an NPZ file in which an array that is asked for has another length than the others."""
    lengths: dict[str, int] = getattr(reader, "lengths", {})
    named = (spec.score, spec.label, spec.weight, spec.count, spec.cluster, *spec.groups)
    wanted = {*named, *(spec.scores or ())}
    asked = {name: rows for name, rows in lengths.items() if name in wanted or known(name)}
    if asked.keys() - reader.columns.keys():
        told = ", ".join(f"{name} has {rows:,} rows" for name, rows in asked.items())
        raise InputError(
            f"{show(reader.source.name)}: its arrays differ in length: {told}",
            hint="scores and labels belong together row by row: save arrays of the same length",
        )


def _typed(readers: list[Reader], schema: Any) -> Any:
    if not any(reader.source.kind in ("csv", "tsv") for reader in readers):
        return schema
    from calibcli.io.formats.delimited.inference import typed_schema

    return typed_schema(readers, schema)


def _side(
    recipe: Recipe, readers: tuple[Reader, ...], main: list[Reader]
) -> tuple[SideTable | None, list[int]]:
    """Read the labels file, and find where each file of scores begins in it."""
    plan = recipe.plan(side=True)
    if not readers or not plan.columns:
        return None, [0] * len(main)
    from calibcli.io.rows.beside.side import SideTable

    path = readers[0].source.name
    for other in readers[1:]:
        missing = [name for name in plan.columns if name not in other.columns]
        if missing:
            raise InputError(
                f"{show(other.source.name)} has no column {missing[0]!r}",
                hint="files of one data set have the same columns and types",
            )
    side = SideTable.load(readers, plan, recipe.key)
    if recipe.key:
        return side, [0] * len(main)
    counts = [reader.count() for reader in main]
    if sum(counts) != side.rows:
        more = f" (and {len(main) - 1} more files)" if len(main) > 1 else ""
        raise InputError(
            f"{show(main[0].source.name)}{more} holds {sum(counts):,} rows of scores, "
            f"{show(path)} {side.rows:,} labels",
            hint="scores and labels belong together row by row: give files of the same length, "
            "or --key COL, a column that both have",
            topic="key",
        )
    offsets = [sum(counts[:i]) for i in range(len(counts))]
    return side, offsets
