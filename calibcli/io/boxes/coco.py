"""COCO's JSON: results (a list of detections) and annotations (images, objects, categories).

Read with the json module: of 300,000 detections a second or so, about what Arrow needs once the
list is made into lines for it. What is read is bounded: a JSON document takes some ten times its
size in memory.
"""

from __future__ import annotations

import gc
import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.detection.masks import box_of
from calibcli.errors import InputError
from calibcli.io.boxes.naming import FALSE, NO_MARK, TRUE
from calibcli.io.boxes.tables import Boxes
from calibcli.io.failures import reading, show
from calibcli.io.rows.keys import Categories, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from calibcli.io.formats.source import Source

MAX_BYTES = 2**31
"""Size of the largest JSON file that is read."""
_RESULTS = "results are a list of {image_id, category_id, bbox: [x, y, w, h], score}"
_ANNOTATIONS = "annotations are an object of images, annotations and categories"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Annotations:
    """Objects, and the images and categories that there are.

    Attributes:
        boxes: the objects.
        images: ids as text; `size` float64 (images, 2) width and height, NaN where not given.
        names: of the categories, by id as text, in the order of the file.
        files: the id of an image by its file's name, with and without folder and suffix.
        same_id: how many objects have the id of another.
    """

    boxes: Boxes
    images: tuple[str, ...]
    size: NDArray[np.float64]
    names: dict[str, str]
    files: dict[str, str]
    same_id: int


def is_json(source: Source) -> bool:
    """Tell whether a source is JSON, by its suffix or, on a pipe, by its first character."""
    if source.kind == "stats":
        return True
    if source.kind != "csv" or (source.data is None and source.spool is None):
        return False
    with source.open() as file:
        return file.read(64).lstrip()[:1] in (b"[", b"{")


def read_results(source: Source, *, keep: bool = False, masks: bool = False) -> Boxes:
    """Read detections; `keep` also hands over each of them whole, in `Boxes.table` (a list).

    With `masks` each has a segmentation, around which its box is drawn where it has none.

    Raises:
        InputError: no JSON, not a list of results, an entry that is none.
    """
    items = _load(source)
    name = show(source.name)
    if isinstance(items, dict):
        if "annotations" in items:
            raise InputError(
                f"{name} holds annotations, not detections",
                f"were the two files swapped? Objects come after --ground-truth; {_RESULTS}",
            )
        if "schema" in items:
            raise InputError(f"{name} is an artifact of calibcli, not detections", _RESULTS)
        raise InputError(f"{name} holds no list of detections", _RESULTS)
    if not isinstance(items, list):
        raise InputError(f"{name} holds no list of detections", _RESULTS)
    boxes = _boxes(items, source.name, "detection", scored=True, masks=masks)
    if not keep:
        return boxes
    from dataclasses import replace

    return replace(boxes, table=Items(items))


class Items(list[dict[str, Any]]):
    """Whole detections, as they stand in the file."""

    def take(self, rows: Iterable[int]) -> Items:
        """Return some of them."""
        return Items([self[int(i)] for i in rows])


