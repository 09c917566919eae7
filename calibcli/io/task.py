"""What is of one task: what its rows have, asked by what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SINGLE: Final = "binary"
CLASSES: Final = "multiclass"
LABELS: Final = "multilabel"
IMAGES: Final = "segmentation"
BOXES: Final = "detection"


class OfTask:
    """Whatever is of rows of one task."""

    __slots__ = ()
    task: str

    @property
    def exclusive(self) -> bool:
        """Whether the classes of a row exclude each other."""
        return self.task == CLASSES

    @property
    def labels(self) -> bool:
        """Whether a row has several labels, each of its own."""
        return self.task == LABELS

    @property
    def single(self) -> bool:
        """Whether a row has one score and one label."""
        return self.task == SINGLE

    @property
    def one_score(self) -> bool:
        """Whether a row has one score, however many classes there are: also a box."""
        return self.task in (SINGLE, BOXES)


@dataclass(frozen=True, slots=True)
class Task(OfTask):
    """A task by its name."""

    task: str
