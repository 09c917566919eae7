"""Gates as test cases, in the JUnit XML that GitLab, Jenkins, Azure and GitHub actions read.

Without gates there is one test case, that the measurement ran, so that the page is never empty.
No times: the same input gives the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.render.tables import documents
from calibcli.render.words import figures, names, verdicts, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    Result = Mapping[str, Any]

_SUITE = "calibcli measure"


def render_measure(result: Result) -> str:
    """Return a measure result as JUnit XML."""
    gates = result.get("gates") or []
    failed = sum(not gate["passed"] for gate in gates)
    counts = f'tests="{len(gates) or 1}" failures="{failed}" errors="0" skipped="0"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="calibcli" {counts}>',
        f'  <testsuite name="{_SUITE}" {counts}>',
        "    <properties>",
        *(
            f'      <property name="{names.html(key)}" value="{names.html(value)}"/>'
            for key, value in _properties(result)
        ),
        "    </properties>",
        *(line for gate in gates for line in _case(gate)),
    ]
    if not gates:
        lines.append(f'    <testcase classname="{_SUITE}" name="measured"/>')
    told = "\n".join(names.html(line) for line in _words(result))
    lines += [f"    <system-out>{told}</system-out>", "  </testsuite>", "</testsuites>"]
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


def _properties(result: Result) -> list[tuple[str, str]]:
    """Return what a reader of the report alone has to know: the tags, the data, the conventions."""
    tags = (result.get("params") or {}).get("tags") or {}
    return [
        *tags.items(),
        ("calibcli", str(result["calibcli"])),
        ("inputs", documents.inputs_line(result)),
        ("conventions", words.conventions(result)),
    ]


def _case(gate: Result) -> list[str]:
    start = f'    <testcase classname="{_SUITE}" name="{names.html(gate["expr"])}"'
    if gate["passed"]:
        return [f"{start}/>"]
    said = names.html(failure_words(gate))
    failure = f'      <failure type="gate" message="{said}">{said}</failure>'
    return [f"{start}>", failure, "    </testcase>"]


def failure_words(gate: Result) -> str:
    """Return what a gate found: `gate 'ece>0.05' failed: 0.0960 [0.0810, 0.1104]`."""
    where = gate.get("slice")
    of = f", {_slice_words(where)}" if where else ""
    return f"gate {gate['expr']!r} failed: {figures.with_interval(gate)}{of}"


def _slice_words(where: Result) -> str:
    name = words.slice_name({"slice": where})
    return f"{where['column']}={name}" if where.get("kind") == "group" else f"class {name}"


def _words(result: Result) -> list[str]:
    """Return the answer in words, a line each."""
    answer = verdicts.verdict(result, str)
    facts = ", ".join([documents.measure_headline(result), *documents.measure_facts(result)])
    warnings = [f"warning: {text}" for text in result.get("warnings") or []]
    return [facts, answer.headline, *answer.details, *warnings]
