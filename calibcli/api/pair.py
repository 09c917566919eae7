"""Two saved results in memory: side by side, as `calibcli measure old.json new.json` shows them."""

from __future__ import annotations

from os import fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from calibcli.api.call import PREFIX, plain
from calibcli.api.results import Measured, Shown
from calibcli.core.results.base import plain as record
from calibcli.core.results.saved import SavedPair
from calibcli.errors import UsageError
from calibcli.io.output.sink import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Compared(SavedPair, Shown, frozen=True, kw_only=True, dict=True):
    """Two results side by side."""

    _numbers = (
        *("first", "first_low", "first_high"),
        *("second", "second_low", "second_high"),
        "difference",
    )
    __repr__ = Shown.__repr__

    def _rendered(self, form: str, **options: Any) -> str:
        from calibcli.render.formats.saved import FORMS

        return FORMS[{"csvout": "csv", "text": "table"}[form]](self, options.get("width"))

    def _repr_html_(self) -> str:
        from html import escape

        from calibcli.render.formats.saved import saved_table
        from calibcli.render.page.parts import table_html

        head = escape(repr(self).partition("\n\n")[0]).replace("\n", "<br>")
        return f"<p>{head}</p>{table_html(saved_table(self))}"


def compared(sources: Sequence[Any], options: Mapping[str, Any]) -> Compared | None:
    """Return two results side by side; None where the sources are scores.

    Args:
        sources: paths of saved results, or results.
        options: what else was given.

    Raises:
        UsageError: options, which are of scores; one result alone.
    """
    from calibcli.workflows.measure.saved import are_saved_results, side_by_side

    if not all(isinstance(one, str | Path | Measured) for one in sources):
        return None
    written = any(isinstance(one, Measured) for one in sources)
    if not written and not are_saved_results([str(fspath(one)) for one in sources]):
        return None
    with TemporaryDirectory(prefix=PREFIX) as folder:
        paths = [_path(one, Path(folder) / f"result-{i}.json") for i, one in enumerate(sources, 1)]
        if not are_saved_results(paths):
            return None
        given = [name for name, value in options.items() if value is not None]
        if given:
            raise UsageError(
                f"{given[0]} is for scores, and these are two saved results", "leave it out"
            )
        return Compared.of(plain(record(side_by_side(paths))))


def _path(source: Any, path: Path) -> str:
    """Return the path of a result, which is written there where it is in memory."""
    if not isinstance(source, Measured):
        return str(fspath(source))
    write_atomic(str(path), source.to_json())
    return str(path)
