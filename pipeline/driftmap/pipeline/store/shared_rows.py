"""What a store keeps about the rows of all windows together, under the digest of its content."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from driftmap.engine import ColumnScaling
from driftmap.pipeline.store.disk.arrays import digest_values, read_checked, write_shared_arrays

if TYPE_CHECKING:
    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.store.disk.location import Location

BAD_ROWS = "bad_rows"
"""Folder of a store that holds the numbers of the rows of the source that its run dropped."""

SCALING = "scaling"
"""Folder of a store that holds what columns are scaled by."""


def digest_bad_rows(rows: Int64Array) -> str:
    """Name the numbers of dropped rows by their content."""
    return digest_values(rows)[:32]


def write_bad_rows(location: Location, rows: Int64Array) -> None:
    """Write the numbers of dropped rows to a store, unless they are there."""
    write_shared_arrays(location, f"{BAD_ROWS}/{digest_bad_rows(rows)}", {"rows": rows})


def read_bad_rows(location: Location, digest: str) -> Int64Array:
    """Read the numbers of dropped rows.

    Raises
    ------
    StoreError
        When they are missing or damaged.
    """
    return read_checked(location, f"{BAD_ROWS}/{digest}", "rows", "dropped rows")


def digest_scaling(scaling: ColumnScaling) -> str:
    """Name centres and spreads of columns by their content."""
    return hashlib.sha256("\n".join(map(digest_values, scaling)).encode()).hexdigest()[:32]


def write_scaling(location: Location, scaling: ColumnScaling) -> None:
    """Write centres and spreads of columns to a store, unless they are there."""
    write_shared_arrays(location, f"{SCALING}/{digest_scaling(scaling)}", scaling._asdict())


def read_scaling(location: Location, digest: str) -> ColumnScaling:
    """Read centres and spreads of columns.

    Raises
    ------
    StoreError
        When they are missing or damaged.
    """
    names = ColumnScaling._fields
    return ColumnScaling(*(read_checked(location, f"{SCALING}/{digest}", name, "scaling") for name in names))
