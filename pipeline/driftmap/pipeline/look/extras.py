"""Libraries that only pictures need: loaded when one is drawn, and named where they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from driftmap.pipeline.errors import MissingExtraError


def load_extra(module: str, purpose: str) -> Any:
    """Import a module of the extra `plot`.

    Parameters
    ----------
    module
        Its full name, such as `matplotlib.figure`.
    purpose
        What it is needed for, as the message starts.

    Raises
    ------
    MissingExtraError
        When it is not installed; the message says what to install.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != package:
            raise
        name = {"PIL": "pillow"}.get(package, package)
        raise MissingExtraError(
            f"{purpose} needs {name}, which is not installed; pip install 'driftmap[plot]' brings what pictures need"
        ) from error
