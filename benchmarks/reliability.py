"""Faults, injected by the hundred: `python -m benchmarks.reliability [times]`; a Markdown table.

Runs are forks of one warmed-up process, so that a kill falls into work and not into imports. A
file is lost when `current.json` is missing, is not whole, or is neither what it was nor what the
run was to put there; when `current.json.previous` is not whole; or when the next run cannot make
good what is left. Needs root for small and for read-only disks, which are left out without it.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np

from calibcli.cli.main import main as calibcli
from calibcli.core.numeric.scales import expit
from calibcli.io.artifacts.artifacts import read_artifact

METHOD = ("--method", "platt", "--steps", "1")


def dump(path, seed, slope, level, rows=2000):
    rng = np.random.default_rng(seed)
    z = rng.normal(-0.8, 1.6, rows)
    label = (rng.random(rows) < expit(slope * z + level)).astype(int)
    lines = [f"{p:.5f},{y}" for p, y in zip(expit(z), label, strict=True)]
    path.write_text("\n".join(["score,label", *lines, ""]))
    return path


def quietly(*arguments):
    """Run a command here; return its exit code and its standard output."""
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(said), redirect_stderr(io.StringIO()):
        code = calibcli([str(one) for one in arguments])
    said.flush()
    return code, said.buffer.getvalue().decode()


def forked(arguments, *, before=None):
    """Start a command in a fork; return its process id."""
    number = os.fork()
    if number:
        return number
    code = 4
    try:
        if before is not None:
            before()
        code, _ = quietly(*arguments)
    finally:
        os._exit(code)


def ended(number):
    """Wait for a fork; return its exit code, below 0 for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def die_before(folder, step):
    """Kill this process before its given step that names something in a folder."""
    taken = 0

    def hook(_, arguments):
        nonlocal taken
        names = [str(one) for one in arguments if isinstance(one, (str, os.PathLike))]
        if any(name.startswith(str(folder)) for name in names):
            taken += 1
            if taken > step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


class Place:
    """A folder with a champion, and two nights that each promote over the other's calibrator."""

    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self.current = folder / "current.json"
        self.previous = folder / "current.json.previous"
        self.nights = [
            dump(folder.parent / "a.csv", 1, 0.7, 0.0),
            dump(folder.parent / "b.csv", 2, 0.4, 0.5),
        ]
        self.turn = 0
        if not self.current.exists():
            quietly("fit", self.nights[1], *METHOD[:2], "-o", self.current)

    def promotion(self):
        """Return the arguments of a run that promotes."""
        return ("fit", self.nights[self.turn], *METHOD, "--promote-over", self.current)

    def rollback(self):
        return ("fit", "--rollback", self.current)

    def lost(self, before):
        """Return what is wrong after a fault, or None; then let the next run make it good."""
        try:
            read_artifact(str(self.current), "calibrator")
            if self.previous.exists():
                read_artifact(str(self.previous), "calibrator")
        except Exception as error:  # noqa: BLE001
            return f"not whole: {error}"
        done = self.current.read_bytes() != before
        if done:
            self.turn = 1 - self.turn
        code = ended(forked((*self.promotion(), "--lock-timeout", "5")))
        if code != 0:
            return f"the next run ended with {code}"
        self.turn = 1 - self.turn
        left = {path.name for path in self.folder.iterdir()}
        if left != {"current.json", "current.json.previous"}:
            return f"left behind: {left}"
        return None


def killed_at_random(folder, times):
    place = Place(folder)
    began = time.perf_counter()
    ended(forked(place.promotion()))
    longest = (time.perf_counter() - began) * 1.2
    place.turn = 1 - place.turn
    lost = hits = 0
    for number in range(times):
        before = place.current.read_bytes()
        run = forked(place.promotion())
        time.sleep(random.uniform(0, longest))
        os.kill(run, signal.SIGKILL)
        hits += ended(run) < 0
        wrong = place.lost(before)
        if wrong:
            lost += 1
            print(f"kill {number}: {wrong}", file=sys.stderr)
    return hits, lost


def killed_at_each_step(folder, arguments_of):
    place = Place(folder)
    ended(forked(place.promotion()))
    place.turn = 1 - place.turn
    lost = 0
    for step in range(1000):
        before = place.current.read_bytes()
        run = forked(arguments_of(place), before=lambda step=step: die_before(folder, step))
        if ended(run) >= 0:
            return step, lost
        lost += place.lost(before) is not None
    raise AssertionError("a run without end")


@contextmanager
def mounted(folder, *options):
    folder.mkdir(exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)], check=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def full_disks(folder):
    """Promote on disks of every size from one page up, until there is room."""
    lost = full = 0
    source = Place(folder / "source")
    for pages in range(1, 60):
        with mounted(folder / "disk", f"size={4 * pages}k") as disk:
            try:
                (disk / "current.json").write_bytes(source.current.read_bytes())
            except OSError:
                continue
            place = Place(disk)
            before = place.current.read_bytes()
            code = ended(forked(place.promotion()))
            full += code == 3
            same = place.current.read_bytes() == before
            left = {path.name for path in disk.iterdir()}
            lost += code == 3 and not (same and left == {"current.json"})
            if code == 0:
                return full, lost
    raise AssertionError("never enough room")


def read_only(folder):
    with mounted(folder / "disk", "size=1m") as disk:
        place = Place(disk)
        before = place.current.read_bytes()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        codes = [ended(forked(place.promotion())), ended(forked((*place.promotion(), "--dry-run")))]
        kept = place.current.read_bytes() == before
    return 2, int(codes != [3, 0] or not kept)


