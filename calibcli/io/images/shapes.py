"""Which files of scores and labels belong together, and what their axes are."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from calibcli.errors import InputError, UsageError
from calibcli.io.failures import listing
from calibcli.io.formats.sources import KEY, expand
from calibcli.io.images.files import LAYOUTS, VOLUME, ImageFile, Shape, open_images
from calibcli.io.images.pairing import PLAIN, pattern_hint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calibcli.io.formats.source import Source
    from calibcli.io.images.files import Reader
    from calibcli.io.rows.recipe import InputSpec

SCORE_NAMES = ("scores", "probabilities", "probs", "logits", "score", "probability", "prob", "p")
LABEL_NAMES = ("labels", "masks", "label", "mask", "y", "y_true", "target", "targets")
_FORMS = (
    "(N, K, H, W) or (N, H, W), of one image (K, H, W) or (H, W), of volumes (N, K, D, H, W), and "
    "of one volume (K, D, H, W) with --layout CDHW"
)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A file of scores and the labels that belong to it.

    Attributes:
        index: Its place in the list of files.
        first_image: Number of its first image in the data set.
        shape: The axes of the scores; `label_shape` those of the labels.
    """

    index: int
    first_image: int
    scores: ImageFile
    shape: Shape
    labels: ImageFile | None = None
    label_shape: Shape | None = None

    @property
    def sequential(self) -> bool:
        """Whether images can be read in their order only."""
        return self.scores.sequential or (self.labels is not None and self.labels.sequential)

    @contextmanager
    def label_reader(self) -> Iterator[Reader | None]:
        """Open the labels, if there are any."""
        if self.labels is None or self.label_shape is None:
            yield None
            return
        with self.labels.reader(self.label_shape) as reader:
            yield reader


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """All files: what a pixel is, and the pairs in order.

    Attributes:
        task: "binary", "multiclass" or "multilabel".
        planes: Scores a pixel has; None for one without a name of its own.
        names: Of the structures.
        positive: The label that means 1, where one is named.
        ids: of the images: file names, or their numbers where a file holds many.
        named: whether the ids are names.
    """

    task: str
    planes: int | None
    names: tuple[str, ...]
    positive: float | None
    pairs: tuple[Pair, ...]
    ids: tuple[str, ...]
    named: bool


def pair_up(
    spec: InputSpec, sources: Sequence[Source], *, need_labels: bool | None, planes: int | None
) -> Paired:
    """Open every header and match scores with labels.

    Raises:
        InputError: Files that do not belong together.
        UsageError: Options that do not fit images.
    """
    _refuse(spec)
    scores = [_scores(source, spec) for source in sources]
    labels = [None] * len(scores) if need_labels is False else _labels(spec, scores)
    if need_labels and labels[0] is None:
        raise InputError(
            f"{scores[0].name} holds no labels", hint="--labels FILE: masks (N, H, W), or a glob"
        )
    layout = _layout(spec)
    pairs: list[Pair] = []
    at = 0
    for index, (file, own) in enumerate(zip(scores, labels, strict=True)):
        shape = _score_shape(file, own, layout, planes)
        truth = None if own is None else _label_shape(file, shape, own, layout)
        pairs.append(Pair(index, at, file, shape, own, truth))
        at += shape.images
    _same_kind(pairs)
    first = pairs[0]
    task = "binary"
    if first.shape.planes is not None:
        several = first.label_shape is not None and first.label_shape.planes is not None
        task = "multilabel" if several else "multiclass"
    return Paired(
        task,
        first.shape.planes,
        _names(spec, first.shape.planes),
        _positive(spec, task),
        tuple(pairs),
        *_ids(pairs, spec),
    )


def _refuse(spec: InputSpec) -> None:
    given = {
        "--score": spec.score,
        "--scores": spec.scores,
        "--label": spec.label,
    }
    for option, value in given.items():
        if value is not None:
            raise UsageError(
                f"{option} names a column, and images have none",
                hint="leave it out; a table of pixels is read without --task segmentation",
            )
    if spec.scale is not None and spec.logits:
        raise UsageError("--scale is for quantised probabilities, not logits", "leave one out")
    if spec.scale is not None and not spec.scale > 0:
        raise UsageError("--scale must be positive", "--scale 255")


