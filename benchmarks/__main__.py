"""Every figure of docs/performance.md: `make bench`, or `python -m benchmarks [--only TEXT]`.

Makes its data (2 GB) and its environments under build/bench, runs this program and its peers as
whole processes in turn, and prints medians of the ratios and the peak memory of both. Peers that
need PyTorch, of some gigabytes, only with --torch (`probmetrics` needs numba, too).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.cases import PEERS, Case, cases
from benchmarks.harness import Pair, compare, environment, machine, median, timed

ROOT = Path(__file__).parents[1].resolve()
PACKAGES = ("duckdb", "polars", "scikit-learn>=1.8", "mapie", "pycocotools")
OF_TORCH = ("netcal", "torchmetrics", "probmetrics", "numba")
HEAD = (
    "| this | beside | ratio | target | CPU ratio | seconds | MiB | peer's MiB | |\n"
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="TEXT", default="", help="cases whose row has this text")
    parser.add_argument("--seconds", type=float, default=25.0, help="for each case, about")
    parser.add_argument("--total", type=float, default=840.0, help="start no case after this")
    parser.add_argument("--torch", action="store_true", help="also peers that need PyTorch")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "bench")
    given = parser.parse_args()
    folder = given.folder.resolve()
    out = folder / "out"
    out.mkdir(parents=True, exist_ok=True)
    # The program as its users have it: installed, compiled, without what its tests need.
    own = environment(folder / "own", str(ROOT))
    peers = environment(folder / "peers", "numpy", "pyarrow", "scipy")
    if own is None or peers is None:
        sys.exit("the environments could not be made: is the package index reachable?")
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([own, *pip, "--force-reinstall", "--no-deps", ROOT], check=True)
    missing = [name for name in PACKAGES if not installed(peers, name)]
    missing += [name for name in OF_TORCH if not (given.torch and installed(peers, name))]
    subprocess.run([peers, PEERS / "data.py", folder / "data"], check=True)
    ours = own.with_name("calibcli")
    fitted = out / "temperature.json"
    b20 = folder / "data" / "b20.parquet"
    timed([str(ours), "fit", str(b20), "--method", "temperature", "-o", str(fitted)])
    print(f"{machine()}\n\n{HEAD}", flush=True)
    began = time.perf_counter()
    for case in cases(ours, peers, folder / "data", out):
        if given.only not in f"{case.name} {case.peer}":
            continue
        name = f"| {case.name} | {case.peer} |"
        if any(package.startswith(case.needs or "-") for package in missing):
            print(f"{name} | | | | | | could not be installed here |", flush=True)
        elif time.perf_counter() - began > given.total:
            print(f"{name} | | | | | | no time was left |", flush=True)
        else:
            print(row(name, case, given.seconds), flush=True)


def installed(python: Path, package: str) -> bool:
    """Install a peer; tell whether that worked."""
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
    return not subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode


def row(name: str, case: Case, seconds: float) -> str:
    """Run a case and return its line of the table."""
    try:
        pair = compare(case.ours, case.theirs, seconds)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return f"{name} | | | | | | failed |"
    figures = (
        f"{median(pair.ours, 'wall'):.2f} / {median(pair.theirs, 'wall'):.2f} | "
        f"{median(pair.ours, 'peak'):.0f} | {median(pair.theirs, 'peak'):.0f}"
    )
    target, met = promise(case, pair)
    ratios = f"{pair.ratio('wall'):.2f} | {target} | {pair.ratio('cpu'):.2f}"
    return f"{name} {ratios} | {figures} | {met} |"


def promise(case: Case, pair: Pair) -> tuple[str, str]:
    if case.extra is not None:
        more = pair.difference()
        return f"+{case.extra} s", f"{more:+.2f} s, {'met' if more <= case.extra else 'missed'}"
    if case.target is None:
        return "", f"{len(pair.ours)} runs"
    met = "met" if pair.ratio("wall") <= case.target else "missed"
    return f"{case.target:.3g}", f"{met}, {len(pair.ours)} runs"


if __name__ == "__main__":
    main()
