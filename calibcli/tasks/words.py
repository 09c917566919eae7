"""What rows, scores and frequencies are called in each task, for whoever writes about results."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Words(NamedTuple):
    """The words of a task.

    Attributes:
        rows: what its pairs are.
        score: what a score is called, and `frequency` how often it is right.
        sided: a high score says one thing and a low one its contrary; the confidence of the class
            that is predicted has no contrary.
        rivals: each class is judged against the rest, which are the same rows.
    """

    rows: str = "rows"
    score: str = "score"
    frequency: str = "frequency"
    sided: bool = True
    rivals: bool = True


ONE_SCORE = Words()
"""Of a score of one outcome."""
_WORDS: Mapping[str, Words] = {
    "multiclass": Words(score="confidence", frequency="accuracy", sided=False),
    "segmentation": Words(rows="pixels"),
    "detection": Words(rows="boxes", frequency="precision", rivals=False),
}


def words_of(task: str | None) -> Words:
    """Return the words of a task."""
    return _WORDS.get(task or "", ONE_SCORE)
