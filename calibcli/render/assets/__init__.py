"""What the report page carries beside its words: the script and the style sheet of its levers.

They are files of their own so that the tools of their languages can read them.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def asset(name: str) -> str:
    """Return the text of an asset of the page."""
    return files(__package__).joinpath(name).read_text("utf-8")
