"""`python -m calibcli.io.artifacts.publish`: write the schemas of results from their types."""

from __future__ import annotations

from pathlib import Path

from calibcli.core.results.schemas import TITLES, schema_text

FOLDER = Path(__file__).parents[2] / "schemas"

if __name__ == "__main__":
    for name in TITLES:
        (FOLDER / f"{name}.json").write_text(schema_text(name), encoding="utf-8")
