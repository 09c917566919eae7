"""Options that take one of a few words."""

from __future__ import annotations

from enum import StrEnum

from calibcli.io.task import BOXES, CLASSES, IMAGES, LABELS, SINGLE


class Format(StrEnum):
    """Forms in which a result is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MD = "md"
    PROMETHEUS = "prometheus"
    GITHUB = "github"
    JUNIT = "junit"


class Binned(StrEnum):
    """How scores are cut into bins."""

    WIDTH = "width"
    MASS = "mass"


class Closed(StrEnum):
    """Which end a bin holds."""

    RIGHT = "right"
    LEFT = "left"


class EngineName(StrEnum):
    """What a pass over the files runs on."""

    THREADS = "threads"
    DASK = "dask"


class Task(StrEnum):
    """What a row is."""

    BINARY = SINGLE
    MULTICLASS = CLASSES
    MULTILABEL = LABELS
    SEGMENTATION = IMAGES
    DETECTION = BOXES
