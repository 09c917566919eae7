"""From options and column names to a recipe: the rules, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from calibcli.errors import InputError, UsageError, did_you_mean
from calibcli.io.failures import count_of, listing, show
from calibcli.io.formats.frames import ARRAY
from calibcli.io.rows.columns import (
    Column,
    Columns,
    Scores,
    choose_label,
    choose_scores,
    find,
    suffixes,
)
from calibcli.io.rows.labels import BinaryCoder, ClassCoder
from calibcli.io.rows.periods import AUTO, split_unit
from calibcli.io.rows.recipe import InputSpec, Place, Recipe

if TYPE_CHECKING:
    from calibcli.io.formats.frames import Reader

MOST_SCORES = 1_000_000
TASKS = ("binary", "multiclass", "multilabel")


def make_recipe(
    spec: InputSpec, main: Reader, side: Reader | None, *, need_labels: bool | None, width: int
) -> Recipe:
    """Resolve every column that the options name, or that has a known name.

    Args:
        spec: The options.
        main: The first file of scores.
        side: The first labels file, if there is one.
        need_labels: True: labels must be found; False: none are read; None: if there are any.
        width: The length of the lists where the score is a list column of unknown width, else 0.

    Raises:
        InputError: A column is missing, ambiguous, or of a type that its role cannot have.
        UsageError: Options that do not fit together.
    """
    path = main.source.name
    chosen = choose(spec, main)
    k = _width(chosen, main.columns, width)
    if k > MOST_SCORES:
        raise InputError(
            f"{show(path)} has {k:,} scores in each row, more than {MOST_SCORES:,}",
            hint="rows go down, classes go across: is the array turned?",
        )
    _require_numbers(chosen, main)
    label = () if need_labels is False else _label(spec, main, side, chosen)
    if not label and need_labels:
        raise _no_label(spec, main, side)
    label_width = _label_width(label, main, side)
    task = _task(spec, k, label_width, path)
    classes, coder = _classes(spec, chosen, task, k)
    found = 1 if label_width is None else label_width
    if task == "multilabel" and label and found not in (0, k):
        raise InputError(
            f"{show(path)} has {count_of(k, 'score')} in each row, but {count_of(found, 'label')}",
            hint="one label of 0 or 1 for each score, or --task multiclass",
        )
    if task == "multilabel" and len(label) > 1:
        label = _by_suffix(chosen, label)
    columns = dict(main.columns), dict(side.columns) if side else {}
    return Recipe(
        task=task,
        classes=classes,
        scores=chosen.names,
        rows=chosen.rows,
        width=k,
        reduce=task == "binary" and k == 2,
        logits=spec.logits,
        label=label,
        one_hot=task == "multiclass" and label_width is not None,
        coder=coder,
        weight=_place(spec.weight, "--weight", path, columns),
        count=_place(spec.count, "--count", path, columns),
        groups=tuple(_group(name, path, columns) for name in spec.groups),
        cluster=_place(spec.cluster, "--cluster", path, columns),
        drop_invalid=spec.drop_invalid,
    )


def choose(spec: InputSpec, main: Reader) -> Scores:
    """Choose the score columns of a file; an NPY file has but one."""
    if set(main.columns) == {ARRAY}:
        if spec.score is not None or spec.scores is not None:
            raise InputError(
                f"{show(main.source.name)} is an array without column names",
                hint="leave out --score and --scores",
            )
        return Scores((ARRAY,), None, main.columns[ARRAY].width is not None)
    return choose_scores(main.columns, main.source.name, score=spec.score, scores=spec.scores)


def _width(chosen: Scores, columns: Columns, width: int) -> int:
    if not chosen.rows:
        return len(chosen.names)
    return columns[chosen.names[0]].width or width


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


def _label(spec: InputSpec, main: Reader, side: Reader | None, chosen: Scores) -> tuple[Place, ...]:
    if side is not None and set(side.columns) == {ARRAY}:
        return (Place(ARRAY, side=True),)
    if side is not None:
        found = choose_label(side.columns, side.source.name, spec.label)
        if not found and len(side.columns) == 1:
            found = tuple(side.columns)
        return tuple(Place(name, side=True) for name in found)
    if set(main.columns) == {ARRAY}:
        return ()
    found = choose_label(main.columns, main.source.name, spec.label, taken=chosen.names)
    return tuple(Place(name) for name in found)


def _no_label(spec: InputSpec, main: Reader, side: Reader | None) -> InputError:
    reader = side or main
    path = show(reader.source.name)
    if set(reader.columns) == {ARRAY}:
        return InputError(f"{path} holds no labels", hint="--labels FILE, in the same row order")
    return InputError(
        f"{path} has no label column; its columns: {listing(reader.columns)}",
        hint="--label COL" if spec.labels else "--label COL, or --labels FILE",
    )


def _label_width(label: tuple[Place, ...], main: Reader, side: Reader | None) -> int | None:
    """Return None for one label a row, K for rows of labels, 0 where only reading tells."""
    if len(label) > 1:
        return len(label)
    if not label:
        return None
    place = label[0]
    columns = side.columns if place.side and side is not None else main.columns
    return columns[place.name].width


def _task(spec: InputSpec, k: int, label_width: int | None, path: str) -> str:
    if spec.task is not None and spec.task not in TASKS:
        raise UsageError(
            f"unknown task {show(spec.task)!r} here",
            hint=did_you_mean(spec.task, TASKS) or f"one of {', '.join(TASKS)}",
        )
    task = spec.task
    if task is None:
        if k == 1:
            task = "binary"
        else:
            task = "multiclass" if label_width is None else "multilabel"
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
    if task == "binary" and label_width not in (None, 1):
        raise InputError(
            f"{show(path)} has one score in each row, but rows of several labels",
            hint="--task multilabel needs as many score columns as labels",
        )
    return task


def _classes(
    spec: InputSpec, chosen: Scores, task: str, k: int
) -> tuple[tuple[str, ...], BinaryCoder | ClassCoder]:
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
        if named is not None and k == 2:
            return (), ClassCoder(named)
        return (), BinaryCoder(spec.positive)
    classes = named or chosen.classes or tuple(map(str, range(k)))
    return classes, ClassCoder(classes) if task == "multiclass" else BinaryCoder(spec.positive)


def _by_suffix(chosen: Scores, label: tuple[Place, ...]) -> tuple[Place, ...]:
    """Bind label columns to score columns by name where both carry the same suffixes."""
    found = dict(zip(suffixes([place.name for place in label]), label, strict=True))
    if chosen.classes is None or set(found) != set(chosen.classes):
        return label
    return tuple(found[name] for name in chosen.classes)


def _group(name: str, path: str, columns: tuple[Columns, Columns]) -> Place:
    """Return a group column, `unit:column` for times that are cut to a unit."""
    unit, column = split_unit(name)
    if unit is None or name in columns[0] or name in columns[1]:
        unit, column = None, name
    place = _place(column, "--by" if unit == AUTO else "--group", path, columns)
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
    known = [column for column in (*main, *side) if column != ARRAY]
    return Place(find(name, known, path, option))


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
