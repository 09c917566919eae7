"""What the tests of promotions share."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from calibcli.errors import CalibcliError

SURE = ("--method", "platt")


def left(folder: Path) -> list[str]:
    """Return what is in a folder beside the dumps."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".csv")


def run_apart(work):
    """Run a job in a process of its own; return its number."""
    number = os.fork()
    if number == 0:
        try:
            work()
        except CalibcliError:
            os._exit(3)
        except BaseException:  # noqa: BLE001 - a child never returns to the tests
            os._exit(4)
        os._exit(0)
    return number


def ended(number):
    status = os.waitpid(number, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def kill_at(folder, step):
    """Kill this process before it touches the folder for the step-th time."""
    taken = 0

    def hook(event, arguments):
        nonlocal taken
        paths = [str(one) for one in arguments if isinstance(one, str | os.PathLike)]
        if event != "import" and any(path.startswith(str(folder)) for path in paths):
            taken += 1
            if taken > step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
