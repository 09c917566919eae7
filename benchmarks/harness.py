"""Whole processes, timed in turn: A B A B …, so that a machine that slows down slows both."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

Command = list[str]


@dataclass(frozen=True)
class Run:
    """One process: seconds on the clock, of processors, and its peak memory in MiB."""

    wall: float
    cpu: float
    peak: float


def timed(command: Command) -> Run:
    """Run a command to its end; its output is thrown away, a failure is not."""
    env = {
        k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    }
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env, cwd="/"
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{said.decode(errors='replace')[-2000:]}")
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB here
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)


@dataclass(frozen=True)
class Pair:
    """Runs of two commands in turn."""

    ours: list[Run]
    theirs: list[Run]

    def ratio(self, figure: str) -> float:
        """Return the median of the ratios, pair by pair."""
        pairs = zip(self.ours, self.theirs, strict=True)
        return statistics.median(getattr(a, figure) / getattr(b, figure) for a, b in pairs)

    def difference(self) -> float:
        """Return the median difference in seconds."""
        pairs = zip(self.ours, self.theirs, strict=True)
        return statistics.median(a.wall - b.wall for a, b in pairs)


def median(runs: list[Run], figure: str) -> float:
    return statistics.median(getattr(run, figure) for run in runs)


def compare(ours: Command, theirs: Command, seconds: float) -> Pair:
    """Run two commands in turn, after one run each that does not count, for about `seconds`.

    Where a single pair takes longer than a quarter of that, the first runs count.
    """
    began = time.perf_counter()
    first = timed(ours), timed(theirs)
    once = time.perf_counter() - began
    left = int((seconds - once) / once) if once else 1
    if left < 3:
        pairs = [first]
        if left >= 1:
            pairs.append((timed(ours), timed(theirs)))
    else:
        pairs = [(timed(ours), timed(theirs)) for _ in range(min(left, 9))]
    return Pair([a for a, _ in pairs], [b for _, b in pairs])


def environment(folder: Path, *packages: str) -> Path | None:
    """Make a virtual environment with these packages, once; None where one cannot be had."""
    python, done = folder / "bin" / "python", folder / ".installed"
    wanted = "\n".join(packages)
    if done.exists() and done.read_text() == wanted:
        return python
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--compile",
    ]
    if subprocess.run([*install, *packages], check=False, stderr=subprocess.DEVNULL).returncode:
        return None
    done.write_text(wanted)
    return python


def machine() -> str:
    """Say what this is measured on."""
    name = "unknown processor"
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = lines[0].partition(":")[2].strip() if lines else name
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    version = ".".join(map(str, sys.version_info[:3]))
    return f"{name}, {cores} cores, {memory:.0f} GiB, Python {version}{load}"
