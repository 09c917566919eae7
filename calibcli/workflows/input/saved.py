"""Saved statistics: as an artifact, and as input in place of scores."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from calibcli._version import __version__
from calibcli.core.results.base import plain
from calibcli.core.results.figures import OVERALL, Where
from calibcli.core.results.parts.stored import SavedStats
from calibcli.core.results.reading import typed_as
from calibcli.errors import InputError, UsageError
from calibcli.io.failures import reading
from calibcli.io.formats.sources import one_array
from calibcli.tasks.families import families_of, merged, population_of, whole
from calibcli.tasks.population import of_pairs
from calibcli.workflows.input.gathered import Gathered, Slice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.calibrators import Calibrator
    from calibcli.io.formats.source import Source
    from calibcli.tasks.population import Population

Result = dict[str, Any]


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
                {"slice": plain(group.where), **families_of(group.population)}
                for group in found.groups
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


def from_stats(sources: Sequence[Source]) -> Gathered:
    """Merge saved statistics; rows that come twice are refused.

    Statistics are told apart by the digests of the files that they were counted from, as two
    shards may hold equal counts; by the counts where there are no digests.
    """
    total: Population | None = None
    groups: dict[Where, Population] = {}
    seen: dict[str, str] = {}
    first: SavedStats | None = None
    inputs: list[Result] = []
    for source in sources:
        path, payload = source.name, _payload(source)
        with whole():
            stored = typed_as(payload, SavedStats)
        first = first or stored
        for name in ("task", "classes", "logits"):
            if getattr(stored, name) != getattr(first, name):
                raise InputError(
                    f"{path} and {sources[0].name} differ in {name}", "merge statistics of one kind"
                )
        with whole():
            own = population_of(stored.task, stored.families.overall)
            parts = [
                (typed_as(one["slice"], Where), population_of(stored.task, one))
                for one in stored.families.groups
            ]
        known = {one.digest for one in stored.inputs if one.digest is not None}
        digests = known or {own.pairs.digest()}
        if twice := digests & seen.keys():
            raise InputError(
                f"{path} holds the same rows as {seen[min(twice)]}",
                "leave out the copy: its rows would count twice",
            )
        seen |= dict.fromkeys(digests, path)
        total = own if total is None else merged(total, own)
        for where, one in parts:
            groups[where] = merged(groups[where], one) if where in groups else one
        inputs += [{"path": one.path, "rows": one.rows} for one in stored.inputs]
    assert total is not None
    assert first is not None
    return Gathered(
        first.task,
        first.classes,
        first.logits,
        Slice(OVERALL, total),
        tuple(Slice(where, one) for where, one in groups.items()),
        inputs,
        first.params,
    )


def calibrated_cells(
    found: Gathered, calibrator: Calibrator | tuple[Calibrator, ...], *, to_logits: bool = False
) -> Gathered:
    """Calibrate the cells of saved binary statistics."""
    from calibcli.core.fitting.held_out import mapped

    if not found.single or isinstance(calibrator, tuple):
        raise UsageError(
            "a calibrator of several classes needs whole rows", "give the score files instead"
        )

    def after(one: Slice) -> Slice:
        stats = one.population.pairs
        changed = of_pairs(mapped(stats, calibrator, logits=to_logits))
        return replace(one, calibrated=changed)

    groups = tuple(after(group) for group in found.groups)
    return replace(found, overall=after(found.overall), groups=groups)
