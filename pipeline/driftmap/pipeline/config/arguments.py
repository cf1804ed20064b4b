"""Arguments of Python functions that no command line has as they are: flags, callbacks, numbers of seconds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from driftmap.pipeline.errors import ConfigError


def refuse_other_flags(**flags: object) -> None:
    """Refuse what is neither True nor False: any text, "no" among it, would be taken for True."""
    for name, value in flags.items():
        if not isinstance(value, bool | np.bool_):
            raise ConfigError(f"{name} is {value!r}; True or False was expected")


def refuse_other_calls(**calls: Any) -> None:
    """Refuse what is given to be called and cannot be; None is nothing to call."""
    for name, value in calls.items():
        if value is not None and not callable(value):
            raise ConfigError(f"{name} is {value!r}; a function, or None, was expected")


def refuse_other_seconds(**seconds: object) -> None:
    """Refuse what is no number of seconds."""
    for name, value in seconds.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise ConfigError(f"{name} is {value!r}; a number of seconds, 0 or more, was expected")
