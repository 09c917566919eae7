"""A function in a forked process: its answers, its end, and what happens where there is no fork."""

from __future__ import annotations

import subprocess
import sys
import threading

from calibcli.engines.ahead import Ahead

RUN = """
import os, sys, time
from calibcli.engines.ahead import Ahead
{body}
"""


def ran(body):
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(body=body)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_answers_come_from_another_process_that_was_made_ready():
    out = ran(
        "seen = []\n"
        "def function(x):\n    return x[::-1] + b'%d' % len(seen)\n"
        "ahead = Ahead.where_possible(function, lambda: seen.append(1))\n"
        "print(ahead(b'abc'), ahead(b'x' * 3_000_000)[-1:], seen)\n"
        "ahead.close()\n"
    )
    assert out == "b'cba1' b'1' []\n"


def test_what_it_prints_is_not_our_output():
    out = ran(
        "ahead = Ahead.where_possible(lambda x: b'%d' % os.write(1, b'noise'), print)\n"
        "print(ahead(b''))\nahead.close()\n"
    )
    assert out == "b'5'\n"


def test_a_process_that_dies_gives_no_answer():
    out = ran(
        "ahead = Ahead.where_possible(lambda x: os._exit(1), lambda: None)\n"
        "print(ahead(b'a'), ahead(b'b'))\nahead.close()\n"
    )
    assert out == "None None\n"


def test_it_is_gone_after_close_however_busy_it_is():
    out = ran(
        "ahead = Ahead.where_possible(lambda x: x, lambda: time.sleep(600))\n"
        "ahead.close()\n"
        "try:\n    os.kill(ahead._process, 0)\nexcept ProcessLookupError:\n    print('gone')\n"
    )
    assert out == "gone\n"


def test_no_fork_beside_other_threads():
    wait = threading.Event()
    other = threading.Thread(target=wait.wait)
    other.start()
    try:
        assert Ahead.where_possible(lambda x: x, lambda: None) is None
    finally:
        wait.set()
        other.join()
