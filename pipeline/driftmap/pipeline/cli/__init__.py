"""The `driftmap` command: `main` is the program, `run_command` one call of it."""

from driftmap.pipeline.cli.app import main, run_command

__all__ = ["main", "run_command"]
