"""The documentation as a site: each page is in its navigation once, and it builds strictly."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent


def test_each_page_is_in_the_navigation_once():
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    pages = [page for part in site["nav"] for group in part.values() for page in group]
    assert sorted(pages) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))
    assert site["strict"]


@pytest.mark.skipif(shutil.which("mkdocs") is None, reason="mkdocs-material is not installed")
def test_the_site_builds_and_asks_the_network_for_nothing(tmp_path):
    command = ["mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True)
    for page in tmp_path.glob("*.html"):
        text = page.read_text()
        assert 'src="http' not in text, page.name
        assert "fonts.googleapis" not in text, page.name
