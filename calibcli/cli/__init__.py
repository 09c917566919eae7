"""The command line: parse, call a workflow, render, write, exit code. Knows Typer; nobody else."""
