"""Tests of what reading windows passes over, counted from the blocks of files."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from driftmap.pipeline.sources.readers.tables.row_blocks import STREAMED_BYTES, RowBlocks
from driftmap.pipeline.sources.row_ranges import rows_to_runs, runs_to_rows


def make_file(lengths: list[int], *, is_sequential: bool = False) -> Any:
    return SimpleNamespace(lengths=np.array(lengths), is_sequential=is_sequential)


def count_row_by_row(blocks: RowBlocks, files: list[Any], sizes: np.ndarray, windows: list[np.ndarray]) -> int:
    """What is read, from every row of every window: whole blocks, of sequential files all before them too."""
    holders = np.repeat(np.arange(len(blocks.ids)), blocks.lengths)
    n_bytes = 0
    for runs in windows:
        held = sorted(set(holders[runs_to_rows(runs)].tolist()))
        read = set()
        for block in held:
            file = blocks.files[block]
            before = [other for other in range(block) if blocks.files[other] == file]
            read |= {block, *before} if files[file].is_sequential else {block}
        n_bytes += int(sizes[sorted(read)].sum())
    return n_bytes


@pytest.mark.parametrize("seed", range(20))
def test_bytes_are_those_of_the_blocks_that_hold_the_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    files = [
        make_file(rng.integers(0, 9, rng.integers(1, 6)).tolist(), is_sequential=bool(rng.integers(2)))
        for _ in range(rng.integers(1, 5))
    ]
    blocks = RowBlocks.of(files)
    sizes = rng.integers(1, 1000, len(blocks.ids))
    assert sizes.max() <= STREAMED_BYTES
    window_of_row = np.sort(rng.integers(0, 4, blocks.n_rows)) if seed % 2 else rng.integers(0, 4, blocks.n_rows)
    windows = [rows_to_runs(np.flatnonzero(window_of_row == window)) for window in range(5)]
    cost = blocks.count_bytes(files, sizes, windows)
    assert cost.n_bytes == count_row_by_row(blocks, files, sizes, windows)
    assert cost.source_bytes == sizes.sum()


def test_a_large_block_is_read_as_far_as_its_last_row() -> None:
    files = [make_file([100, 100])]
    blocks = RowBlocks.of(files)
    sizes = np.full(2, 2 * STREAMED_BYTES)
    windows = [np.array([[0, 3], [90, 150]])]
    assert blocks.count_bytes(files, sizes, windows).n_bytes == 3 * STREAMED_BYTES
