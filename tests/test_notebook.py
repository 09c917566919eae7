"""Executes docs/notebook.ipynb from top to bottom and compares what its cells show.

``python tests/test_notebook.py`` writes what they show now into the notebook.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.golden import matches

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"


def shown(source: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    """Execute a cell and return its outputs as a notebook has them."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    value = None
    exec(compile(tree, "cell", "exec"), names)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    if value is None:
        return []
    data = {"text/plain": repr(value).splitlines(True)}
    if hasattr(value, "_repr_html_"):
        data["text/html"] = value._repr_html_().splitlines(True)
    result = {"output_type": "execute_result", "data": data, "metadata": {}}
    return [result | {"execution_count": None}]


def cells(folder: Path) -> tuple[dict[str, Any], list[tuple[dict[str, Any], list[Any]]]]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    shutil.copytree(ROOT / "sample_data", folder / "sample_data")
    names: dict[str, Any] = {}
    return notebook, [
        (cell, shown("".join(cell["source"]), names))
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]


@pytest.mark.slow
def test_cells_show_what_the_notebook_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, executed = cells(tmp_path)
    assert len(executed) >= 8
    for cell, now in executed:
        kept = cell["outputs"]
        assert [one["output_type"] for one in now] == [one["output_type"] for one in kept]
        for new, old in zip(now, kept, strict=True):
            if "text/html" in old["data"]:  # a whole result: its first line
                assert "<table" in "".join(new["data"]["text/html"])
                texts = [side["data"]["text/plain"][0] for side in (new, old)]
            else:
                texts = ["".join(side["data"]["text/plain"]) for side in (new, old)]
            assert matches(*texts), cell["source"]
    assert (tmp_path / "report.html").stat().st_size > 100_000


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        whole, every = cells(Path(place))
    for number, (one, outputs) in enumerate(every, 1):
        one["execution_count"] = number
        one["outputs"] = [output | {"execution_count": number} for output in outputs]
    NOTEBOOK.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(every)} cells\n")
