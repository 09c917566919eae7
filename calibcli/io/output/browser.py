"""A page printed to PDF by a browser of this machine, if there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from calibcli.errors import InputError

NAMES: Final = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
    "microsoft-edge", "msedge", "brave-browser",
)  # fmt: skip
_SECONDS: Final = 120.0


def find_browser() -> str:
    """Return the path of a browser that prints without a window.

    Raises:
        InputError: there is none.
    """
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        raise InputError(
            "a PDF is printed by a browser, and none is found",
            "install chromium, or write report.html and print that",
        )
    return browser


def print_pdf(page: str) -> bytes:
    """Return an HTML page as PDF.

    The browser sees a folder of its own only, and the page asks the network for nothing.

    Raises:
        InputError: no browser is found, or it prints nothing.
    """
    browser = find_browser()
    with tempfile.TemporaryDirectory(prefix="calibcli-") as folder:
        source, printed = Path(folder, "page.html"), Path(folder, "page.pdf")
        source.write_text(page, encoding="utf-8")
        command = [
            browser, "--headless", "--disable-gpu", "--no-pdf-header-footer",
            f"--user-data-dir={folder}/profile", f"--print-to-pdf={printed}", source.as_uri(),
        ]  # fmt: skip
        if hasattr(os, "geteuid") and os.geteuid() == 0:  # its sandbox refuses root
            command.insert(1, "--no-sandbox")
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_SECONDS,
                check=False,
            )
        if not printed.exists():
            raise InputError(
                f"{Path(browser).name} printed no PDF", "write report.html and print that"
            )
        return printed.read_bytes()
