"""Which columns are the labels, and what shape they have: by names, types and the first rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from calibcli.errors import InputError, UsageError
from calibcli.io.failures import count_of, listing, show
from calibcli.io.formats.buffers import ARRAY, BadValueError
from calibcli.io.formats.decode import numbers
from calibcli.io.rows.columns import Scores, choose_label, find, leaves, suffixes
from calibcli.io.rows.labels.coders import BinaryCoder, ClassCoder, MatchCoder, Seen
from calibcli.io.rows.labels.labelling import Form, Labelling
from calibcli.io.rows.place import Place
from calibcli.io.rows.scores import rounding_slack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.io.rows.evidence import Evidence
    from calibcli.io.rows.recipe import InputSpec

_SURE_ROWS = 20
"""Rows after which labels that are one-hot by chance are out of the question."""
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FoundLabel:
    """The labels before the task is known.

    Attributes:
        places: Their columns.
        form: "value", "rows" or "sets".
        width: How many labels a row has; 0 where rows differ.
        exclusive: Whether each of the first rows has exactly one, as classes that exclude each
            other have.
    """

    places: tuple[Place, ...]
    form: Form
    width: int
    exclusive: bool = False


def label_of(
    spec: InputSpec,
    main: Evidence,
    side: Evidence | None,
    chosen: Scores,
    k: int,
    *,
    scores_beside: bool = False,
) -> FoundLabel | None:
    """Find the label column, or the columns of several labels; None where there is none."""
    places = _places(spec, main, side, chosen, scores_beside=scores_beside)
    if not places:
        return None
    if spec.predicted is not None:
        return FoundLabel((places[0], _predicted(spec.predicted, main, side)), "value", 1)
    file = side if places[0].side and side is not None else main
    column = file.reader.columns[places[0].name]
    if len(places) == 1 and column.width in (None, 1):
        return FoundLabel(places, "value", 1)
    found = FoundLabel(places, "rows", len(places) if len(places) > 1 else column.width or 0)
    if not found.width:
        found = _of_lists(found, file, k, column.kind)
    if found.form == "rows" and k > 1 and spec.task != "multilabel":
        found = replace(found, exclusive=_are_exclusive(found, file, main, chosen, spec))
    return found


def _places(
    spec: InputSpec,
    main: Evidence,
    side: Evidence | None,
    chosen: Scores,
    *,
    scores_beside: bool,
) -> tuple[Place, ...]:
    if side is not None and set(side.reader.columns) == {ARRAY}:
        return (Place(ARRAY, side=True),)
    if side is not None:
        columns = side.reader.columns
        names = choose_label(columns, side.path, spec.label, taken=(spec.predicted or "",))
        keyed = set((spec.key or "").split(","))
        left = [name for name in columns if name not in keyed]
        if not names and len(left) == 1 and not scores_beside:
            names = tuple(left)
        return tuple(Place(name, side=True) for name in names)
    columns = main.reader.columns
    if set(columns) == {ARRAY}:
        return ()
    taken = (*chosen.names, spec.predicted or "")
    return tuple(map(Place, choose_label(columns, main.path, spec.label, taken=taken)))


def _predicted(name: str, main: Evidence, side: Evidence | None) -> Place:
    if side is not None and name not in main.reader.columns and name in side.reader.columns:
        return Place(name, side=True)
    return Place(find(name, main.reader.columns, main.path, "--predicted"))


def no_label(spec: InputSpec, main: Evidence, side: Evidence | None) -> InputError:
    """Return the error about labels that are not there."""
    file = side or main
    path = show(file.path)
    if set(file.reader.columns) == {ARRAY}:
        return InputError(f"{path} holds no labels", hint="--labels FILE, in the same row order")
    return InputError(
        f"{path} has no label column; its columns: {listing(leaves(file.reader.columns))}",
        hint="--label COL" if spec.labels else "--label COL, or --labels FILE",
        topic="label",
    )


def _of_lists(found: FoundLabel, file: Evidence, k: int, kind: str) -> FoundLabel:
    """Look at lists of labels: one in each row, a row of K zeros and ones, or sets of classes."""
    from calibcli.io.formats.nested import Lists

    frame = file.keys((found.places[0].name,))
    if frame is None:
        return replace(found, form="value")
    lists = Lists.of(frame.columns[found.places[0].name])
    sizes = set(lists.sizes[lists.present].tolist())
    if kind == "number" and sizes == {k} and k > 1:
        return replace(found, width=k)
    if sizes <= {1}:
        return replace(found, form="value", width=1)
    if kind == "number" and len(sizes) == 1 and k > 1 and _zeros_and_ones(lists.flat()):
        return replace(found, width=sizes.pop())
    return replace(found, form="sets")


def _zeros_and_ones(raw: object) -> bool:
    try:
        return bool(np.isin(numbers(raw), (-1, 0, 1)).all())
    except BadValueError:
        return False


def _are_exclusive(
    found: FoundLabel, file: Evidence, main: Evidence, chosen: Scores, spec: InputSpec
) -> bool:
    """Whether labels are one-hot, for scores that can be those of classes that exclude each other.

    Probabilities of exclusive classes sum to 1. Logits do not tell, so there it takes more rows.
    """
    codes = _first_codes(found, file)
    if codes is None or not len(codes) or codes.min() < 0 or (codes.sum(axis=1) != 1).any():
        return False
    if spec.logits:
        return len(codes) >= _SURE_ROWS
    scores = _first_scores(chosen, main)
    if scores is None:
        return False
    total = scores.sum(axis=1, dtype=np.float64)
    total = total[np.isfinite(total)] / (spec.scale or 1.0)
    slack = _SUM_TOLERANCE + rounding_slack(scores) / (spec.scale or 1.0)
    return bool(total.size and (np.abs(total - 1) <= slack).all())


def _first_codes(found: FoundLabel, file: Evidence) -> NDArray[np.int64] | None:
    names = [place.name for place in found.places]
    frame = file.keys(names)
    if frame is None:
        return None
    labelling = Labelling(found.places, "rows", BinaryCoder(), found.width)
    try:
        columns = [labelling.column(frame.columns[name], Seen()) for name in names]
    except BadValueError:
        return None
    return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)


def _first_scores(chosen: Scores, main: Evidence) -> NDArray[np.float64] | None:
    from calibcli.io.formats.nested import matrix

    frame = main.numbers(chosen.names)
    if frame is None:
        return None
    raws = [frame.columns[name] for name in chosen.names]
    try:
        if chosen.rows:
            width, names = len(chosen.classes or ()), chosen.classes
            column = main.reader.columns[chosen.names[0]]
            width = width or column.width or main.rows_of(chosen.names[0])[0]
            return matrix(raws[0], width, names).astype(np.float64)
        return np.stack([numbers(raw) for raw in raws], axis=1).astype(np.float64)
    except BadValueError:
        return None


# -- labels of a task ------------------------------------------------------------------------------


def labelling_of(
    spec: InputSpec,
    found: FoundLabel,
    task: str,
    chosen: Scores,
    classes: tuple[str, ...],
    k: int,
    path: str,
) -> Labelling:
    """Return how labels are read, once the task is known.

    Raises:
        InputError: rows of another number of labels than scores, or columns of labels and scores
            that are partly of the same names.
        UsageError: options that do not go together.
    """
    ignore = None if spec.ignore_label is None else _text(spec.ignore_label)
    if spec.predicted is not None:
        return _match(spec, found, task, ignore)
    if spec.votes is not None:
        return Labelling(found.places, "votes", BinaryCoder(None, ignore), 1)
    columns = chosen.names if len(chosen.names) == len(classes) else ()
    of_class = ClassCoder(classes, columns, ignore)
    of_one = BinaryCoder(spec.positive, ignore)
    if task == "binary":
        return Labelling(found.places, "value", of_class if classes else of_one, 1)
    if found.form == "sets":
        if task != "multilabel":
            raise InputError(
                f"{show(path)}: lists of several labels, where each row has one class",
                hint="--task multilabel reads each class by itself",
            )
        return Labelling(found.places, "sets", of_class, k)
    if task == "multiclass" and found.form == "value":
        return Labelling(found.places, "value", of_class, 1)
    if found.width not in (0, k):
        raise InputError(
            f"{show(path)} has {count_of(k, 'score')} in each row, but "
            f"{count_of(found.width, 'label')}",
            hint="one label of 0 or 1 for each score, or --task multiclass",
        )
    places = found.places
    if len(places) > 1 and spec.classes is None:
        places = _by_suffix(chosen, places, path)
    form: Form = "one-hot" if task == "multiclass" else "rows"
    return Labelling(places, form, of_one, k)


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.17g}"


def _match(spec: InputSpec, found: FoundLabel, task: str, ignore: str | None) -> Labelling:
    if task != "binary":
        raise UsageError(
            "--predicted goes with one score a row, the confidence of the predicted class",
            hint="leave it out: the predicted class is the one of the highest score",
        )
    if spec.positive is not None:
        raise UsageError(
            "--predicted and --positive exclude each other",
            hint="a prediction is right where it is the label",
        )
    return Labelling(found.places, "match", MatchCoder(ignore), 1)


def _by_suffix(chosen: Scores, places: tuple[Place, ...], path: str) -> tuple[Place, ...]:
    """Bind label columns to score columns by their names, or by their order where none is shared.

    Raises:
        InputError: some names are the same, and some are not.
    """
    if chosen.classes is None:
        return places
    of_name = dict(zip(suffixes([place.name for place in places]), places, strict=True))
    shared = of_name.keys() & set(chosen.classes)
    if not shared:
        return places
    if set(of_name) != set(chosen.classes):
        lonely = sorted(set(of_name) ^ set(chosen.classes))
        raise InputError(
            f"{show(path)}: scores and labels share the names {listing(sorted(shared), 3)}, "
            f"but not {listing(lonely, 3)}",
            hint="name the columns in the same order with --scores and --label, and the classes "
            "with --classes",
        )
    return tuple(of_name[name] for name in chosen.classes)
