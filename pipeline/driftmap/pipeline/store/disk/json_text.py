"""JSON in several lines, as `json.dumps` with an indent writes it, in half its time: a window has ten such texts."""

from __future__ import annotations

from json import JSONEncoder
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_encode = JSONEncoder(allow_nan=False).encode


def format_json(document: Mapping[str, Any], indent: int, *, sort_keys: bool = False) -> bytes:
    """Write a document as JSON, one value a line.

    Parameters
    ----------
    document
        Of texts, numbers, truth values, None, lists, and tables by text.
    indent
        Spaces for each level.
    sort_keys
        Whether tables are written in the order of their keys.

    Raises
    ------
    ValueError
        When a number is not finite.
    TypeError
        When a value has no form in JSON.
    """
    return _format(document, "\n", " " * indent, sort_keys).encode()


def _format(value: Any, line: str, indent: str, sort_keys: bool) -> str:  # noqa: FBT001 - of a private recursion
    """Write a value whose lines begin with `line`."""
    if type(value) is str:
        return encode_basestring_ascii(value)
    if type(value) is int:
        return str(value)
    if not value or not isinstance(value, dict | list | tuple):
        return _encode(value)
    inner = line + indent
    if isinstance(value, dict):
        items = sorted(value.items()) if sort_keys else value.items()
        members = [f"{encode_basestring_ascii(key)}: {_format(one, inner, indent, sort_keys)}" for key, one in items]
        return f"{{{inner}{f',{inner}'.join(members)}{line}}}"
    return f"[{inner}{f',{inner}'.join([_format(one, inner, indent, sort_keys) for one in value])}{line}]"
