"""Periods of pandas (months, quarters), which Arrow and Parquet keep as their numbers since 1970."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa

from driftmap.pipeline.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PERIOD = "pandas.period"


def find_periods(schema: pa.Schema) -> dict[str, str]:
    """Find the columns of periods, and the frequency of each; whether pandas is imported or not."""
    return {field.name: freq for field in schema if (freq := find_frequency(field)) is not None}


def find_frequency(field: pa.Field) -> str | None:
    """Give the frequency of a column of periods, such as M; None for other columns."""
    if isinstance(field.type, pa.BaseExtensionType):
        is_period, freq = field.type.extension_name == _PERIOD, str(getattr(field.type, "freq", "")) or "?"
    else:
        saved = field.metadata or {}
        is_period = saved.get(b"ARROW:extension:name") == _PERIOD.encode()
        freq = _read_frequency(saved.get(b"ARROW:extension:metadata", b""))
    return freq if is_period else None


def refuse_periods(found: Mapping[str, str]) -> None:
    """Refuse columns of periods that have a role: their numbers would stand for months and quarters.

    Raises
    ------
    SourceError
        Naming the column and what to do.
    """
    for name, freq in found.items():
        raise SourceError(
            f"column {name!r} holds periods of pandas ({freq}), which are kept as numbers since 1970; dates or text "
            f"were expected: convert it, such as with frame[{name!r}].dt.to_timestamp() or .astype(str)"
        )


def refuse_period_type(kind: pa.DataType, name: str) -> None:
    """Refuse a column of periods by its type alone; see `refuse_periods`."""
    refuse_periods(find_periods(pa.schema([(name, kind)])))


def _read_frequency(saved: bytes) -> str:
    try:
        return str(json.loads(saved)["freq"])
    except (ValueError, KeyError, TypeError):  # of another version
        return "?"
