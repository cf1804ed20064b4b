"""The options of a run in a TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from driftmap.pipeline.errors import ConfigError

if TYPE_CHECKING:
    import os

_PATHS = ("source", "store", "tls", "report", "performance_report")
"""Options that are paths from the folder of the file."""


def load_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the options of a run from a TOML file.

    Parameters
    ----------
    path
        The file. Paths in it (`source`, `store`, `tls`, `report`, `performance_report`) are from the folder it lies
        in; source and store may be `s3://` URLs.

    Returns
    -------
    dict of str to Any
        Flat options, as the command line has them; their values are not looked at yet.

    Raises
    ------
    ConfigError
        When the file is missing, is not TOML, or holds tables.
    """
    file = Path(path).expanduser()
    try:
        options = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; name a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    for name, value in options.items():
        if isinstance(value, dict) and name != "metric_kwds":
            raise ConfigError(f"{path}: {name!r} is a table; the options are flat, such as: n_neighbors = 15")
    for name in _PATHS:
        if isinstance(options.get(name), str) and "://" not in options[name]:
            options[name] = str(file.parent / Path(options[name]).expanduser())
    return options
