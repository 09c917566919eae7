"""From options and column names to a recipe: the rules, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from calibcli.errors import InputError, UsageError, did_you_mean
from calibcli.io.failures import count_of, listing, show
from calibcli.io.formats.buffers import ARRAY, BadValueError
from calibcli.io.formats.decode import numbers
from calibcli.io.rows.columns import (
    Column,
    Columns,
    Scores,
    choose_scores,
    find,
)
from calibcli.io.rows.evidence import HEAD_ROWS
from calibcli.io.rows.keys import keys
from calibcli.io.rows.labels.roles import FoundLabel, label_of, labelling_of, no_label
from calibcli.io.rows.names import PREDICTED, known, usual
from calibcli.io.rows.periods import chunk_size, column_of
from calibcli.io.rows.place import Place
from calibcli.io.rows.recipe import InputSpec, Recipe

if TYPE_CHECKING:
    from calibcli.io.formats.frames import Reader
    from calibcli.io.rows.evidence import Evidence

MOST_SCORES = 1_000_000
FEW_ROWS = 20
"""Rows below which nothing is concluded from the values of a column."""
TASKS = ("binary", "multiclass", "multilabel")


def make_recipe(
    spec: InputSpec,
    main: Evidence,
    side: Evidence | None,
    *,
    need_labels: bool | None,
    scores_beside: bool = False,
) -> Recipe:
    """Resolve every column that the options name, or that has a known name.

    Args:
        spec: The options.
        main: The first file of scores.
        side: The first labels file, if there is one.
        need_labels: True: labels must be found; False: none are read; None: if there are any.
        scores_beside: Whether the scores too are in the labels file.

    Raises:
        InputError: A column is missing, ambiguous, or of a type that its role cannot have.
        UsageError: Options that do not fit together.
    """
    file = side if scores_beside and side is not None else main
    path = file.path
    chosen = choose(spec, file)
    _require_numbers(chosen, file.reader)
    if spec.score is None and spec.scores is None and spec.predicted is None:
        _refuse_confidence(chosen, file)
    k, names = _width(chosen, file)
    if k > MOST_SCORES:
        raise InputError(
            f"{show(path)} has {k:,} scores in each row, more than {MOST_SCORES:,}",
            hint="rows go down, classes go across: is the array turned?",
        )
    chosen = replace(chosen, classes=chosen.classes or names)
    found = None
    if need_labels is not False:
        found = label_of(spec, main, side, chosen, k, scores_beside=scores_beside)
    if found is None and need_labels:
        raise no_label(spec, main, side)
    task = _task(spec, k, found, path)
    classes = _classes(spec, chosen, task, k)
    if (spec.renormalise and task == "multilabel") or (k == 1 and spec.renormalise):
        raise UsageError(
            "--renormalise is for the probabilities of classes that exclude each other",
            hint="leave it out",
        )
    if spec.raw and (task != "binary" or k != 1):
        raise UsageError(
            "--raw is for one score a row, whose unit is its own",
            hint="margins of several classes are read with --logits",
        )
    labelling = None
    if found is not None:
        labelling = labelling_of(spec, found, task, chosen, classes, k, path)
    columns = main.reader.columns, side.reader.columns if side else Columns()
    return Recipe(
        task=task,
        classes=classes if task != "binary" else (),
        scores=chosen.names,
        rows=chosen.rows,
        names=names,
        width=k,
        reduce=task == "binary" and k == 2,
        logits=spec.logits,
        scale=spec.scale,
        renormalise=spec.renormalise,
        labelling=labelling,
        weight=_place(spec.weight, "--weight", path, columns),
        count=_place(spec.count, "--count", path, columns),
        groups=tuple(_group(name, path, columns) for name in spec.groups),
        cluster=_place(spec.cluster, "--cluster", path, columns),
        drop_invalid=spec.drop_invalid,
        **_joined(spec, main, side),
        scores_beside=scores_beside,
        votes=_votes(spec, task, found, path, columns),
        raw_scale=spec.raw_scale,
    )


def choose(spec: InputSpec, file: Evidence) -> Scores:
    """Choose the score columns of a file; an NPY file has but one."""
    main = file.reader
    if set(main.columns) == {ARRAY}:
        if spec.score is not None or spec.scores is not None:
            raise InputError(
                f"{show(main.source.name)} is an array without column names",
                hint="leave out --score and --scores",
            )
        return Scores((ARRAY,), None, main.columns[ARRAY].width is not None)
    return choose_scores(
        main.columns, file.path, score=spec.score, scores=spec.scores, inside=file.inside
    )


def _refuse_confidence(chosen: Scores, file: Evidence) -> None:
    """Refuse a column that was found by its name and is the confidence of a predicted class.

    Of the probability of label 1 some would lie below 1/2, where the other label is predicted.
    """
    beside = usual(file.reader.columns, PREDICTED)
    if len(chosen.names) != 1 or chosen.rows or not beside:
        return
    scores, predicted = file.numbers(chosen.names), file.keys(beside[:1])
    if scores is None or predicted is None or scores.rows < FEW_ROWS:
        return
    try:
        values = numbers(scores.columns[chosen.names[0]])
        found = keys(predicted.columns[beside[0]])
    except BadValueError:
        return  # told where the column is read
    known = values[np.isfinite(values)]
    if known.size and known.min() >= 0.5 and known.max() <= 1 and len(np.unique(found.codes)) > 1:
        raise InputError(
            f"column {chosen.names[0]!r} of {show(file.path)} seems to be the confidence of "
            f"{beside[0]!r}: it is 0.5 or more whichever class is predicted",
            hint=f"--predicted {beside[0]}; or --score {chosen.names[0]} if it is the probability "
            "of label 1",
        )


def _width(chosen: Scores, main: Evidence) -> tuple[int, tuple[str, ...] | None]:
    """Return how many scores a row has, and their names if the values of a column have names."""
    if not chosen.rows:
        return len(chosen.names), None
    column = main.reader.columns[chosen.names[0]]
    if column.width:
        return column.width, column.names
    width, names = main.rows_of(chosen.names[0])
    if not width:
        raise InputError(
            f"column {chosen.names[0]!r} of {show(main.path)}: its first {HEAD_ROWS:,} rows hold "
            "nothing",
            hint="name the column of scores with --score or --scores",
        )
    return width, names


def _require_numbers(chosen: Scores, main: Reader) -> None:
    for name in chosen.names:
        if main.columns[name].kind in ("text", "other"):
            kind = "text" if main.columns[name].kind == "text" else "no numbers"
            what = f"column {name!r} of " if name != ARRAY else ""
            raise InputError(
                f"{what}{show(main.source.name)}: holds {kind}, where scores are expected",
                hint="name the column of scores with --score or --scores",
            )
        if main.columns[name].width is not None and not chosen.rows:
            raise InputError(
                f"column {name!r} of {show(main.source.name)} holds lists",
                hint=f"name it alone: --scores {name}",
            )


def _task(spec: InputSpec, k: int, found: FoundLabel | None, path: str) -> str:
    if spec.task is not None and spec.task not in TASKS:
        raise UsageError(
            f"unknown task {show(spec.task)!r} here",
            hint=did_you_mean(spec.task, TASKS) or f"one of {', '.join(TASKS)}",
        )
    several = found is not None and found.form != "value"
    task = spec.task
    if task is None:
        task = "binary" if k == 1 else "multiclass"
        if k > 1 and several and found is not None and not found.exclusive:
            task = "multilabel"
    if task == "binary" and k > 2:
        raise InputError(
            f"{show(path)} has {k} scores in each row, which is not binary",
            hint="leave out --task, or name one column with --score",
        )
    if task == "multiclass" and k < 2:
        raise InputError(
            f"{show(path)} has one score in each row, which is not multi-class",
            hint="name the columns of all classes: --scores COL,COL or --scores 'prefix_*'",
        )
    if task == "binary" and several:
        raise InputError(
            f"{show(path)} has one score in each row, but rows of several labels",
            hint="--task multilabel needs as many score columns as labels",
        )
    return task


def _classes(spec: InputSpec, chosen: Scores, task: str, k: int) -> tuple[str, ...]:
    """Return the names of the classes; of two scores that are one binary score only named ones."""
    named = spec.classes
    if named is not None:
        if len(set(named)) != len(named):
            raise UsageError("--classes names a class twice", hint="give each class its own name")
        if len(named) != k:
            raise UsageError(
                f"--classes names {len(named)} classes, but each row has {count_of(k, 'score')}",
                hint="one name for each score column, in their order",
            )
    if spec.positive is not None and task == "multiclass":
        raise UsageError("--positive is for binary scores", hint="--classes names the classes")
    if task == "binary":
        return named if named is not None and k == 2 else ()
    return named or chosen.classes or tuple(map(str, range(k)))


def _group(name: str, path: str, columns: tuple[Columns, Columns]) -> Place:
    """Return a group column, `unit:column` for times that are cut to a unit."""
    every = chunk_size(name)
    if every is not None and name not in columns[0] and name not in columns[1]:
        return Place(name, every=every)
    unit, column, option = column_of(name, Columns({**columns[0], **columns[1]}))
    place = _place(column, option, path, columns)
    assert place is not None
    return replace(place, unit=unit)


def _place(
    name: str | None, option: str, path: str, columns: tuple[Columns, Columns]
) -> Place | None:
    if name is None:
        return None
    main, side = columns
    if name in main and name != ARRAY:
        return Place(name)
    if name in side and name != ARRAY:
        return Place(name, side=True)
    if set(main) == {ARRAY} and set(side) <= {ARRAY}:
        raise InputError(
            f"{show(path)} is an array without column names ({option} {name})",
            hint="give a table with --labels FILE, or scores as Parquet or CSV",
        )
    every = Columns((column, kind) for column, kind in (*main.items(), *side.items()))
    every.pop(ARRAY, None)
    return Place(find(name, every, path, option))


def _votes(
    spec: InputSpec,
    task: str,
    found: FoundLabel | None,
    path: str,
    columns: tuple[Columns, Columns],
) -> Place | float | None:
    """Return of how many annotators each label is the count: a column, or a number."""
    if spec.votes is None or found is None:
        return None
    if task != "binary" or spec.predicted is not None or spec.positive is not None:
        raise UsageError(
            "--votes is for one score a row, whose label counts votes for 1",
            hint="leave out --votes, --predicted and --positive, or name one --score",
        )
    try:
        number = float(spec.votes)
    except ValueError:
        return _place(spec.votes, "--votes", path, columns)
    if not (number >= 1 and number == int(number)):
        raise UsageError(f"--votes {spec.votes}: a whole number of 1 or more, or a column")
    return number


def _joined(spec: InputSpec, main: Evidence, side: Evidence | None) -> dict[str, tuple[str, ...]]:
    """Return by which columns rows of the labels file are found, or which must agree."""
    if side is None:
        return {}
    if spec.key is None:
        return {"same": shared_ids(main, side, spec)}
    both = (main, "--key"), (side, "--key")
    names = tuple(part.strip() for part in spec.key.split(","))
    for name in names:
        for file, option in both:
            if set(file.reader.columns) == {ARRAY}:
                raise InputError(
                    f"{show(file.path)} is an array without column names ({option} {name})",
                    hint="rows are joined by a column that both files have: give tables",
                )
            find(name, file.reader.columns, file.path, option)
    return {"key": names}


def shared_ids(main: Evidence, side: Evidence, spec: InputSpec) -> tuple[str, ...]:
    """Return the columns of both files that tell rows apart: whole numbers or texts that vary.

    What the scores or the labels are read from is left out, and fractions, whose text differs
    between kinds of files.
    """
    named = {spec.score, spec.label, spec.weight, spec.count, *(spec.scores or ())}
    both = [
        name
        for name in main.reader.columns
        if name in list(side.reader.columns) and name not in {*named, ARRAY} and not known(name)
    ]
    return tuple(name for name in both if main.tells_apart(name) and side.tells_apart(name))


def require_same(recipe: Recipe, first: Reader, other: Reader, *, keep: bool) -> None:
    """Raise InputError unless `other` has the columns that are read of `first`."""
    a, b = show(first.source.name), show(other.source.name)
    hint = "files of one data set have the same columns and types"
    if (set(first.columns) == {ARRAY}) != (set(other.columns) == {ARRAY}):
        raise InputError(f"{b} and {a} cannot be one data set", hint=hint)
    wanted = list(first.columns) if keep else recipe.plan(keep=keep).columns
    for name in wanted:
        if name not in other.columns:
            raise InputError(f"{b} has no column {name!r}, which {a} has", hint=hint)
        mine, its = first.columns[name], other.columns[name]
        used = name in recipe.plan().columns
        if used and _differ(mine, its, strict=name in recipe.scores):
            what = f"column {name!r} of " if name != ARRAY else ""
            raise InputError(f"{what}{b} is of another type or width than in {a}", hint=hint)
    extra = [name for name in other.columns if name not in first.columns]
    if keep and extra:
        raise InputError(f"{b} has the columns {listing(extra)}, which {a} lacks", hint=hint)


def _differ(mine: Column, its: Column, *, strict: bool) -> bool:
    if mine.width != its.width and 0 not in (mine.width, its.width):
        return True
    return strict and "any" not in (mine.kind, its.kind) and mine.kind != its.kind
