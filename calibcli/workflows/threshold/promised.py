"""What guarantees by unit rest on: a pass that counts what patients, prompts or images have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.core.decisions.promises.by_unit import ByUnit, steps
from calibcli.core.results.warning import Warning
from calibcli.tasks.rows.by_unit import ScoreUnits, WonUnits, as_read
from calibcli.tasks.rows.scan import Both
from calibcli.workflows.threshold.choosing import curve_of
from calibcli.workflows.threshold.classes.competing import LOWEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from calibcli.core.decisions.thresholds import Curve
    from calibcli.tasks.rows.by_unit import Scored, Tables
    from calibcli.workflows.input.gathered import Slice
    from calibcli.workflows.input.passes import RowPass
    from calibcli.workflows.threshold.classes.competing import Field
    from calibcli.workflows.threshold.wish import Wish

    Units = list[list[ByUnit]]
    """Of each part (all rows, then groups) and each class in it."""


def units_of_slices(rows: RowPass, wish: Wish, parts: Sequence[Sequence[Slice]]) -> Units:
    """Return what units have at the candidates of cut-offs that are chosen one by one.

    Args:
        rows: what is read.
        wish: what is promised, and by which groups.
        parts: the slices of all rows, and those of each group.
    """
    curves = [[curve_of(one.used.pairs) for one in part] for part in parts]
    values = [str(part[0].where.value) for part in parts[1:]]
    return units_of_curves(rows, as_read, curves, _place(rows, wish), values)


def units_of_curves(
    rows: RowPass,
    scored: Scored,
    curves: Sequence[Sequence[Curve]],
    place: int | None = None,
    values: Sequence[str] = (),
) -> Units:
    """Return what units have at some of the candidates of curves, by part and class.

    `scored` makes the values that are cut of rows; `place` is of the group column with `values`.
    """
    at, cuts = _stepped(curves)
    found = rows.scan(lambda: ScoreUnits(scored, cuts, place, values))
    return _by_unit(found, at, rows)


def units_of_classes(rows: RowPass, wish: Wish, field: Field) -> list[Units]:
    """Return what units have at the candidates of classes, in each competition for the rows."""
    stepped = [
        _stepped([[curve_of(own.judged, LOWEST) for own in part] for part in one.classes])
        for one in field.competitions
    ]
    place = _place(rows, wish)

    def new() -> Both[WonUnits]:
        pairs = zip(field.competitions, stepped, strict=True)
        return Both(
            tuple(WonUnits(one.weights, cuts, place, field.groups) for one, (_, cuts) in pairs)
        )

    found = zip(rows.scan(new).parts, stepped, strict=True)
    return [_by_unit(tables, at, rows) for tables, (at, _) in found]


def _stepped(
    curves: Sequence[Sequence[Curve]],
) -> tuple[list[list[NDArray[np.int64]]], list[list[NDArray[np.float64]]]]:
    """Return which candidates of curves are tried, and their cut-offs, by part and class."""
    at = [[steps(curve) for curve in part] for part in curves]
    cuts = [
        [curve.threshold[own] for curve, own in zip(*pair, strict=True)]
        for pair in zip(curves, at, strict=True)
    ]
    return at, cuts


def evenly_kept(units: Units) -> list[Warning]:
    """Return a warning where not all units fit into memory."""
    share = min((own.table.share for part in units for own in part), default=1.0)
    return [] if share == 1.0 else [share_of_units(share, "guarantee")]


def share_of_units(share: float, promise: str) -> Warning:
    """Return the warning that a promise rests on a share of the units."""
    text = f"the {promise} rests on an even share of {share:.3g} of the units, chosen by a hash"
    return Warning("coarse", text)


def _place(rows: RowPass, wish: Wish) -> int | None:
    return None if wish.per_group is None else rows.columns.index(wish.per_group)


def _by_unit(found: Tables, at: Sequence[Sequence[NDArray[np.int64]]], rows: RowPass) -> Units:
    name = rows.dataset.unit.name
    return [
        [ByUnit(found.table(number, k), own, name) for k, own in enumerate(part)]
        for number, part in enumerate(at)
    ]
