"""Memory that is written to again, block after block."""

from __future__ import annotations

import numpy as np

from driftmap.engine.core.buffers import Buffers


def test_memory_is_given_again_and_grows():
    buffers = Buffers()
    first = buffers.take("a", 4, 6)
    assert first.shape == (4, 6)
    assert first.dtype == np.float32
    assert np.shares_memory(buffers.take("a", 2, 3), first)
    assert not np.shares_memory(buffers.take("b", 4, 6), first)
    larger = buffers.take("a", 5, 6)
    assert larger.shape == (5, 6)
    assert not np.shares_memory(larger, first)
    assert buffers.take("a", 0, 6).shape == (0, 6)


def test_blocks_are_whole_in_memory():
    assert Buffers().take("a", 7, 3).flags.c_contiguous
