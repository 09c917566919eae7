"""Gates as test cases, in the JUnit XML that GitLab, Jenkins, Azure and GitHub actions read.

Without gates there is one test case, that the measurement ran, so that the page is never empty.
No times: the same input gives the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.render.tables import decisions, documents, promotion
from calibcli.render.words import figures, names, verdicts, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Result = Mapping[str, Any]


def render_measure(result: Result) -> str:
    """Return a measure result as JUnit XML."""
    answer = verdicts.verdict(result, str)
    facts = ", ".join([documents.measure_headline(result), *documents.measure_facts(result)])
    told = [facts, answer.headline, *answer.details]
    return _suite(result, "measure", "measured", told, ("conventions", words.conventions(result)))


def render_fit(result: Result) -> str:
    """Return a fit result as JUnit XML."""
    return _suite(result, "fit", "fitted", [documents.fit_headline(result)])


def render_threshold(result: Result) -> str:
    """Return a threshold result as JUnit XML."""
    return _suite(result, "threshold", "chosen", [decisions.thresholds_headline(result)])


def render_apply(result: Result) -> str:
    """Return what apply wrote as JUnit XML."""
    return _suite(result, "apply", "applied", [documents.apply_headline(result)])


def render_promotion(result: Result) -> str:
    """Return what became of a challenger as JUnit XML: the checks of the dump, then the gates."""
    checks = [check_case(one) for one in result["checks"]]
    return _suite(result, "promotion", "compared", [promotion.headline(result)], checks=checks)


def check_case(check: Result) -> Result:
    """Return a check of a dump as a gate is."""
    said = {} if check["passed"] else {"said": check["reason"]}
    return {"expr": check["name"], "passed": check["passed"], **said}


def _suite(
    result: Result,
    command: str,
    done: str,
    told: Sequence[str],
    *properties: tuple[str, str],
    checks: Sequence[Result] = (),
) -> str:
    """Return a result as a suite: a case for each check and gate, or the one that it was `done`."""
    gates = [*checks, *(result.get("gates") or [])]
    suite = f"calibcli {command}"
    failed = sum(not gate["passed"] for gate in gates)
    counts = f'tests="{len(gates) or 1}" failures="{failed}" errors="0" skipped="0"'
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
        *(line for gate in gates for line in _case(suite, gate)),
    ]
    if not gates:
        lines.append(f'    <testcase classname="{suite}" name="{done}"/>')
    warnings = [f"warning: {text}" for text in result.get("warnings") or []]
    said = "\n".join(names.html(line) for line in [*told, *warnings])
    lines += [f"    <system-out>{said}</system-out>", "  </testsuite>", "</testsuites>"]
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
    """Return what a reader of the report alone has to know: the tags and the data."""
    tags = (result.get("params") or {}).get("tags") or {}
    return [
        *tags.items(),
        ("calibcli", str(result["calibcli"])),
        ("inputs", documents.inputs_line(result)),
    ]


def _case(suite: str, gate: Result) -> list[str]:
    start = f'    <testcase classname="{suite}" name="{names.html(gate["expr"])}"'
    if gate["passed"]:
        return [f"{start}/>"]
    said = names.html(gate.get("said") or failure_words(gate))
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
