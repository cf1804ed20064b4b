"""The blocks of all files of a table: where rows are, and what reading them passes over."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.pipeline.sources.protocol import ReadCost
from driftmap.pipeline.sources.row_ranges import runs_to_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.sources.readers.table_file import TableFile

STREAMED_BYTES = 8 * 2**20
"""Of a larger block, reading stops at the last row that is wanted."""


class RowBlocks(NamedTuple):
    """All blocks of all files, in order; each column (g,)."""

    files: Int64Array
    """Number of the file."""
    ids: Int64Array
    """Number of the block in its file."""
    starts: Int64Array
    """Number of its first row in the source."""
    lengths: Int64Array

    @classmethod
    def of(cls, files: Sequence[TableFile]) -> RowBlocks:
        """List the blocks of some files."""
        counts = [len(file.lengths) for file in files]
        lengths = np.concatenate([file.lengths for file in files]).astype(np.int64)
        ids = [np.arange(count, dtype=np.int64) for count in counts]
        numbers = np.repeat(np.arange(len(files), dtype=np.int64), counts)
        return cls(numbers, np.concatenate(ids), np.cumsum(lengths) - lengths, lengths)

    @property
    def n_rows(self) -> int:
        """Rows of all blocks."""
        return int(self.lengths.sum())

    def find(self, rows: Int64Array) -> Int64Array:
        """Find the block that each row is in."""
        return np.searchsorted(self.starts, rows, side="right") - 1

    def list_starts(self, files: Sequence[TableFile]) -> Int64Array:
        """List the first rows of blocks that are read without those before them."""
        is_sequential = np.array([file.is_sequential for file in files], dtype=bool)
        starts: Int64Array = self.starts[~is_sequential[self.files] | (self.ids == 0)]
        return starts

    def count_bytes(self, files: Sequence[TableFile], sizes: Int64Array, windows: Sequence[Int64Array]) -> ReadCost:
        """Count what reading some windows, one by one, passes over.

        Parameters
        ----------
        files
            That the blocks are of.
        sizes
            Bytes of each block.
        windows
            The row ranges of each.
        """
        ends = np.cumsum(sizes)
        # Where what is read to give a block begins: at its own first byte, or at that of its file.
        is_sequential = np.array([file.is_sequential for file in files], dtype=bool)[self.files]
        file_starts = (ends - sizes)[np.searchsorted(self.files, self.files)] if len(sizes) else sizes
        n_bytes = 0
        for runs in windows:
            found = self._find_blocks(runs)
            n_bytes += int(sizes[found[~is_sequential[found]]].sum())
            if len(found) and not is_sequential[found[-1]] and sizes[found[-1]] > STREAMED_BYTES:
                unread = self.starts[found[-1]] + self.lengths[found[-1]] - runs[-1, 1]
                n_bytes -= int(sizes[found[-1]] * unread / self.lengths[found[-1]])
            last = found[is_sequential[found]]
            last = last[np.append(np.diff(self.files[last]) > 0, True)[: len(last)]]
            n_bytes += int((ends - file_starts)[last].sum())
        return ReadCost(n_bytes, int(sizes.sum()))

    def _find_blocks(self, runs: Int64Array) -> Int64Array:
        """Find the blocks that hold rows of some runs, ascending, each once."""
        firsts = self.find(runs[:, 0])
        lasts = firsts.copy()
        is_longer = runs[:, 1] > self.starts[firsts] + self.lengths[firsts]
        lasts[is_longer] = self.find(runs[is_longer, 1] - 1)
        found = np.unique(runs_to_rows(np.column_stack([firsts, lasts + 1])))
        held: Int64Array = found[self.lengths[found] > 0]
        return held
