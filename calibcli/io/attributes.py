"""`--images FILE`: what a table tells of images, by their ids: groups, clusters, times, weights.

A scanner is a group of images, a patient a cluster of slices, a date a period. The table has one
row an image; images that it does not name are refused, others that it names are not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.errors import InputError, UsageError
from calibcli.io.dataset import IMAGE, Unit
from calibcli.io.failures import blaming, listing, row_text, show
from calibcli.io.formats.buffers import BadValueError
from calibcli.io.formats.decode import numbers
from calibcli.io.formats.frames import ReadPlan
from calibcli.io.formats.readers import open_reader
from calibcli.io.formats.sources import expand
from calibcli.io.rows.columns import find
from calibcli.io.rows.hashing import ids
from calibcli.io.rows.keys import MISSING_GROUP, Categories, categories, merged
from calibcli.io.rows.periods import column_of, cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.io.formats.frames import Reader
    from calibcli.io.rows.recipe import InputSpec

ID_NAMES = ("image_id", "image", "id", "file_name", "file")
"""Columns that may hold the id of an image, the best first."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Attributes:
    """What is known of each of N images beside its scores.

    Attributes:
        groups: one column of categories (N,) for each group column.
        cluster: uint64 (N,) hash of what the cluster column names, or None.
        weight: float64 (N,) importance weights, or None.
        unit: what is independent: an image, or what the cluster column names.
    """

    groups: tuple[Categories, ...] = ()
    cluster: NDArray[np.uint64] | None = None
    weight: NDArray[np.float64] | None = None
    unit: Unit = IMAGE


def attributes_of(spec: InputSpec, images: Sequence[str]) -> Attributes:
    """Return the attributes of images (N,), given by their ids.

    Raises:
        InputError: an image that the table does not name, or names twice; unusable values.
        UsageError: options that name columns, and no table that has them.
    """
    cluster = None if spec.cluster == IMAGE.name else spec.cluster
    if spec.images is None:
        given = {"--group": spec.groups or None, "--cluster": cluster, "--weight": spec.weight}
        for option, value in given.items():
            if value is not None:
                raise UsageError(
                    f"{option} names a column, and images have none",
                    "--images FILE: a table with the id of each image and this column",
                )
        return Attributes()
    table = _Table.read(spec.images, spec.groups, cluster, spec.weight)
    rows = table.rows(images)
    return Attributes(
        tuple(Categories(group.codes[rows], group.values) for group in table.groups),
        None if table.cluster is None else table.cluster[rows],
        None if table.weight is None else table.weight[rows],
        IMAGE if cluster is None else Unit(cluster, clustered=True),
    )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Table:
    path: str
    images: Categories
    groups: tuple[Categories, ...]
    cluster: NDArray[np.uint64] | None
    weight: NDArray[np.float64] | None

    @classmethod
    def read(
        cls, path: str, groups: Sequence[str], cluster: str | None, weight: str | None
    ) -> _Table:
        readers = [open_reader(source) for source in expand((path,))]
        known = list(readers[0].columns)
        image = next((name for name in ID_NAMES if name in known), None)
        if image is None:
            raise InputError(
                f"{show(path)} has no column of image ids; its columns: {listing(known)}",
                f"name it one of: {', '.join(ID_NAMES)}",
            )
        columns = [_group(name, known, path) for name in groups]
        plan = ReadPlan(
            numbers=() if weight is None else (find(weight, known, path, "--weight"),),
            keys=(image, *(name for name, _ in columns)),
            ids=() if cluster is None else (find(cluster, known, path, "--cluster"),),
        )
        pieces = [piece for reader in readers for piece in _pieces(reader, plan, columns)]
        if not pieces:
            raise InputError(f"{show(path)} holds no rows", "is it the file that was meant?")
        return cls(
            path,
            merged([piece[image] for piece in pieces]),
            tuple(merged([piece[place] for piece in pieces]) for place in range(len(columns))),
            None if cluster is None else np.concatenate([piece["cluster"] for piece in pieces]),
            None if weight is None else np.concatenate([piece["weight"] for piece in pieces]),
        )

    def rows(self, images: Sequence[str]) -> NDArray[np.int64]:
        """Return the row of each image.

        Raises:
            InputError: an image that is not there, or there twice.
        """
        path = show(self.path)
        place: dict[int, int] = {}
        for row, code in enumerate(self.images.codes.tolist()):
            if place.setdefault(code, row) != row:
                twice = self.images.values[code]
                raise InputError(
                    f"{path}, {row_text(row)}: the image {twice!r} a second time",
                    "the table has one row for each image",
                )
        of_name = {name: place[code] for code, name in enumerate(self.images.values)}
        missing = [name for name in images if name not in of_name]
        if missing:
            known = [name for name in self.images.values if name != MISSING_GROUP]
            raise InputError(
                f"{path} does not name {len(missing):,} of {len(images):,} images: "
                f"{listing(missing, 3)}",
                f"it has {listing(known, 3)}; an id is a file's name without its suffix, the "
                "image_id of boxes, or in a stack the number of the image from 0",
            )
        return np.array([of_name[name] for name in images], np.int64)


def _group(name: str, known: Sequence[str], path: str) -> tuple[str, str | None]:
    """Return a column of groups, and the unit that its times are cut to, if any."""
    unit, column, option = column_of(name, known)
    return find(column, known, path, option), unit


def _pieces(
    reader: Reader, plan: ReadPlan, columns: Sequence[tuple[str, str | None]]
) -> list[dict[str | int, Any]]:
    """Return, of each frame, the ids by their column, groups by their place, and the rest."""
    path, image = reader.source.name, plan.keys[0]
    pieces = []
    for part in reader.parts:
        for frame in reader.read(part, plan):
            piece: dict[str | int, Any] = {}
            with blaming(image, path, frame.first_row):
                piece[image] = _named(categories(frame.columns[image]))
            for place, (name, unit) in enumerate(columns):
                with blaming(name, path, frame.first_row):
                    found = categories(frame.columns[name])
                    piece[place] = found if unit is None else cut(found, unit)
            for name in plan.ids:
                with blaming(name, path, frame.first_row):
                    piece["cluster"], missing = ids(frame.columns[name])
                    _require(~missing, "no cluster id")
            for name in plan.numbers:
                with blaming(name, path, frame.first_row):
                    weight = numbers(frame.columns[name]).astype(np.float64)
                    _require(np.isfinite(weight) & (weight >= 0), "not a weight (0 or more)")
                    piece["weight"] = weight
            pieces.append(piece)
    return pieces


def _named(found: Categories) -> Categories:
    """Return ids of images, none of which may be missing."""
    if MISSING_GROUP in found.values:
        _require(found.codes != found.values.index(MISSING_GROUP), "no id of an image")
    return found


def _require(good: NDArray[np.bool_], problem: str) -> None:
    bad = np.flatnonzero(~good)
    if bad.size:
        raise BadValueError(problem, int(bad[0]), int(bad.size))
