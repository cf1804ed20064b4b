"""How strong the repulsion is where that is left to the data; loads no kernels."""

from __future__ import annotations

import math

PLAIN_ROWS = 200
"""Rows of a window above which the repulsion grows."""
MOST_REPULSION = 3.0
"""Weight of the repulsion from 1,800 rows on."""


def pick_repulsion(n_rows: int) -> float:
    """Pick the weight of the repulsion in a window of so many rows.

    Parameters
    ----------
    n_rows
        Of the window.

    Returns
    -------
    float
        From 1 to MOST_REPULSION; umap-learn's is 1.

    Notes
    -----
    Negative samples go with attractions, so that a pair of rows that are no neighbours is pushed apart by a share of
    what the cross entropy asks for that falls as 1 / n (arXiv 2103.14608): the more rows a window has, the closer do
    strangers lie. The root of n makes up for a part of it. Of ten rules six of seven sets choose this root for the
    seventh, up to 3 or 4 and with one exception (`tests.benchmarks repulsion`, five seeds); up to 4, far groups are
    arranged less well in windows of 14,000 rows.
    """
    return min(max(math.sqrt(n_rows / PLAIN_ROWS), 1.0), MOST_REPULSION)
