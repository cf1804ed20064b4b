"""From one random_state to a seed for every window and use, the same in whatever block or task a window is."""

from __future__ import annotations

import numpy as np

SHUFFLE_STREAM, START_STREAM, EPOCH_STREAM, GRAPH_STREAM, TRANSFORM_STREAM, CLUSTER_STREAM = range(6)


def make_seed(random_state: int, index: int, stream: int) -> int:
    """Derive the seed of a window, by its number in the run, for one use; in [0, 2**64).

    Parameters
    ----------
    random_state
        Of the run.
    stream
        What the seed is for: one of the `*_STREAM` constants.
    index
        Number of the window.

    Returns
    -------
    int
        In [0, 2**64).
    """
    return int(np.random.SeedSequence([random_state, index, stream]).generate_state(1, np.uint64)[0])


def make_graph_seed(random_state: int, index: int) -> int:
    """Derive the seed of a window's approximate neighbour search; in [0, 2**31), as the search asks for.

    Parameters
    ----------
    random_state
        Of the run.
    index
        Number of the window.

    Returns
    -------
    int
        In [0, 2**31).
    """
    return make_seed(random_state, index, GRAPH_STREAM) >> 33
