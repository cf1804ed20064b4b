"""Rows that cannot be used, found without holding more than a few of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.pipeline.sources.opening import open_source
from driftmap.pipeline.sources.row_ranges import split_runs

if TYPE_CHECKING:
    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.sources.protocol import Source

RANGE_BYTES = 256 * 2**20
"""Vectors of a row range that is looked at by one task; a source of fewer is looked at in the calling process."""


def list_ranges(source: Source, runs: Int64Array | None = None) -> list[Int64Array]:
    """Cut rows of a source (None: all) into parts of about `RANGE_BYTES`, row ranges each."""
    step = max(1, RANGE_BYTES // max(1, source.estimate_read(1).count_vector_bytes(1)))
    return split_runs(np.array([[0, source.n_rows]], dtype=np.int64) if runs is None else runs, step)


def find_bad_rows_task(spec: SourceSpec, runs: Int64Array) -> Int64Array:
    """Find the bad rows among some of a source, on any worker."""
    return open_source(spec).find_bad_rows(runs)
