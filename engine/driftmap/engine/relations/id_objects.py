"""Ids that come as objects of Python: all of one sort, as an array of that sort."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import numpy as np
import numpy.typing as npt

from driftmap.engine.errors import InvalidInputError


def read_objects(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """Read objects that are all strings, UUIDs, bytes, integers or dates, as an array of that sort; UUIDs as text.

    Raises
    ------
    InvalidInputError
        When they are of several sorts, or numpy would cut them.
    """
    kinds = set(map(type, array.tolist()))
    if all(issubclass(kind, uuid.UUID) for kind in kinds):
        return array.astype(np.str_)
    if all(issubclass(kind, str) for kind in kinds):
        if any(value.endswith("\0") for value in array.tolist()):
            msg = f"{name} holds text that ends in a zero character, which numpy cuts off; encode it, such as by repr."
            raise InvalidInputError(msg)
        return array.astype(np.str_)
    if all(issubclass(kind, bytes) for kind in kinds):
        if any(value.endswith(b"\0") for value in array.tolist()):
            msg = f"{name} holds bytes that end in a zero byte, which numpy cuts off; give them as text (hex)."
            raise InvalidInputError(msg)
        return array.astype(np.bytes_)
    if all(issubclass(kind, int | np.integer) and kind is not bool for kind in kinds):
        try:
            return array.astype(np.int64)
        except OverflowError as error:
            msg = f"{name} holds integers beyond int64; give them as strings."
            raise InvalidInputError(msg) from error
    if all(issubclass(kind, dt.date) for kind in kinds) and not any(
        getattr(value, "tzinfo", None) for value in array.tolist()
    ):
        return array.astype("datetime64[us]")
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    msg = f"{name} must be all integers, all strings, all bytes or all dates without a time zone, got {found}; "
    msg += "fill in or convert."
    raise InvalidInputError(msg)
