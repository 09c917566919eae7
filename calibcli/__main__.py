"""`python -m calibcli`."""

from calibcli.cli.main import run

run()
