"""Populations as saved statistics have them: to plain lists and numbers, back, and merged."""

from __future__ import annotations

from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import ValidationError

from calibcli.core.statistics.compact import compact
from calibcli.core.statistics.losses import SUMS, combine
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import InputError
from calibcli.io.artifacts.stats import stats_from_dict, stats_to_dict
from calibcli.tasks.population import Population
from calibcli.tasks.units import Units

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from calibcli.tasks.population import Extra, Ints

    Losses = NDArray[np.float64]

STATS_CELLS = 2000
"""Cells of all statistics in an artifact together; more are coarsened."""
STATS_CLASSES = 20
"""Classes whose statistics one by one are in an artifact."""


def families_of(population: Population) -> dict[str, Any]:
    """Return the families of pairs of a population; `population_of` restores them."""
    families: dict[str, Any] = {"rows_apart": population.rows_apart}
    if population.units is not None:
        families["units"] = [f"{unit:016x}" for unit in population.units]
    if population.task == "binary":
        return families | {"pairs": stats_to_dict(population.pairs)}
    if population.extra is not None:
        families |= population.extra.to_dict()
    families["top"] = [stats_to_dict(stats) for stats in population.top]
    families["classes"] = [stats_to_dict(stats) for stats in population.classes]
    if population.losses is not None:
        families["losses"] = population.losses.tolist()
    return families


def digest_of(population: Population) -> str:
    """Return `sha256:…` of rows by what they hold: in any order, partition and type of file.

    Rows are their scores and labels as they are counted: exactly up to the number of distinct
    scores that cells hold, in a grid beyond.
    """
    import hashlib

    families = (*population.top, *population.classes) or (population.pairs,)
    state = hashlib.sha256("\n".join((population.task, *(s.digest() for s in families))).encode())
    return f"sha256:{state.hexdigest()}"


def population_of(task: str, families: dict[str, Any]) -> Population:
    """Return the population that an artifact's families of pairs hold.

    Raises:
        InputError: entries that are missing, or of another type.
    """
    with whole():
        return _population_of(task, families)


@contextmanager
def whole() -> Iterator[None]:
    """Raise InputError in place of what saved statistics raise that lack something."""
    try:
        yield
    except (ValidationError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"the statistics' entries are missing or malformed ({type(error).__name__}: {error})",
            "calibcli writes them; write them again",
        ) from error


def _population_of(task: str, families: dict[str, Any]) -> Population:
    units = families.get("units")
    hashes = None if units is None else tuple(int(unit, 16) for unit in units)
    if "pairs" in families:
        return Population("binary", stats_from_dict(families["pairs"]), units=hashes)
    top = tuple(stats_from_dict(one) for one in families["top"])
    classes = tuple(stats_from_dict(one) for one in families["classes"])
    pooled = reduce(ScoreStats.merge, top or classes)
    extra = None
    if "missed" in families:
        from calibcli.tasks.detection.missed import Missed

        counts = [np.array(families[name], np.int64) for name in ("objects", "missed")]
        mass = families.get("missed_mass")
        own = None if mass is None else (np.array(mass[0]), np.array(mass[1]))
        extra = Missed(counts[0], counts[1], own)
    found = Population(task, pooled, top, classes, bool(families["rows_apart"]), hashes, extra)
    if "losses" in families:
        losses = np.array(families["losses"], np.float64)
        if losses.shape != (len(classes), SUMS) or not np.isfinite(losses).all():
            raise ValueError("losses that are not of the classes")
        found = replace(found, losses=losses)
    return found


def _joined(a: Losses | None, b: Losses | None) -> Losses | None:
    if a is None or b is None:
        return None
    both = a.copy()
    combine(both, b)
    return both


def merged(a: Population, b: Population) -> Population:
    """Return the population of both sets of rows.

    Raises:
        InputError: when the two count differently (logits, weights, edges, clusters).
    """
    units, others = Units(a.units), Units(b.units)
    here, there = units.merge(others)
    a, b = _rebucketed(a, here), _rebucketed(b, there)
    both = Population(
        a.task,
        a.pairs.merge(b.pairs),
        tuple(x.merge(y) for x, y in zip(a.top, b.top, strict=True)),
        tuple(x.merge(y) for x, y in zip(a.classes, b.classes, strict=True)),
        a.rows_apart,
        units.ordered(),
        _together(a.extra, b.extra),
        losses=_joined(a.losses, b.losses),
    )
    return _rebucketed(both, units.rank())


def _together(a: Extra | None, b: Extra | None) -> Extra | None:
    if a is None or b is None:
        return None
    both = copy(a)
    both.merge(b)
    return both


def _rebucketed(population: Population, moved: Ints | None) -> Population:
    """Move the counts of each bucket to another one; None moves nothing."""
    if moved is None:
        return population

    def one(stats: ScoreStats) -> ScoreStats:
        return stats.rebucketed(moved)

    return replace(
        population,
        pairs=one(population.pairs),
        top=tuple(map(one, population.top)),
        classes=tuple(map(one, population.classes)),
        extra=None if population.extra is None else population.extra.rebucketed(moved),
    )


def compact_stats(population: Population, cells: int = STATS_CELLS) -> dict[str, Any]:
    """Return the families of pairs as in a statistics artifact, coarsened to stay small.

    Clusters are left out. Of more than `STATS_CLASSES` classes only the pairs of the predicted
    class, all together, are kept.
    """
    if population.single:
        return {"rows_apart": False, "pairs": _compact([population.pairs], cells)[0]}
    several = len(population.classes) <= STATS_CLASSES
    if population.exclusive:
        top = _compact(population.top if several else (population.pairs,), cells)
    else:
        top = [] if several else _compact((population.pairs,), cells)
    classes = _compact(population.classes, cells) if several else []
    return {"rows_apart": False, "top": top, "classes": classes}


def _compact(family: Any, cells: int) -> list[dict[str, Any]]:
    bare = [replace(stats, parts=None) for stats in family]
    return [stats_to_dict(stats) for stats in compact(bare, cells)]
