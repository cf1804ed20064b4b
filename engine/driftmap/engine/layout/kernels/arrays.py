"""The flat arrays and numbers that the layout's kernels work on.

Dimensions: T windows, N rows of the block (windows one after another), e edges, r related pairs, q mid-near
pairs, c components.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from driftmap.engine.types import Float32Array, Int32Array, Int64Array


class Edges(NamedTuple):
    """What attracts the rows of a block; N rows, e edges."""

    indptr: Int64Array
    """(N + 1,)"""
    indices: Int32Array
    """(e,) rows of the block."""
    rates: Float32Array
    """(e,) how often an edge attracts."""


class BlockArrays(NamedTuple):
    """A block of windows as flat arrays; a window's rows are shuffled, or ordered by where they lie: see `places`."""

    offsets: Int64Array
    """(T + 1,) first row of every window."""
    n_active: Int64Array
    """(T,) rows of a window that have an edge; they come first, the others take no part."""
    indptr: Int64Array
    """(N + 1,)"""
    indices: Int32Array
    """(e,) rows of the block."""
    rates: Float32Array
    """(e,) how often an edge attracts: membership strength over the window's largest."""
    row_rates: Float32Array
    """(N,) sum of a row's rates."""
    related_indptr: Int64Array
    """(N + 1,)"""
    related: Int32Array
    """(r,) rows of the block that stand for the same entity in another window."""
    related_weights: Float32Array
    """(r,) alignment weights: decay with the offset times Jaccard overlap."""
    places: Int32Array
    """(N,) where a row stands in its window's random order, which the negative samples come from."""
    mid_near_indptr: Int64Array
    """(N + 1,)"""
    mid_near: Int32Array
    """(q,) rows of the block: the mid-near rows of each, and those that it is one of, where a window is carried."""
    mid_near_rates: Float32Array
    """(q,) how often they attract, in a part of the carry pass; see `MID_NEAR_RATE`."""


class WindowForces(NamedTuple):
    """Layout parameters of each window, float32 (T,) each."""

    a: Float32Array
    b: Float32Array
    repulsion_strength: Float32Array
    negative_sample_rate: Float32Array
    alignment_regularisation: Float32Array
    moves_freely: Float32Array
    """1 where rows are pulled from where they stood before their step, 0 from where it took them: see `pull`."""


class EpochPlan(NamedTuple):
    """Who moves, by how much, in a run of epochs."""

    chunks: Int64Array
    """(chunks, 3) window, first row, last row + 1; only windows that move."""
    learning_rates: Float32Array
    """(epochs, T); 0 where a window rests."""
    hot_rates: Float32Array
    """(T,) learning rate of each window above which its rows look at `N_HOT_NEGATIVES`."""
    epochs: Int64Array
    """(epochs,) their numbers, for the random numbers."""
    draws: npt.NDArray[np.bool_]
    """(epochs,) whether mid-near rows attract."""
    n_placed: int
    """Rows of the block from here on have no position yet and pull nothing."""
    seeds: npt.NDArray[np.uint64]
    """(T,) random seed of each window."""
    is_ordered: bool
    """Whether rows stand in another order than `places`: negative samples are then read from a shuffled copy."""
    n_threads: int
    """Threads that share out the chunks."""


class WindowEpoch(NamedTuple):
    """One window in one epoch."""

    start: int
    """First row."""
    n: int
    """Rows that have an edge."""
    n_sampled: int
    """Rows of the random order that this epoch's negative samples begin at."""
    first_sampled: int
    """The first of them; behind the last row comes the first one."""
    a: np.float32
    b: np.float32
    n_negatives: int
    """Negative samples a row looks at."""
    repulsion: np.float32
    """Weight of one of them, times the row's rate."""
    random: np.uint64
    """State of the random numbers."""


class Axis(NamedTuple):
    """Places of rows along one axis, and that of the row that looks at them."""

    places: Float32Array
    here: np.float32


class Scratch(NamedTuple):
    """Scratch buffers for one block of rows."""

    deltas: Float32Array
    """(c, w) deltas along each axis from the rows to their neighbours."""
    weights: Float32Array
    """(w,) of the rows' edges or negative samples: first the squared distance, then the force's coefficient."""
    force: Float32Array
    """(c, BLOCK_ROWS)"""
