"""Nothing outside `tasks/` and `io/` knows a task by its name, but for what is listed here.

The list can only get shorter: a file that quotes fewer names than it may has its entry lowered.
"""

from __future__ import annotations

import re

from tests.conftest import ROOT

NAMES = re.compile(r'"(binary|multiclass|multilabel|segmentation|detection)"')
LIST = ROOT / "tests" / "task_names.txt"


def quoted():
    """How often each file outside of both folders quotes the name of a task."""
    found = {}
    for path in sorted((ROOT / "calibcli").rglob("*.py")):
        name = path.relative_to(ROOT / "calibcli").as_posix()
        if name.startswith(("tasks/", "io/")):
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        count = sum(len(NAMES.findall(line)) for line in lines)
        if count:
            found[name] = count
    return found


def test_the_list_of_files_that_quote_the_name_of_a_task_gets_no_longer():
    allowed = {}
    for line in LIST.read_text(encoding="utf-8").splitlines():
        name, count = line.split()
        allowed[name] = int(count)
    more = {name: count for name, count in quoted().items() if count > allowed.get(name, 0)}
    assert more == {}, "ask the population or the medium (`exclusive`, `labels`, `medium(...)`)"
