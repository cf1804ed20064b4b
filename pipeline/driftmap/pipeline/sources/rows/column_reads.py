"""What scaling columns needs of rows, read some at a time: their moments, or a few of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine import ColumnMoments
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.opening import open_source
from driftmap.pipeline.sources.row_ranges import runs_to_rows, split_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from driftmap.engine.types import Float32Array, Int64Array
    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.sources.protocol import Source

_BLOCK_BYTES = 64 * 2**20
"""Vectors that are read together."""


def measure_columns(source: Source, runs: Int64Array) -> ColumnMoments:
    """Take the moments of the columns of some rows."""
    found: ColumnMoments | None = None
    for _, vectors in _read_blocks(source, runs):
        own = ColumnMoments.of(vectors)
        found = own if found is None else found.join(own)
    if found is None:
        raise SourceError("no rows were given to scale by")
    return found


def pick_rows(source: Source, runs: Int64Array, wanted: Int64Array) -> Float32Array:
    """Read some rows through, and keep the vectors of those that are wanted: ascending numbers among them."""
    picked = [vectors[np.isin(rows, wanted)] for rows, vectors in _read_blocks(source, runs)]
    return np.concatenate(picked)


def measure_columns_task(spec: SourceSpec, runs: Int64Array, number: int) -> tuple[int, ColumnMoments]:
    """Take the moments of rows, on any worker; `number` comes back with them."""
    return number, measure_columns(open_source(spec), runs)


def pick_rows_task(spec: SourceSpec, runs: Int64Array, wanted: Int64Array, number: int) -> tuple[int, Float32Array]:
    """Keep some vectors of rows, on any worker; `number` comes back with them."""
    return number, pick_rows(open_source(spec), runs, wanted)


def _read_blocks(source: Source, runs: Int64Array) -> Iterator[tuple[Int64Array, Float32Array]]:
    step = max(1, _BLOCK_BYTES // max(1, 4 * source.estimate_read(1).n_features))
    width: int | None = None
    for part in split_runs(runs, step):
        vectors = source.read_rows(part).vectors
        if vectors is None:
            raise SourceError(f"the source {source.spec.path} gave no vectors; name their column (vectors)")
        if width not in (None, vectors.shape[1]):
            raise SourceError(
                f"vectors of {width} and of {vectors.shape[1]} numbers: columns of one number over all windows can be "
                "scaled alone; leave scale out, or scale rows by themselves (scale unit)"
            )
        width = vectors.shape[1]
        yield runs_to_rows(part), vectors
