"""One option of the command line, of a TOML file and of Python."""

from __future__ import annotations

from typing import Any, NamedTuple


class Option(NamedTuple):
    """One option; its name with underscores is its name in TOML and in Python."""

    name: str
    type: Any
    help: str
    metavar: str | None = None
    is_many: bool = False
    also: tuple[type, ...] = ()
    """Types that a TOML file may give too."""
    group: str | None = None
    """Heading under which `--help` lists it."""
