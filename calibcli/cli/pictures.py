"""Pictures in files: `measure --save-plots`, and beside a report in Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibcli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from calibcli.core.decisions.costs import Costs
    from calibcli.render.charts.drawing import Figure


def save(figures: Iterable[Figure], folder: str, *, svg: bool = True) -> None:
    """Write each figure as PNG (and SVG), named by its identity.

    Each file appears whole or not at all; older files of other names stay.

    Raises:
        InputError: the folder cannot be made or written to.
    """
    from calibcli.io.failures import writing
    from calibcli.io.output.sink import write_atomic
    from calibcli.render.charts.vega import chart_png, picture_svg

    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise InputError(f"{folder} is no folder", "name a folder for the pictures")
    with writing(folder):
        place.mkdir(parents=True, exist_ok=True)
    for figure in figures:
        path = place / f"{figure.identity}.png"
        write_atomic(str(path), chart_png(figure.spec))
        if svg:
            write_atomic(str(path.with_suffix(".svg")), picture_svg(figure.spec))


def equal_costs() -> Costs:
    """Return the costs of pictures for which nobody has named any: both errors cost one."""
    from calibcli.core.decisions.costs import Costs

    return Costs(1.0, 1.0)


def save_measure(result: dict[str, Any], folder: str) -> None:
    """Write the pictures of a measure result that has curves, and take the curves out of it."""
    from calibcli.core.results.reading import typed
    from calibcli.render.charts.gallery import all_figures
    from calibcli.workflows.measure.report_curves import drop_curves

    save(all_figures(typed(result)), folder)
    drop_curves(result)
