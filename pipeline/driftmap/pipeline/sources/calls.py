"""Calls that are to be made elsewhere: where a collection of Dask is computed. Nothing of Dask is imported for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Call(NamedTuple):
    """A call that is to be made where a collection is computed."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    """Values, what Dask has not computed yet (also within a dict), and other calls."""


Compute = Callable[[Sequence[Call]], list[Any]]
"""Makes calls, and gives what they return, in their order."""
