"""The report in a real browser: Debian's chromium, driven by Playwright; skipped without either."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NASTY = [
    "</script><img src=x onerror=hacked()>",
    "<b onmouseover=hacked()>x</b>",
    "'\"--></style></title><script>hacked()</script>",
    "{{constructor}} ${hacked()} &lt;",
    "two\nlines\u202eabc\x07",
]
UNSAFE = "</title><script>hacked()</script>"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="pip install 'calibcli[browser]'")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        pytest.skip("no chromium: apt-get install chromium")
    with api.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Open a page; afterwards, nothing may have been asked of the network nor gone wrong."""
    contexts, complaints = [], []

    def run(path: Path, *, width: int = 1280, height: int = 900, **options: Any) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: complaints.append(f"request: {request.url}"))
        page.goto(path.as_uri())
        assert complaints == [f"request: {path.as_uri()}"]
        complaints.clear()
        return page

    yield run
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, from npm; not kept here, for its licence is the MPL."""
    given = os.environ.get("CALIBCLI_TEST_AXE")
    if given:
        return Path(given).read_text("utf-8")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm to fetch axe-core with")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "axe-core@4"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ran.returncode:
        pytest.skip(f"npm could not fetch axe-core: {ran.stderr[-200:]}")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="session")
def session_run() -> Callable[..., None]:
    """Run the program in this process and expect success."""
    from calibcli.cli.main import main

    def run(*arguments: object) -> None:
        assert main([str(argument) for argument in arguments]) == 0

    return run


@pytest.fixture(scope="session")
def binary_report(
    tmp_path_factory: pytest.TempPathFactory, session_run: Callable[..., None]
) -> dict[str, Path]:
    """A binary report before and after calibration, with groups whose names attack the page."""
    import pyarrow as pa
    from pyarrow import parquet

    folder = tmp_path_factory.mktemp("binary")
    rng = np.random.default_rng(21)
    z = rng.normal(-0.5, 1.5, 1500)
    label = (rng.random(1500) < 1 / (1 + np.exp(-z))).astype(int)
    score = np.round(1 / (1 + np.exp(-3 * z)), 3)
    group = np.array(NASTY)[rng.integers(0, len(NASTY), 1500)]
    scores = folder / f"<img src=x onerror=hacked()>{60 * '_'}.parquet"
    parquet.write_table(pa.table({"score": score, "label": label, "<i>g": group}), scores)
    paths = {name: folder / f"{name}.json" for name in ("calibrator", "thresholds")}
    quiet = ("-o", folder / "calibrator.json", "-q")
    session_run("fit", scores, "--method", "platt", *quiet)
    own = ("--calibrator", paths["calibrator"])
    session_run("threshold", scores, *own, "--maximize", "f1", "-q", "-o", paths["thresholds"])
    page = folder / "report.html"
    more = ("--thresholds", paths["thresholds"], "--group", "<i>g", "--by", "<i>g")
    session_run("report", scores, *own, *more, "-q", "-o", page, "--title", UNSAFE)
    return {**paths, "scores": scores, "page": page}


@pytest.fixture(scope="session")
def classes_report(
    tmp_path_factory: pytest.TempPathFactory, session_run: Callable[..., None]
) -> dict[str, Path]:
    """A report of 45 classes without a calibrator, in bins of equal mass."""
    folder = tmp_path_factory.mktemp("classes")
    rng = np.random.default_rng(22)
    z = rng.normal(0, 1, (3000, 45))
    label = rng.integers(0, 45, 3000)
    z[np.arange(3000), label] += np.where(label < 5, 1.5, 4.0)
    paths = {name: folder / f"{name}.npy" for name in ("logits", "labels")}
    np.save(paths["logits"], 3 * z)
    np.save(paths["labels"], label)
    page = folder / "report.html"
    arguments = (paths["logits"], "--labels", paths["labels"], "--logits", "--binning", "mass")
    session_run("report", *arguments, "-q", "-o", page)
    return {**paths, "page": page}