def read_annotations(source: Source, *, masks: bool = False) -> Annotations:
    """Read objects, images and categories; with `masks` also the segmentation of each object.

    Raises:
        InputError: no JSON, no annotations, an object of an unknown image or category.
    """
    whole = _load(source)
    name = show(source.name)
    if isinstance(whole, list):
        raise InputError(
            f"{name} holds a list, as results are, not annotations",
            f"were the two files swapped? Detections come first; {_ANNOTATIONS}",
        )
    if not isinstance(whole, dict) or not isinstance(whole.get("annotations"), list):
        raise InputError(f"{name} holds no annotations", _ANNOTATIONS)
    for part in ("images", "categories"):
        if not isinstance(whole.get(part), list) or not whole[part]:
            raise InputError(f"{name} has no list of {part}", _ANNOTATIONS)
    images = _ids(whole["images"], name, "image")
    size = np.array(
        [[_number(one.get(key)) for key in ("width", "height")] for one in whole["images"]]
    )
    ids = _ids(whole["categories"], name, "category")
    given = [str(one.get("name", key)) for one, key in zip(whole["categories"], ids, strict=True)]
    names = {
        key: text if given.count(text) == 1 else f"{text} ({key})"
        for key, text in zip(ids, given, strict=True)
    }
    boxes = _boxes(whole["annotations"], source.name, "annotation", scored=False, masks=masks)
    for found, known, what, listed in (
        (boxes.image, set(images), "image", "images"),
        (boxes.label, set(names), "category", "categories"),
    ):
        strange = [i for i, value in enumerate(found.values) if value not in known]
        rows = np.flatnonzero(np.isin(found.codes, strange))
        if rows.size:
            raise InputError(
                f"{boxes.where(rows[0])}: no {what} has its id", f"add it to the list of {listed}"
            )
    own = [one["id"] for one in whole["annotations"] if isinstance(one.get("id"), int | str)]
    same_id = len(own) - len(set(map(as_text, own)))
    files = _files(whole["images"], images)
    return Annotations(boxes, tuple(images), size, names, files, same_id)


