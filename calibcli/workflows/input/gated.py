"""Gates of a run that writes something: one that fails keeps it from its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calibcli.core.results.base import plain
from calibcli.core.results.reading import typed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.decisions.gates import Cutoff, Gate
    from calibcli.core.results.figures import Where

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Gated:
    """Where an artifact goes, and the gates that keep it from there; no path for nowhere."""

    path: str | None
    gates: tuple[Gate, ...] = ()

    @classmethod
    def of(cls, path: str | None, fail_if: Sequence[str]) -> Gated:
        """Understand the gates before anything is read.

        Raises:
            UsageError: a gate that cannot be understood.
        """
        return cls(path, parsed(fail_if))


def parsed(fail_if: Sequence[str]) -> tuple[Gate, ...]:
    """Return the gates; without any, their module is not imported.

    Raises:
        UsageError: a gate that cannot be understood.
    """
    if not fail_if:
        return ()
    from calibcli.core.decisions.gates import parse_gate

    return tuple(parse_gate(text) for text in fail_if)


def passed(result: Result, gates: Sequence[Gate], chosen: Cutoff | None = None) -> bool:
    """Evaluate gates on a result, note in it what they found, and return whether all passed.

    Args:
        result: as the JSON has it.
        gates: none pass at once.
        chosen: the cut-off that `FIGURE@chosen` means; of a choice default the one chosen.

    Raises:
        UsageError: a gate that cannot be evaluated: nothing is to be written then.
    """
    if not gates:
        return True
    from calibcli.core.decisions.gates import Findings, evaluate_gates

    whole = typed(result)
    found = Findings.of(whole, chosen or _chosen(whole))
    result["gates"] = [plain(verdict) for verdict in evaluate_gates(gates, found)]
    return all(gate["passed"] for gate in result["gates"])


def place(output: str | Gated | None, result: Result) -> str | None:
    """Return where the artifact of a result goes; None where a gate holds it back.

    Raises:
        UsageError: a gate that cannot be evaluated.
    """
    gated = output if isinstance(output, Gated) else Gated(output)
    return gated.path if passed(result, gated.gates) else None


def _chosen(result: Any) -> Cutoff | None:
    """Return the cut-off that `FIGURE@chosen` means in a slice of a choice."""
    if result.schema != "calibcli/threshold":
        return None
    cuts = {one.slice: one.threshold for one in result.thresholds}

    def at(where: Where, after: bool) -> float | None:
        return None if after else cuts.get(where)

    return at