def at_once(folder, times):
    """Runs that start together form one chain: each has promoted over the one before it."""
    lost = 0
    place = Place(folder)
    nights = [
        dump(folder.parent / f"n{k}.csv", 10 + k, *((0.7, 0.0), (0.4, 0.5))[k % 2])
        for k in range(8)
    ]
    for _ in range(times):
        start = read_artifact(str(place.current), "calibrator")["digest"]
        reads, runs = [], []
        for night in nights:
            read, write = os.pipe()

            def tell(write=write):
                os.dup2(write, 1)

            run = os.fork()
            if run == 0:
                tell()
                code = calibcli(
                    [
                        *("fit", str(night), *METHOD, "--format", "json"),
                        *("--promote-over", str(place.current)),
                    ]
                )
                os._exit(code)
            os.close(write)
            reads.append(read)
            runs.append(run)
        told = []
        for read, run in zip(reads, runs, strict=True):
            with os.fdopen(read) as file:
                told.append(json.loads(file.read()))
            ended(run)
        steps = {
            one["champion"]["digest"]: one["challenger"]["digest"]
            for one in told
            if one["decision"] == "promoted"
        }
        at, taken = start, 0
        while at in steps:
            at, taken = steps.pop(at), taken + 1
        now = read_artifact(str(place.current), "calibrator")["digest"]
        left = {path.name for path in folder.iterdir()}
        lost += bool(steps) or at != now or left != {"current.json", "current.json.previous"}
    return times * len(nights), lost


def clock_jumps(folder, times):
    """The same run under clocks of any year, and files of any age, writes the same bytes."""
    place, lost = Place(folder), 0
    before, outcome = place.current.read_bytes(), None
    for _ in range(times):
        place.current.write_bytes(before)
        for path in folder.iterdir():
            age = random.choice([0, 1, 2**31 - 1, 2**32, time.time() + 1e6])
            os.utime(path, (age, age))

        def jump():
            time.time = lambda: random.uniform(-1e10, 1e11)
            time.time_ns = lambda: random.randrange(10**20)

        code = ended(forked(place.promotion(), before=jump))
        now = place.current.read_bytes()
        outcome = outcome or now
        lost += code != 0 or now != outcome or now == before
    return times, lost


def cut_dumps(folder, times):
    """A dump that ends at any byte is refused, unless what is left is a whole shorter dump."""
    place, lost = Place(folder), 0
    before = place.current.read_bytes()
    whole = place.nights[0].read_bytes()
    cut = folder.parent / "cut.csv"
    for _ in range(times):
        end = random.randrange(len(whole))
        cut.write_bytes(whole[:end])
        code, _ = quietly("fit", cut, *METHOD, "--promote-over", place.current, "--min-rows", 1500)
        rows = whole[:end].rstrip(b"\n").split(b"\n")
        sound = len(rows) > 1500 and rows[-1].count(b",") == 1 and rows[-1][-1:] in b"01,"
        lost += place.current.read_bytes() != before and not sound
        lost += code not in (0, 1, 3)
        place.current.write_bytes(before)
    return times, lost


def edited_champions(folder, times):
    """A champion in which one digit is another is refused, and stays as it is.

    The seventeenth digit of a number may be another and the number the same: that is no edit.
    """
    place, lost = Place(folder), 0
    text = place.current.read_text()
    digits = [number for number, one in enumerate(text) if one.isdigit()]
    for _ in range(times):
        at = random.choice(digits)
        other = random.choice([one for one in "123456789" if one != text[at]])
        changed = text[:at] + other + text[at + 1 :]
        place.current.write_text(changed)
        code, _ = quietly(*place.promotion())
        same = json.loads(changed) == json.loads(text)
        lost += not same and (code != 3 or place.current.read_text() != changed)
    place.current.write_text(text)
    return times, lost


def main(times=300):
    random.seed(0)
    calibcli(["--version"])
    print("| fault | injected | times | lost |\n| --- | --- | --- | --- |")

    def row(fault, how, found):
        print(f"| {fault} | {how} | {found[0]} | {found[1]} |", flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        place = Place(root / "warm")
        quietly(*place.promotion())
        row("killed run", "SIGKILL at a random moment of a promotion",
            killed_at_random(root / "random", times))  # fmt: skip
        row("killed run", "SIGKILL before each step of a promotion in the file system",
            killed_at_each_step(root / "steps", Place.promotion))  # fmt: skip
        row("killed run", "SIGKILL before each step of a rollback in the file system",
            killed_at_each_step(root / "back", Place.rollback))  # fmt: skip
        if os.geteuid() == 0:
            (root / "small").mkdir()
            row("full disk", "promotion on a disk one page larger each time, up to one with room",
                full_disks(root / "small"))  # fmt: skip
            row("read-only disk", "mounted read-only: refused; a dry run still decides",
                read_only(root / "small"))  # fmt: skip
        row("runs at once", "eight promotions of one file start together",
            at_once(root / "many", max(times // 50, 1)))  # fmt: skip
        row("clock jumps", "clock and file times of any year, another at each look",
            clock_jumps(root / "clock", times // 10))  # fmt: skip
        row("truncated dump", "a CSV that ends at a random byte", cut_dumps(root / "cut", times))
        row("edited champion", "one digit of the artifact is another",
            edited_champions(root / "edit", times))  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
