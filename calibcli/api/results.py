"""Results in a notebook, one or two side by side: a frame, a text, a page and the exact JSON."""

from __future__ import annotations

from html import escape
from os import fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

import msgspec

from calibcli.api.call import PREFIX, plain
from calibcli.core.results.base import plain as record
from calibcli.core.results.fit import FitResult
from calibcli.core.results.measure import MeasureResult
from calibcli.core.results.saved import SavedPair
from calibcli.core.results.threshold import ThresholdResult
from calibcli.errors import UsageError
from calibcli.io.output.sink import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike

    import pandas as pd

    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
    from calibcli.workflows.input.loaded.cuts import LoadedThresholds


class Shown:
    """What every result can be shown as; `_kept` has what showing it again needs."""

    __slots__ = ()
    _command = ""
    _numbers: tuple[str, ...] = ("value", "low", "high")
    __dict__: dict[str, Any]
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, document: Any, **kept: Any) -> Self:
        """Return the typed result of what a command shows."""
        from calibcli.render.formats.jsonout import render_json

        text = render_json(document)
        found = msgspec.json.decode(text, type=cls)
        found.__dict__.update(kept, json=text)
        return found

    def to_json(self) -> str:
        """Return the JSON of the command line, byte for byte."""
        return str(self.__dict__["json"])

    def frame(self) -> pd.DataFrame:
        """Return every number as a row: the eleven columns of `--format csv`."""
        import io

        import pandas as pd

        # Floats are read by Python itself, which unlike some releases of pandas never rounds.
        frame = pd.read_csv(io.StringIO(self._rendered("csvout")), dtype=str, keep_default_na=False)
        for name in self._numbers:
            frame[name] = [float(text) if text else float("nan") for text in frame[name]]
        return frame

    def _rendered(self, form: str, **options: Any) -> str:
        from importlib import import_module

        module = import_module(f"calibcli.render.formats.{form}")
        return str(getattr(module, f"render_{self._command}")(self, **options))

    def __repr__(self) -> str:
        return self._rendered("text", color=False, width=None).rstrip("\n")

    __str__ = __repr__

    def _repr_html_(self) -> str:
        from calibcli.render.page.parts import table_html
        from calibcli.render.tables import documents

        head = escape(repr(self).partition("\n\n")[0]).replace("\n", "<br>")
        said = "".join(f"<p>warning: {escape(text)}</p>" for text in self.warnings)
        tables = documents.tables_of(self)
        return f"<p>{head}</p>{said}{''.join(map(table_html, tables))}"


class Measured(MeasureResult, Shown, frozen=True, kw_only=True, dict=True):
    """What `measure` found."""

    _command = "measure"
    __repr__ = Shown.__repr__

    @property
    def passed(self) -> bool:
        """Whether every gate of `fail_if` has passed."""
        return all(gate.passed for gate in self.gates)

    def report(self, path: str | PathLike[str], **options: Any) -> None:
        """Write everything on one page: HTML, or Markdown or JSON by the suffix.

        Args:
            path: where the page goes.
            options: of the command `report`, such as `title` or `cost`.
        """
        page: Callable[..., None] = self.__dict__["page"]
        page(path, **options)


class Kept(Shown):
    """What a result is that made an artifact."""

    __slots__ = ()

    @property
    def payload(self) -> dict[str, Any]:
        """The artifact, as it is written."""
        payload: dict[str, Any] = self.__dict__["artifact"].payload
        return payload

    def save(self, path: str | PathLike[str]) -> None:
        """Write the artifact."""
        from os import fspath

        from calibcli.io.artifacts.artifacts import write_artifact

        kind = self.payload["schema"].removeprefix("calibcli/")
        write_artifact(fspath(path), kind, self.payload)


class Fitted(FitResult, Kept, frozen=True, kw_only=True, dict=True):
    """What `fit` did, with the calibrator that it made."""

    _command = "fit"
    __repr__ = Shown.__repr__

    @property
    def loaded(self) -> LoadedCalibrator:
        """The calibrator in use."""
        calibrator: LoadedCalibrator = self.__dict__["artifact"]
        return calibrator

    def apply(self, scores: Any, **options: Any) -> Any:
        """Return calibrated probabilities of scores; see `LoadedCalibrator.apply`."""
        return self.loaded.apply(scores, **options)


class Chosen(ThresholdResult, Kept, frozen=True, kw_only=True, dict=True):
    """What `threshold` chose."""

    _command = "threshold"
    __repr__ = Shown.__repr__

    @property
    def loaded(self) -> LoadedThresholds:
        """The thresholds in use."""
        thresholds: LoadedThresholds = self.__dict__["artifact"]
        return thresholds

    def decide(self, scores: Any, **options: Any) -> Any:
        """Return one decision a row; see `LoadedThresholds.decide`."""
        return self.loaded.decide(scores, **options)


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
