"""What a caller of the pipeline can do wrong, as a few named exceptions; none of them shows credentials of a URL."""

from __future__ import annotations

import re
from typing import Any

from driftmap.engine.errors import DriftmapError

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+:/+)(\S*@)?([^\s?#]*)([?#]\S*)?")
_CLOSING = re.compile(r"[\"'`)\]},.;:]*$")
"""What ends a query in a sentence, and is not of it."""


def hide_credentials(text: str) -> str:
    """Give text with user, password, query and fragment taken out of every URL in it: tokens stand there.

    Parameters
    ----------
    text
        A URL, a message, or a command line. A URL ends at the first white space.
    """
    return _URL.sub(_shorten_url, text)


def hide_credentials_within(value: Any) -> Any:
    """Give a value of JSON, every text in it as `hide_credentials` has it."""
    if isinstance(value, str):
        return hide_credentials(value)
    if isinstance(value, dict):
        return {name: hide_credentials_within(one) for name, one in value.items()}
    return [hide_credentials_within(one) for one in value] if isinstance(value, list | tuple) else value


def _shorten_url(found: re.Match[str]) -> str:
    scheme, _, rest, query = found.groups()
    closing = _CLOSING.search(query or "")
    return f"{scheme}{rest}{closing[0] if closing else ''}"


class PipelineError(DriftmapError):
    """Base of the pipeline's errors."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(hide_credentials(arg) if isinstance(arg, str) else arg for arg in args))


class ConfigError(PipelineError, ValueError):
    """A setting of the run cannot be used."""


class SourceError(PipelineError, ValueError):
    """The data cannot be read, or are not what was said of them."""


class PlanError(PipelineError, ValueError):
    """The data cannot be cut into windows, or windows into blocks, as asked."""


class StoreError(PipelineError):
    """A store cannot be made, opened, read or extended."""


class SecurityError(PipelineError):
    """A certificate is missing, open to others, or not taken by the other side."""


class StoreBusyError(StoreError):
    """Another process holds the store."""


class PictureError(PipelineError, ValueError):
    """A picture cannot be drawn as asked."""


class PlanWarning(UserWarning):
    """What a run decides for the user: windows that are left out, or have fewer neighbours than was asked for."""


class StoreWarning(UserWarning):
    """What was found wrong with a store, and left out without harm."""


class MissingExtraError(PipelineError, ImportError):
    """A library that is only needed for this is not installed."""
