"""Lines of the command: what comes from data, files and the network is shown, never obeyed."""

from __future__ import annotations

import re

import click

from driftmap.pipeline.errors import hide_credentials

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal obeys, or what turns the order of text round; line breaks stay."""

_N_FIRST, _N_LAST = 200, 100
_LONG_WORD = re.compile(r"\S{600,}")
"""An argument or a value that a message repeats; longer than all paths that anyone names."""


def as_shown(text: str) -> str:
    """Give text that comes from data or files as a terminal may show it: control characters as escapes."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def as_message(text: str) -> str:
    """Give a message as stderr may show it: without the credentials of URLs, and with words of any length cut short."""
    return as_shown(_LONG_WORD.sub(_cut_short, hide_credentials(text)))


def _cut_short(found: re.Match[str]) -> str:
    word = found[0]
    return f"{word[:_N_FIRST]}…({len(word) - _N_FIRST - _N_LAST:,} characters)…{word[-_N_LAST:]}"


def say(line: str) -> None:
    """Print a line on stdout."""
    click.echo(as_shown(line))


def say_on_stderr(line: str) -> None:
    """Print a line on stderr; see `as_message`."""
    click.echo(as_message(line), err=True)


def describe_blocks(n_windows: int, n_blocks: int) -> str:
    """Say that windows do not fit a worker, and what is done about it."""
    what = "1 window does" if n_windows == 1 else f"{n_windows:,} windows do"
    blocks = "1 block" if n_blocks == 1 else f"{n_blocks:,} blocks"
    return f"{what} not fit a worker: neighbours are searched in {blocks} of rows read from the source"
