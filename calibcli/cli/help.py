"""Help of the program and its commands: options in groups, what most people need first."""

from __future__ import annotations

import textwrap
from types import MethodType
from typing import Any

OFTEN = "Options that most people need first"
SHOWN = "What to show"
"""The group of every option that no other group names."""
_FIRST = {
    "measure": "output score label scores group cluster calibrator thresholds fail_if format",
    "fit": "output method score label scores cluster per_class per_group ensemble format",
    "apply": "output thresholds score scores prior emit fail_if format",
    "threshold": "output maximize subject_to cost guarantee calibrator score label group cluster",
    "report": "output calibrator thresholds group cluster cost fail_if score label scores",
}
"""The options of each command that most people need first, in the order of its help."""
_GROUPS = {
    "Input": "score scores label labels key logits raw descending task classes positive predicted "
    "weight count cluster votes drop_invalid renormalise ignore_label input_format",
    "What to learn": "method folds select temperatures ensemble",
    "What to choose": "maximize subject_to guarantee cost cost_matrix prior abstain coverage sets "
    "penalty free_rank candidates",
    "By class and group": "per_class per_group equal unreachable",
    "Promotion of a new calibrator": "promote_over rollback replay dry_run ok_if_kept min_rows "
    "min_positives max_shift steps lock_timeout",
    SHOWN: "threshold thresholds calibrator group versus reference by at worst every",
    "Conventions": "bins binning edges closed tolerance confidence no_ci seed",
    "Images": "layout scale images connectivity background",
    "Boxes": "ground_truth iou nms_iou masks max_detections search",
    "Output": "output interval evidence promise provenance fail_if format tag title save_stats "
    "plot save_plots",
    "Running": "threads engine scheduler quiet verbose debug no_config config help",
}
EXAMPLES = {
    "measure": (
        "calibcli measure test.csv",
        "calibcli measure test.csv --cluster patient --group size",
        "calibcli measure test.csv --calibrator calibrator.json --fail-if 'ece>0.05'",
        "calibcli measure logits.npy --labels labels.npy --logits",
    ),
    "fit": (
        "calibcli fit held_out.csv -o calibrator.json",
        "calibcli fit held_out.csv --cluster patient --method isotonic -o calibrator.json",
        "calibcli fit logits.npy --labels labels.npy --logits -o calibrator.json",
    ),
    "apply": (
        "calibcli apply calibrator.json test.csv -o calibrated.csv",
        "calibcli apply calibrator.json test.csv --thresholds cutoff.json -o decided.csv",
        "calibcli apply calibrator.json --emit sql",
    ),
    "threshold": (
        "calibcli threshold held_out.csv --cost fp=1,fn=5 -o cutoff.json",
        "calibcli threshold held_out.csv --maximize precision --subject-to 'recall>=0.8'",
        "calibcli threshold held_out.csv --calibrator calibrator.json -o cutoff.json",
    ),
    "report": (
        "calibcli report test.csv -o report.html",
        "calibcli report test.csv --calibrator calibrator.json --thresholds cutoff.json -o r.html",
    ),
}
"""Commands to begin with, by command; the first one is shown by `calibcli` alone."""
_METAVARS = {"float": "X", "float range": "X", "int": "N", "int range": "N", "str": "TEXT"}


def arrange(command: Any) -> None:
    """Give a command, or the program, the help of this module."""
    if hasattr(command, "commands"):
        for parameter in command.params:
            if parameter.name == "show_completion":  # all else fits the screen of a terminal
                parameter.hidden = True
        command.format_commands = MethodType(_commands, command)
        return
    command.format_options = MethodType(_options, command)
    command.format_epilog = MethodType(_epilog, command)
    for parameter in command.params:
        if parameter.metavar is None:
            parameter.metavar = _METAVARS.get(parameter.type.name)


def groups_of(command: Any, context: Any) -> dict[str, list[Any]]:
    """Return the options of a command by the group that its help shows them in.

    An option stands in one group only, in the order of the group's list.
    """
    left = {
        parameter.name: parameter
        for parameter in command.get_params(context)
        if parameter.param_type_name == "option"
    }
    arranged = {}
    for title, names in {OFTEN: _FIRST[command.name], **_GROUPS}.items():
        arranged[title] = [left.pop(name) for name in names.split() if name in left]
    arranged[SHOWN] += left.values()
    return arranged


def _options(command: Any, context: Any, formatter: Any) -> None:
    arguments = [
        parameter.get_help_record(context)
        for parameter in command.get_params(context)
        if parameter.param_type_name == "argument"
    ]
    with formatter.section("Arguments"):
        formatter.write_dl(arguments)
    for title, parameters in groups_of(command, context).items():
        if parameters:
            with formatter.section(title):
                formatter.write_dl([one.get_help_record(context) for one in parameters])


def _epilog(command: Any, _: Any, formatter: Any) -> None:
    with formatter.section("Examples"):
        for example in EXAMPLES[command.name]:
            _write_command(formatter, example)
    formatter.write_paragraph()
    formatter.write(textwrap.fill(command.epilog, formatter.width) + "\n")


def _commands(program: Any, context: Any, formatter: Any) -> None:
    with formatter.section("Commands"):
        for name in program.list_commands(context):
            purpose = program.commands[name].get_short_help_str(80)
            formatter.write(f"  {name:<10} {purpose}\n")
            with formatter.indentation():
                _write_command(formatter, EXAMPLES[name][0])


def _write_command(formatter: Any, line: str) -> None:
    """Write a command that can be copied: where it is too long, a backslash ends its first line."""
    indent = " " * formatter.current_indent
    if len(indent + line) > formatter.width:
        at = line.rindex(" --", 0, formatter.width - len(indent) - 2)
        line = f"{line[:at]} \\\n{indent}   {line[at:]}"
    formatter.write(f"{indent}{line}\n")