def _files(items: list[Any], ids: list[str]) -> dict[str, str]:
    """Return image ids by the names of their files; names that two images have are left out."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    for item, key in zip(items, ids, strict=True):
        path = item.get("file_name")
        if isinstance(path, str):
            pure = PurePosixPath(path)
            for name in {path, pure.name, pure.stem}:
                if found.setdefault(name, key) != key:
                    twice.add(name)
    return {name: key for name, key in found.items() if name not in twice}


def _ids(items: list[Any], name: str, what: str) -> list[str]:
    found = []
    for i, one in enumerate(items):
        if not isinstance(one, dict) or not isinstance(one.get("id"), int | str):
            raise InputError(f"{name}, {what} {i + 1:,}: no id", _ANNOTATIONS)
        found.append(as_text(one["id"]))
    if len(set(found)) < len(found):
        twice = next(one for one in found if found.count(one) > 1)
        raise InputError(f"{name} has more than one {what} {show(twice)}", "ids are unique")
    return found


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else float("nan")


def _boxes(items: list[Any], path: str, unit: str, *, scored: bool, masks: bool) -> Boxes:
    """Return entries of a list as arrays, by columns: a loop over each would take ten times."""
    needed = ("image_id", "category_id", "bbox", *(["score"] if scored else []))
    segments = None
    if masks:
        items = [_boxed(item, f"{show(path)}, {unit} {i + 1:,}") for i, item in enumerate(items)]
        segments = tuple(item["segmentation"] for item in items)
    try:
        columns = {key: [item[key] for item in items] for key in needed}
    except (KeyError, TypeError):
        raise _unusable(items, path, unit, needed) from None
    try:
        box = np.array(columns["bbox"], dtype=np.float64).reshape(len(items), 4)
        score = np.array(columns["score"], dtype=np.float64) if scored else None
    except (ValueError, TypeError, OverflowError):
        raise _unusable(items, path, unit, needed) from None
    if score is not None and score.ndim != 1:
        raise _unusable(items, path, unit, needed)
    crowd = np.zeros(len(items), np.bool_)
    ignore = crowd
    if not scored:
        crowd = _marked(items, ("iscrowd",), path, unit)
        ignore = crowd | _marked(items, ("ignore", "difficult"), path, unit)
    return Boxes(
        path,
        unit,
        _coded(columns["image_id"], items, path, unit, needed),
        _coded(columns["category_id"], items, path, unit, needed),
        box,
        score,
        crowd,
        ignore,
        None,
        np.arange(len(items)),
        segments=segments,
    )


def _marked(items: list[Any], names: tuple[str, ...], path: str, unit: str) -> NDArray[np.bool_]:
    """Return which objects have one of these marks (n,): as a number, a truth value or as text."""
    found = np.zeros(len(items), np.bool_)
    for name in names:
        given = [str(item.get(name, 0)).lower() for item in items]
        wrong = next((i for i, text in enumerate(given) if text not in TRUE | FALSE), None)
        if wrong is not None:
            said, hint = NO_MARK
            raise InputError(f"{show(path)}, {unit} {wrong + 1:,}: {name!r} is {said}", hint)
        found |= np.array([text in TRUE for text in given], np.bool_)
    return found


def _boxed(item: Any, where: str) -> Any:
    """Return an entry with the box around its mask, where it has none of its own.

    Raises:
        InputError: no mask, or none that can be read.
    """
    if not isinstance(item, dict) or "segmentation" not in item:
        raise InputError(f"{where}: no 'segmentation'", "without --masks boxes are matched")
    if "bbox" in item:
        return item
    try:
        return {**item, "bbox": box_of(item["segmentation"])}
    except (ValueError, TypeError, OverflowError) as error:
        raise bad_mask(where, error) from error


def bad_mask(where: str, error: Exception) -> InputError:
    """Return what is to be said of a mask that cannot be read."""
    told = str(error) if type(error) is ValueError else "no numbers"
    return InputError(
        f"{where}: its segmentation is {told}",
        "a segmentation is a list of polygons, or run lengths as {size: [h, w], counts}",
    )


def _coded(
    values: list[Any], items: list[Any], path: str, unit: str, needed: Sequence[str]
) -> Categories:
    place: dict[Any, int] = {}
    try:
        codes = np.array([place.setdefault(value, len(place)) for value in values], np.int32)
    except TypeError:
        raise _unusable(items, path, unit, needed) from None
    if any(isinstance(value, bool) or not isinstance(value, int | str) for value in place):
        raise _unusable(items, path, unit, needed)
    return Categories(codes, [as_text(value) for value in place])


def _unusable(items: list[Any], path: str, unit: str, needed: Sequence[str]) -> InputError:
    """Find the first entry that is none, and say what it lacks."""
    hint = _RESULTS if "score" in needed else _ANNOTATIONS
    for i, item in enumerate(items):
        where = f"{show(path)}, {unit} {i + 1:,}"
        if not isinstance(item, dict):
            return InputError(f"{where}: no object", hint)
        for key in needed:
            if key not in item:
                lacks = f"{where}: no {key!r}"
                return InputError(lacks, hint + _boxless(item, key))
        for key in ("image_id", "category_id"):
            if isinstance(item[key], bool) or not isinstance(item[key], int | str):
                return InputError(f"{where}: {key!r} is no id", "an id is a whole number or a text")
        box = item["bbox"]
        if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
            return InputError(f"{where}: 'bbox' is not four numbers", hint)
        if "score" in needed and not _is_number(item["score"]):
            return InputError(f"{where}: 'score' is no number", hint)
    return InputError(f"{show(path)} holds entries that cannot be read", hint)


def _boxless(item: dict[str, Any], key: str) -> str:
    if key == "bbox" and "segmentation" in item:
        return "; --masks matches masks"
    return ""


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Hold the garbage collector back: it would look at millions of new objects over and over."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _load(source: Source) -> Any:
    """Read a JSON document, of a bounded size; NaN is read, and refused where it stands."""
    name = show(source.name)
    with reading(source.name, "JSON file"):
        size = source.size()
        if size > MAX_BYTES:
            raise InputError(
                f"{name} is {size:,} bytes long; JSON of up to {MAX_BYTES:,} is read",
                "write it as Parquet: image_id, class, x, y, w, h, score",
            )
        with source.open() as file:
            content = file.read()
    if not content.strip():
        raise InputError(f"{name} is empty", "write or copy it again")
    try:
        with _no_collection():
            return json.loads(content)
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not JSON: not UTF-8 text", "write it again") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"{name} is not JSON: {where}", "write or copy it again") from error
    except RecursionError as error:
        raise InputError(f"{name} is nested too deep", _RESULTS) from error
    except ValueError as error:
        raise InputError(f"{name}: a number is too long", "write it again") from error
