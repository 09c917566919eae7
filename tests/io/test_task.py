"""What a task's rows have, by the names that users know."""

from __future__ import annotations

import pytest

from calibcli.cli.choices import Task as Choice
from calibcli.io.task import Task
from calibcli.tasks.table import TASKS


@pytest.mark.parametrize(
    ("name", "true"),
    [
        ("binary", {"single", "one_score"}),
        ("multiclass", {"exclusive"}),
        ("multilabel", {"labels"}),
        ("detection", {"one_score"}),
        ("segmentation", set()),  # its pixels are rows of one of the tasks above
    ],
)
def test_each_task_has_rows_of_its_own_kind(name, true):
    asked = ("single", "one_score", "exclusive", "labels")
    assert {one for one in asked if getattr(Task(name), one)} == true


def test_the_tasks_that_are_named_are_those_of_the_table():
    assert {one.value for one in Choice} == {name for name in TASKS if name is not None}
