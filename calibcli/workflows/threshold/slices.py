"""Cut-offs of every slice of the input: all rows, classes, labels, groups."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import structs

from calibcli.core.decisions.cross_fit import FOLDS, CellFamily, aligned, parted
from calibcli.core.decisions.promises.by_unit import Scope
from calibcli.core.results.figures import Where
from calibcli.core.results.warning import Warning
from calibcli.errors import UsageError
from calibcli.tasks.rows.by_unit import as_read
from calibcli.workflows.input.gathered import Gathered, Slice, one_class
from calibcli.workflows.threshold.by_group import members
from calibcli.workflows.threshold.choosing import Chosen, Picked, Refused, Within, curve_of, pick
from calibcli.workflows.threshold.classes.common import CommonChoice, choose_common
from calibcli.workflows.threshold.classes.competing import LOWEST, Field, choose_classes, joint
from calibcli.workflows.threshold.classes.competing import Chosen as ClassesChosen
from calibcli.workflows.threshold.classes.folds import fold_classes
from calibcli.workflows.threshold.describing import describe, never, nothing
from calibcli.workflows.threshold.promised import evenly_kept, units_of_classes, units_of_curves
from calibcli.workflows.threshold.settling import (
    MOST_RESAMPLED,
    Empty,
    Found,
    no_intervals,
    said_of,
    settled,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.decisions.cross_fit import Place
    from calibcli.core.decisions.promises.by_unit import ByUnit
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.passes import RowPass
    from calibcli.workflows.threshold.classes.folds import ClassFolds
    from calibcli.workflows.threshold.describing import Cross
    from calibcli.workflows.threshold.promised import Units
    from calibcli.workflows.threshold.wish import Wish


Result = dict[str, Any]
Sliced = tuple[Where, "ScoreStats", "Picked | Refused | None"]
"""A slice, its pairs, and what was picked in it; None for a class of one label."""


@dataclass(slots=True)
class Parts:
    """The cut-offs of slices, what is to be said of them, and more for the result."""

    chosen: list[Chosen]
    warnings: list[Warning]
    more: Result = field(default_factory=dict)


def named_slices(whole: Slice, classes: tuple[str, ...]) -> list[Slice]:
    """Return the slices of which each gets a cut-off: of a score, or of each label."""
    if not classes:
        return [whole]
    found = []
    for k, name in enumerate(classes):
        where = Where("class", name)
        if whole.where.kind == "group":
            where = structs.replace(whole.where, label=name)
        after = None if whole.calibrated is None else one_class(whole.calibrated, k)
        found.append(Slice(where, one_class(whole.population, k), after))
    return found


def chosen_of_slices(
    slices: Sequence[Slice],
    conventions: Conventions,
    wish: Wish,
    classes: tuple[str, ...],
    *,
    clustered: bool,
    units: Sequence[ByUnit] | None = None,
    within: Sequence[Within] | None = None,
) -> Parts:
    """Choose a cut-off in each slice by itself; a class of one label gets none.

    Raises:
        AnswerNoError: a slice in which the constraints cannot be met.
        InputError: no slice with both labels.
    """
    found: list[Sliced] = []
    for place, one in enumerate(slices):
        stats = one.used.pairs
        picked: Picked | Refused | None = None
        if not classes or (stats.positives and stats.negatives):
            prior = wish.prior_of(place % max(len(classes), 1), classes)
            picked = pick(
                stats,
                wish,
                prior=prior,
                clustered=clustered,
                units=None if units is None else units[place],
                within=None if within is None else within[place],
            )
        found.append((one.where, stats, picked))
    return _parts(found, conventions, wish, clustered=clustered)


def chosen_of_labels(slices: Sequence[Slice], conventions: Conventions, wish: Wish) -> Parts:
    """Choose one cut-off for all labels of a row.

    Raises:
        InputError: no label occurs.
    """
    several = conventions.confidence is not None and len(slices) <= MOST_RESAMPLED
    families = [
        CellFamily.of(one.used.pairs, conventions.seed)
        if several
        else CellFamily(((one.used.pairs, []),))
        for one in slices
    ]
    wheres = [one.where for one in slices]
    found = choose_common(wheres, families, conventions, wish, exclusive=False, folded=several)
    return _common_parts(found, len(slices), conventions)


def _common_parts(found: CommonChoice, slices: int, conventions: Conventions) -> Parts:
    warnings = said_of(found.chosen)
    if conventions.confidence is not None and slices > MOST_RESAMPLED:
        warnings.append(no_intervals())
    return Parts(found.chosen, warnings, {"common": found.told})


def chosen_of_classes(read: RowPass | Gathered, conventions: Conventions, wish: Wish) -> Parts:
    """Choose the cut-offs of classes that exclude each other, together.

    Raises:
        AnswerNoError: a class in which the constraints cannot be met.
        InputError: no class with both labels.
        UsageError: options that need rows.
    """
    if isinstance(read, Gathered):
        names, clustered = read.classes, read.clustered
        field_ = Field.of_statistics(read, wish)
    else:
        names, clustered = read.dataset.classes, read.layout.clustered
        several = len(names) <= MOST_RESAMPLED
        folded = conventions.confidence is not None and wish.guarantee is None and several
        field_ = Field.of_rows(read, wish, names, folded=folded, seed=conventions.seed)
    if wish.objective.common is not None:
        return _common_of_classes(field_, names, conventions, wish, clustered=clustered)
    wish = replace(wish, objective=joint(wish.objective))
    units = None
    if wish.guarantee is not None and clustered and not isinstance(read, Gathered):
        units = units_of_classes(read, wish, field_)
    made = choose_classes(field_, wish, clustered=clustered, units=units)
    found: list[Sliced] = []
    for part, (picks, pairs) in enumerate(zip(made.found, made.competition.classes, strict=True)):
        for name, picked, own in zip(names, picks, pairs, strict=True):
            where = Where("class", name)
            if part:
                value = field_.groups[part - 1]
                where = Where("group", column=wish.per_group, value=value, label=name)
            found.append((where, own.stats, picked))
    folds = None
    if conventions.confidence is not None and len(found) <= MOST_RESAMPLED:
        folds = fold_classes(field_, wish, made, clustered=clustered)
    crosses = None if folds is None else _crosses(folds, made)
    parts = _parts(found, conventions, wish, clustered=clustered, crosses=crosses)
    if folds is not None and conventions.confidence is not None:
        crossed = folds.decision(_places(made), conventions.confidence)
        parts.more.update(cross_fitted=crossed, folds=folds.counts)
    parts.warnings.extend(evenly_kept([] if units is None else units[made.setting]))
    weights = made.competition.weights.tolist()
    parts.chosen = [
        replace(one, item=structs.replace(one.item, weight=weights[place % len(names)]))
        for place, one in enumerate(parts.chosen)
    ]
    return parts


def _common_of_classes(
    field_: Field, names: tuple[str, ...], conventions: Conventions, wish: Wish, *, clustered: bool
) -> Parts:
    """Choose one cut-off of the most probable class, whichever it is."""
    pairs = field_.competitions[0].classes[0]
    home = field_.home
    families = [
        CellFamily(
            (
                (own.stats, [])
                if home is None or own.parts is None
                else (own.stats, parted(own.stats, own.parts, home, FOLDS, clustered=clustered)),
            ),
            LOWEST,
        )
        for own in pairs
    ]
    wheres = [Where("class", name) for name in names]
    folded = home is not None
    found = choose_common(wheres, families, conventions, wish, exclusive=True, folded=folded)
    return _common_parts(found, len(names), conventions)


_ONE_LABEL = Empty(
    (
        "no class has both labels: there is nothing to choose",
        "give held-out rows of several classes",
    ),
    "one-label",
    "have one label only and get no cut-off, so they are never decided for",
)


def _parts(
    found: Sequence[Sliced],
    conventions: Conventions,
    wish: Wish,
    *,
    clustered: bool,
    crosses: Sequence[Cross] | None = None,
) -> Parts:
    """Describe what was picked; refuse where nothing could be."""

    def made(place: int, draws: int) -> Chosen:
        where, stats, one = found[place]
        if one is None:
            return nothing(where, stats, "one label only", n=stats.n)
        if isinstance(one, Refused):
            return never(where, stats, one, conventions)
        cross = None if crosses is None else crosses[place]
        return describe(
            where, one, conventions, wish, clustered=clustered, draws=draws, cross=cross
        )

    slices = [
        Found(where, partial(made, place), one if isinstance(one, Refused) else None, one is None)
        for place, (where, _, one) in enumerate(found)
    ]
    return Parts(*settled(slices, conventions, wish, _ONE_LABEL))


def _places(made: ClassesChosen, part: int = 0) -> list[Place | None]:
    """Return the setting and candidate of each class; None for one that has none."""
    return [
        (made.setting, one.choice.index) if isinstance(one, Picked) else None
        for one in made.found[part]
    ]


def _crosses(folds: ClassFolds, made: ClassesChosen) -> list[Cross]:
    """Return the choices of the folds of each class, of all rows and then of groups."""
    found: list[Cross] = []
    for part, (families, cross) in enumerate(zip(folds.families, folds.found, strict=True)):
        places = [place or (0, 0) for place in _places(made, part)]
        found += zip(families, cross, places, strict=True)
    return found


def chosen_for_every_group(
    found: Gathered,
    whole: Sequence[Slice],
    conventions: Conventions,
    wish: Wish,
    rows: RowPass | None,
) -> Parts:
    """Choose one cut-off, or one of each label, whose bounds are certified in each group.

    Args:
        found: what was counted.
        whole: the slice of all rows, or of each label.
        conventions: the level of the intervals.
        wish: what to achieve.
        rows: what is read; None for saved statistics.

    Raises:
        AnswerNoError: none is certified.
        UsageError: more distinct scores than are kept apart.
    """
    assert wish.within is not None
    own = members(found, wish.within)
    parts = [named_slices(member, found.classes) for member in own]
    if not all(one.used.pairs.exact for part in (whole, *parts) for one in part):
        raise UsageError(
            f"a promise in each group of {wish.within} needs every score, and there are too many",
            "round the scores to four digits",
        )
    stats = [one.used.pairs for one in whole]
    curves = [curve_of(one) for one in stats]
    each = [
        [aligned(stats[k], part[k].used.pairs, -float("inf")) for k in range(len(whole))]
        for part in parts
    ]
    counted: Units = []
    scopes: list[tuple[Scope, ...]] = [()] * len(whole)
    if found.clustered and rows is not None:
        # All have the cut-offs of all rows, so that groups can be tested side by side.
        same, place = [curves] * (1 + len(own)), rows.columns.index(wish.within)
        values = [str(member.where.value) for member in own]
        counted = units_of_curves(rows, as_read, same, place, values)
        scopes = [
            tuple(Scope(mine[k], theirs[k]) for mine, theirs in zip(each, counted[1:], strict=True))
            for k in range(len(whole))
        ]
    within = [Within(tuple(part[k] for part in each), scopes[k]) for k in range(len(whole))]
    made = chosen_of_slices(
        whole,
        conventions,
        wish,
        found.classes,
        clustered=found.clustered,
        units=counted[0] if counted else None,
        within=within,
    )
    made.warnings.extend(evenly_kept(counted))
    return made
