"""The options of a TOML file, checked as those of the command line are: all that is wrong in one message."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from driftmap.engine.errors import InvalidInputError
from driftmap.pipeline.config.run_settings import RUN_SETTINGS
from driftmap.pipeline.config.toml_file import load_toml
from driftmap.pipeline.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from driftmap.pipeline.cli.option import Option

_WORDS = {str: "a text", int: "an integer", float: "a number", bool: "true or false", list: "a list of texts"}


def read_toml(path: str, known: Mapping[str, Option]) -> dict[str, Any]:
    """Read the options of a TOML file.

    Parameters
    ----------
    path
        The file.
    known
        Every option of every command that takes such a file, by name; `source` comes on top.

    Returns
    -------
    dict of str to Any
        Options by name, `source` among them.

    Raises
    ------
    ConfigError
        When the file cannot be read or names no source; or naming every option that is unknown or of a wrong type.
    """
    read = load_toml(Path(path))
    flaws = _find_unknown([name for name in read if name != "source" and name not in known], list(known))
    for name, value in read.items():
        if name == "source" or name in known:
            flaws += _find_flaw(name, value, known.get(name))
    if flaws:
        raise ConfigError(f"{path}: " + "\n".join(flaws))
    if "source" not in read:
        raise ConfigError(f'{path} names no source; add a line such as: source = "data.parquet"')
    return read


def _find_unknown(unknown: list[str], known: list[str]) -> list[str]:
    if not unknown:
        return []
    flaws = []
    for name in unknown:
        close = difflib.get_close_matches(name, ["source", *known], n=1)
        flaws.append(f"unknown option {name!r}" + (f"; did you mean {close[0]}?" if close else ""))
    if all("did you mean" in flaw for flaw in flaws):
        return flaws
    return [*flaws, f"there are: source, {', '.join(known)}"]


def _find_flaw(name: str, value: Any, option: Option | None) -> list[str]:
    if name in RUN_SETTINGS:
        try:
            RUN_SETTINGS[name].check_all(value)
        except InvalidInputError as error:
            return [str(error)]
        return []
    wanted, also = (str, ()) if option is None else (option.type, option.also)
    if isinstance(wanted, click.Choice):
        choices = [str(choice) for choice in wanted.choices]
        return [] if value in choices else [f"{name} must be {' or '.join(map(repr, choices))}, got {value!r}"]
    types = (wanted, *also, *([list] if option is not None and option.is_many else []))
    if any(type(value) is one for one in types) and (
        not isinstance(value, list) or all(isinstance(each, str) for each in value)
    ):
        return []
    what = " or ".join(_WORDS[one] for one in types)
    return [f"{name} must be {what}, got {value!r} of type {type(value).__name__}"]
