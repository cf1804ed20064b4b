"""Libraries that only pictures and widgets need: loaded when one is made, and named where they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from driftmap.pipeline.errors import MissingExtraError

_NEEDED_FOR = {"plot": "pictures", "widget": "widgets"}


def load_extra(module: str, purpose: str, extra: str = "plot") -> Any:
    """Import a module of an extra.

    Parameters
    ----------
    module
        Its full name, such as `matplotlib.figure`.
    purpose
        What it is needed for, as the message starts.
    extra
        That brings it.

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
            f"{purpose} needs {name}, which is not installed; pip install 'driftmap[{extra}]' brings what "
            f"{_NEEDED_FOR[extra]} need"
        ) from error
