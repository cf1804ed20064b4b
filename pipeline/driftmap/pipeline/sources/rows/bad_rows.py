"""Rows that cannot be used, found without holding more than a few of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.pipeline.sources.opening import open_source
from driftmap.pipeline.sources.row_ranges import rows_to_runs

if TYPE_CHECKING:
    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.sources.protocol import Source

RANGE_BYTES = 256 * 2**20
"""Vectors of a row range that is looked at by one task; a source of fewer is looked at in the calling process."""


def list_ranges(source: Source) -> list[tuple[int, int]]:
    """Cut the rows of a source into ranges [first, last) of about `RANGE_BYTES`."""
    step = max(1, RANGE_BYTES // max(1, source.estimate_read(1).count_vector_bytes(1)))
    return [(first, min(first + step, source.n_rows)) for first in range(0, source.n_rows, step)]


def find_bad_rows_task(spec: SourceSpec, first: int, last: int) -> Int64Array:
    """Find the bad rows of a range of a source, on any worker."""
    return open_source(spec).find_bad_rows(np.array([[first, last]], dtype=np.int64))


def drop_bad_rows(source: Source, rows: Int64Array) -> Int64Array:
    """Leave the bad ones out of some rows, given by ascending numbers, where the source says so (`on_bad_rows`)."""
    if source.spec.on_bad_rows != "drop" or not len(rows):
        return rows
    return rows[~np.isin(rows, source.find_bad_rows(rows_to_runs(rows)))]
