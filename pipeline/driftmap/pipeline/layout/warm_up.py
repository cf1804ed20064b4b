"""Loads the kernels of a layout, by one of two windows of eight rows."""

from __future__ import annotations

import numpy as np

from driftmap import engine
from driftmap.engine.settings import LayoutSettings
from driftmap.engine.types import FuzzyGraph


def load_layout_kernels(*, is_exchanged: bool) -> None:
    """Load, or compile, the kernels of blocks that are laid out in parallel, or one after the other, on one thread."""
    ring = np.arange(8)
    graph = FuzzyGraph(
        indptr=np.arange(0, 17, 2, dtype=np.int64),
        indices=np.sort(np.stack([(ring - 1) % 8, (ring + 1) % 8], axis=1)).ravel().astype(np.int32),
        data=np.ones(16, dtype=np.float32),
    )
    relations = {(0, 1): ring.astype(np.int32)}
    settings = LayoutSettings(n_epochs=2)
    windows = [engine.BlockWindow(graph, index) for index in range(2)]
    if is_exchanged:
        engine.lay_out_in_exchange(windows, relations, settings, 0, [range(2)])
        return
    with engine.limit_threads(1):
        engine.lay_out_block(windows, relations, settings, 0)
        engine.find_block_strengths(windows, relations, settings)
