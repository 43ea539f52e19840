"""What the process that `processes.py` forks commands from has imported: all that any command needs."""

from forked import warm_up

from tlcli.cli.commands import SUMMARIES

warm_up(tuple(SUMMARIES))
