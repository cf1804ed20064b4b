"""The `driftmap` command: `main` is the program, `run_command` one call of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftmap.pipeline.cli.app import main, run_command

__all__ = ["main", "run_command"]


def __getattr__(name: str) -> object:
    """Import the command only now: `python -m driftmap.pipeline.cli.app` would find it imported before it runs."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from driftmap.pipeline.cli import app

    return getattr(app, name)