def _layout(spec: InputSpec) -> str:
    layout = (spec.layout or LAYOUTS[0]).upper()
    if layout not in LAYOUTS:
        raise UsageError(f"unknown layout {spec.layout!r}", f"one of {', '.join(LAYOUTS)}")
    return layout


def _scores(source: Source, spec: InputSpec) -> ImageFile:
    file = open_images(source, SCORE_NAMES, "scores")
    assert file is not None
    dtype = file.header.dtype
    if dtype.kind not in "fui":
        raise InputError(f"{file.name} holds {dtype}, where scores are expected", hint=None)
    if dtype.kind in "ui" and not spec.logits and spec.scale is None:
        raise InputError(
            f"{file.name} holds whole numbers ({dtype}), where scores are expected",
            hint="--scale 255 if they are probabilities times 255; masks are given with --labels",
        )
    return file


def _labels(spec: InputSpec, scores: Sequence[ImageFile]) -> list[ImageFile | None]:
    """Return the labels of each file of scores: in the same NPZ file, or matched by name."""
    if spec.labels is None:
        found = [
            open_images(file.source, LABEL_NAMES, "labels") if file.member else None
            for file in scores
        ]
        missing = [f.name for f, own in zip(scores, found, strict=True) if own is None]
        if missing and len(missing) < len(scores):
            raise InputError(f"{missing[0]} holds no labels, other files do", hint="--labels FILE")
        return list(found)
    opened = []
    for source in expand((spec.labels,)):
        file = open_images(source, LABEL_NAMES, "labels") or open_images(source, (), "scores")
        assert file is not None
        if file.header.dtype.kind not in "bfui":
            raise InputError(f"{file.name} holds {file.header.dtype}, not labels", hint=None)
        opened.append(file)
    if len(scores) == 1 and len(opened) == 1:
        return list(opened)
    return list(_by_name(scores, opened, spec))


def _key(file: ImageFile, patterns: Sequence[str]) -> str:
    """Return what a file is matched by: the `{id}` of its pattern, or its name without suffix."""
    path = file.source.name
    for pattern in patterns:
        parts = re.split(KEY, pattern)
        if len(parts) > 1:
            fixed = (re.escape(part).replace(r"\*", ".*") for part in parts)
            match = re.fullmatch("(.+)".join(fixed), path)
            if match is not None:
                return "/".join(match.groups())
    return Path(path.removesuffix(".gz")).stem


def _by_name(
    scores: Sequence[ImageFile], labels: Sequence[ImageFile], spec: InputSpec
) -> list[ImageFile]:
    """Match files by their names without suffix, or by the keys of their patterns.

    Raises:
        InputError: a name that only one side has, or that one side has twice.
    """
    sides = []
    for files, patterns in ((scores, spec.paths), (labels, (spec.labels or "",))):
        by_name: dict[str, ImageFile] = {}
        for file in files:
            stem = _key(file, patterns)
            if stem in by_name:
                raise InputError(
                    f"{by_name[stem].name} and {file.name} have one name",
                    hint=PLAIN,
                )
            by_name[stem] = file
        sides.append(by_name)
    own, other = sides
    lonely = [name for name in own if name not in other], [n for n in other if n not in own]
    for which, names in zip(("scores", "labels"), lonely, strict=True):
        if names:
            missing = "labels" if which == "scores" else "scores"
            raise InputError(
                f"{len(names):,} of {len(own if which == 'scores' else other):,} files of {which} "
                f"have no {missing} of the same name: {listing(names, 3)}",
                hint=pattern_hint(
                    *({key: file.source.shown for key, file in side.items()} for side in sides)
                ),
            )
    return [other[name] for name in own]


