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
    """Heading under which `--help` lists it; None: that of its table."""
    is_common: bool = False
    """Whether most calls need it, so that `--help` lists it first."""
    default: Any = None
    """What it is when it is not given; None: what Python's function takes then."""
