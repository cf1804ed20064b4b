"""Rows that were read in one pass and are held, to be given to the windows that they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from driftmap.pipeline.sources.protocol import WindowRows
from driftmap.pipeline.sources.readers.table_file import pick_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from driftmap.engine.types import Int64Array

    Batch = tuple[pa.RecordBatch, Int64Array]
    """Rows, and their numbers in the source."""


class HeldBatch(NamedTuple):
    """Rows as Arrow read them; of each window they become what its own rows say (missing labels make other types)."""

    rows: Int64Array
    batch: pa.RecordBatch
    convert: Callable[[Iterable[Batch], Int64Array], WindowRows]

    def pick(self, places: Int64Array) -> WindowRows:
        """Give some of the rows; see `HeldRows`."""
        rows = self.rows[places]
        return self.convert([(pick_rows(self.batch, places), rows)], rows)


class HeldArrays(NamedTuple):
    """Rows as arrays."""

    rows: Int64Array
    held: WindowRows

    def pick(self, places: Int64Array) -> WindowRows:
        """Give some of the rows; see `HeldRows`."""
        vectors, ids, labels = self.held
        return WindowRows(
            None if vectors is None else vectors[places],
            None if ids is None else ids[places],
            {name: column[places] for name, column in labels.items()},
        )


def join_batches(batches: Iterable[Batch], n_rows: int) -> Iterator[Batch]:
    """Join batches of one schema until they have so many rows, or a few more."""
    held: list[Batch] = []
    n_held = 0
    for batch, rows in batches:
        if held and (n_held >= n_rows or not batch.schema.equals(held[0][0].schema)):
            yield _join(held)
            held, n_held = [], 0
        held.append((batch, rows))
        n_held += len(rows)
    if held:
        yield _join(held)


def _join(held: list[Batch]) -> Batch:
    if len(held) == 1:
        return held[0]
    table = pa.Table.from_batches([batch for batch, _ in held]).unify_dictionaries().combine_chunks()
    return table.to_batches()[0], np.concatenate([rows for _, rows in held])
