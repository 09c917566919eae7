"""Which class is taken for which: whole rows, each decided its most probable class."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.judged import Judged
from calibcli.core.decisions.rules import MostProbable
from calibcli.core.results.parts.decided import Confused, Confusions, DecisionMatrix
from calibcli.core.segmentation.rules import PixelRule
from calibcli.tasks.rows.decided import DecidedRows
from calibcli.tasks.segmentation.decided import count_images
from calibcli.workflows.input.passes import RowPass
from calibcli.workflows.measure.decided.judged import MOST_MATRIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.decisions.counts import RuleCounts
    from calibcli.workflows.input.asked import Asked
    from calibcli.workflows.input.gathered import Gathered

WORST = 20
"""Pairs of classes that are listed."""


def confusions(found: Gathered, asked: Asked) -> Confusions | None:
    """Read the rows once more, after the calibrator if any, and count who is taken for whom.

    The classes exclude each other. None where there are no rows to read: of saved statistics, of
    labels that only say whether the predicted class is right.
    """
    dataset: Any = found.dataset
    if dataset is None or not found.labelled or len(found.classes) < 2:
        return None
    rule, loaded = MostProbable(), asked.loaded
    if dataset.medium == "images":
        calibrate = None if loaded is None else partial(loaded.apply, logits=found.logits)
        pixels = PixelRule(rule, binary=False)
        counts = count_images(dataset, pixels, calibrate, threads=asked.threads).counts
    else:
        rows = RowPass.over(dataset, asked)
        counts = rows.scan(lambda: DecidedRows(rule, rows.layout, rows.columns)).counts
    return confused(counts, found.classes)


def confused(counts: RuleCounts, classes: Sequence[str]) -> Confusions:
    """Return which class is taken for which, from counts of decisions."""
    judged, k = Judged(counts), len(classes)
    cells = judged.all
    pair = cells.truth * k + cells.decision
    kinds, place = np.unique(pair, return_inverse=True)
    mass = np.bincount(place, cells.count, len(kinds))
    of_class = np.bincount(cells.truth, cells.count, k)
    truth, decided = np.divmod(kinds, k)
    wrong = np.flatnonzero((truth != decided) & (mass > 0))
    # Of equal counts the first in the order of the classes stays first.
    order = wrong[np.argsort(-mass[wrong], kind="stable")]
    matrix = None
    if k <= MOST_MATRIX:
        names = tuple(classes)
        matrix = DecisionMatrix(names, names, judged.matrix()[:, :k].tolist())
    whole = float if counts.weighted else int
    return Confusions(
        rule="most probable class",
        n=judged.n,
        pairs=len(wrong),
        worst=tuple(
            Confused(
                classes[truth[i]],
                classes[decided[i]],
                whole(mass[i]),
                float(mass[i] / of_class[truth[i]]),
            )
            for i in order[:WORST].tolist()
        ),
        matrix=matrix,
    )