def _score_shape(
    file: ImageFile, labels: ImageFile | None, layout: str, planes: int | None
) -> Shape:
    shape, last = file.shape, layout == "NHWC"
    single = False
    volume = layout == VOLUME or file.source.kind == "nifti"
    if len(shape) == 3:
        if labels is not None:
            single = len(labels.shape) == 2
        else:
            single = planes is not None and shape[2 if last else 0] == planes
    if len(shape) == 5 or (len(shape) == 4 and volume):
        single = len(shape) == 4
        n = 1 if single else shape[0]
        k, *flat = (shape[-1], *shape[-4:-1]) if last else shape[-4:]
        depth, h, w = flat
        several = None if k == 1 else k
        return Shape(n, several, depth * h, w, last and k > 1, single, depth)
    if len(shape) == 4:
        n, k, h, w = shape if not last else (shape[0], shape[3], shape[1], shape[2])
    elif len(shape) == 3 and single:
        n, (k, h, w) = 1, shape if not last else (shape[2], shape[0], shape[1])
    elif len(shape) == 3:
        return Shape(shape[0], None, shape[1], shape[2])
    elif len(shape) == 2:
        return Shape(1, None, *shape, single=True)
    else:
        raise InputError(
            f"{file.name} has the shape {shape}; scores of images are {_FORMS}",
            hint="a table with one row a pixel is read without --task segmentation",
        )
    if k == 1:
        return Shape(n, None, h, w, single=single)
    return Shape(n, k, h, w, last=last, single=single)


def _label_shape(scores: ImageFile, shape: Shape, labels: ImageFile, layout: str) -> Shape:
    found, last = labels.shape, layout == "NHWC"
    plain = shape.axes
    lead: tuple[int, ...] = () if shape.single else (shape.images,)
    if found == (*lead, *plain):
        return replace(shape, planes=None, last=False)
    for count in (1, shape.planes):
        if count is not None:
            planes = (*lead, *plain, count) if last else (*lead, count, *plain)
            if found == planes:
                own = None if count == 1 else count
                return replace(shape, planes=own, last=last)
    raise InputError(
        f"{scores.name} has the shape {scores.shape}, its labels {labels.name} {found}",
        hint=_shape_hint(scores.shape, found, last=last),
    )


def _shape_hint(scores: tuple[int, ...], labels: tuple[int, ...], *, last: bool) -> str:
    if len(scores) == 4 and len(labels) == 3:
        if not last and labels == scores[:3]:
            return "the classes are the last axis: --layout NHWC"
        if last and labels == (scores[0], *scores[2:]):
            return "the classes are the second axis: --layout NCHW"
        if labels == scores[1:]:
            return f"one volume of {scores[0]} classes: --layout {VOLUME}"
    if len(labels) == 4 and len(scores) == 3:
        return "are the files swapped? scores come first, --labels names the masks"
    return f"scores are {_FORMS}; labels are the same without K"


def _same_kind(pairs: Sequence[Pair]) -> None:
    """Raise InputError unless all files have as many planes; height and width may differ."""
    first = pairs[0]
    for pair in pairs[1:]:
        mine, its = (p.label_shape and p.label_shape.planes for p in (first, pair))
        if pair.shape.planes != first.shape.planes or mine != its:
            raise InputError(
                f"{pair.scores.name} has the shape {pair.scores.shape}, which does not fit "
                f"{first.scores.name}: {first.scores.shape}",
                hint="files of one data set have the same classes",
            )
        if pair.scores.header.dtype.kind != first.scores.header.dtype.kind:
            raise InputError(
                f"{pair.scores.name} holds {pair.scores.header.dtype}, "
                f"{first.scores.name} {first.scores.header.dtype}",
                hint="files of one data set have scores of one kind",
            )


def _names(spec: InputSpec, planes: int | None) -> tuple[str, ...]:
    count = planes or 1
    named = spec.classes
    if named is None:
        return ("structure",) if planes is None else tuple(map(str, range(count)))
    if len(set(named)) != len(named):
        raise UsageError("--classes names a class twice", hint="give each class its own name")
    if len(named) != count:
        raise UsageError(
            f"--classes names {len(named)} classes, but there are {count} scores a pixel",
            hint="one name for each plane of scores, in their order",
        )
    return named


def _positive(spec: InputSpec, task: str) -> float | None:
    if spec.positive is None:
        return None
    if task == "multiclass":
        raise UsageError("--positive is for one score a pixel", "--classes names the classes")
    try:
        return float(spec.positive)
    except ValueError:
        raise UsageError(
            f"--positive {spec.positive!r}: labels of pixels are numbers", "--positive 255"
        ) from None


def _ids(pairs: Sequence[Pair], spec: InputSpec) -> tuple[tuple[str, ...], bool]:
    """Return the ids of the images, and whether they are names of files."""
    if all(pair.shape.single for pair in pairs):
        return tuple(_key(pair.scores, spec.paths) for pair in pairs), True
    return tuple(map(str, range(sum(pair.shape.images for pair in pairs)))), False
