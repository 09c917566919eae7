"""Gates as test cases, in the JUnit XML that GitLab, Jenkins, Azure and GitHub actions read.

Without gates there is one test case, that the measurement ran, so that the page is never empty.
No times: the same input gives the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.render.tables import documents
from calibcli.render.tables.common import slice_title
from calibcli.render.words import figures, names, verdicts, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.envelope import GateResult
    from calibcli.core.results.measure import MeasureResult
    from calibcli.render.tables.documents import Gated, Other

    Case = tuple[str, str | None]
    """A test case by its name, and why it failed; None where it passed."""


def render_measure(result: MeasureResult) -> str:
    """Return a measure result as JUnit XML."""
    answer = verdicts.verdict(result, str)
    told = [documents.measure_summary(result), answer.headline, *answer.details]
    return _suite(result, "measure", "measured", told, ("conventions", words.conventions(result)))


def render_document(result: Other) -> str:
    """Return a result of any command but measure as JUnit XML: its checks, then the gates."""
    told, command = documents.document(result), result.schema.removeprefix("calibcli/")
    checks = [
        (one.name, None if one.passed else one.reason or "")
        for one in getattr(result, "checks", ())
    ]
    return _suite(result, command, told.done, [told.headline], checks=checks)


render_apply = render_fit = render_promotion = render_threshold = render_document


def _suite(
    result: Gated,
    command: str,
    done: str,
    told: Sequence[str],
    *properties: tuple[str, str],
    checks: Sequence[Case] = (),
) -> str:
    """Return a result as a suite: a case for each check and gate, or the one that it was `done`."""
    gates = [(one.expr, None if one.passed else failure_words(one)) for one in result.gates]
    cases: list[Case] = [*checks, *gates]
    suite = f"calibcli {command}"
    failed = sum(said is not None for _, said in cases)
    counts = f'tests="{len(cases) or 1}" failures="{failed}" errors="0" skipped="0"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="calibcli" {counts}>',
        f'  <testsuite name="{suite}" {counts}>',
        "    <properties>",
        *(
            f'      <property name="{names.html(key)}" value="{names.html(value)}"/>'
            for key, value in [*_properties(result), *properties]
        ),
        "    </properties>",
        *(line for case in cases for line in _case(suite, *case)),
    ]
    if not cases:
        lines.append(f'    <testcase classname="{suite}" name="{done}"/>')
    warnings = [f"warning: {text}" for text in result.warnings]
    whole = "\n".join(names.html(line) for line in [*told, *warnings])
    lines += [f"    <system-out>{whole}</system-out>", "  </testsuite>", "</testsuites>"]
    return "\n".join(lines) + "\n"


def render_error(command: str, message: str, *, no: bool) -> str:
    """Return a run that has no result as JUnit XML: an error, or a failure where it says no."""
    kind = "failure" if no else "error"
    counts = f'tests="1" failures="{int(no)}" errors="{int(not no)}" skipped="0"'
    said, suite = names.html(message), f"calibcli {command}"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name="calibcli" {counts}>\n'
        f'  <testsuite name="{suite}" {counts}>\n'
        f'    <testcase classname="{suite}" name="{command}">\n'
        f'      <{kind} type="{kind}" message="{said}">{said}</{kind}>\n'
        "    </testcase>\n  </testsuite>\n</testsuites>\n"
    )


def _properties(result: Gated) -> list[tuple[str, str]]:
    """Return what a reader of the report alone has to know: the tags and the data."""
    return [
        *result.conventions.tags.items(),
        ("calibcli", result.calibcli),
        ("inputs", documents.inputs_line(result.inputs)),
    ]


def _case(suite: str, name: str, failed: str | None) -> list[str]:
    start = f'    <testcase classname="{suite}" name="{names.html(name)}"'
    if failed is None:
        return [f"{start}/>"]
    said = names.html(failed)
    failure = f'      <failure type="gate" message="{said}">{said}</failure>'
    return [f"{start}>", failure, "    </testcase>"]


def failure_words(gate: GateResult) -> str:
    """Return what a gate found: `gate 'ece>0.05' failed: 0.0960 [0.0810, 0.1104]`."""
    where, of = gate.slice, ""
    if where is not None:
        of = f", {slice_title(where)}" if where.kind == "group" else f", class {where.title}"
    return f"gate {gate.expr!r} failed: {figures.with_interval(gate)}{of}"
