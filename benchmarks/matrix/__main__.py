"""`python -m benchmarks.matrix`: write docs/matrix.md; with --try, say which of its cells act."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.matrix.commands import TRIALS, World
from benchmarks.matrix.page import COLUMNS, page
from benchmarks.matrix.run import cluster, tried

PAGE = Path(__file__).parents[2] / "docs" / "matrix.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.matrix", description=__doc__)
    parser.add_argument("--try", dest="only", metavar="TEXT", help="features with this text")
    parser.add_argument("--kind", choices=COLUMNS, help="one kind of scores")
    given = parser.parse_args()
    if given.only is None:
        PAGE.write_text(page(), encoding="utf-8")
        return
    with tempfile.TemporaryDirectory() as folder, cluster() as scheduler:
        for kind in (given.kind,) if given.kind else COLUMNS:
            world = World.make(kind, Path(folder) / kind, scheduler)
            for name, trial in TRIALS.items():
                if given.only in name:
                    found = tried(world, trial(world))
                    print(f"{kind} | {name} | {'acts' if found.acts else found.said}", flush=True)


main()
