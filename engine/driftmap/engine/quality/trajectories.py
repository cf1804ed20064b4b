"""Places of an entity in window after window -> a smooth path through them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.core.validation import check_int
from driftmap.engine.errors import InvalidInputError

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.types import Float32Array


def smooth_paths(places: npt.ArrayLike, n_steps: int) -> Float32Array:
    """Lay smooth paths through places, none of which overshoots: between two windows a path stays between their places.

    Parameters
    ----------
    places
        (n, T, c): n entities in T windows, T at least 1, all finite.
    n_steps
        Points of the path from one window to the next; 1 gives the places themselves.

    Returns
    -------
    numpy.ndarray of float32
        Shape (n, (T - 1) * n_steps + 1, c). Every n_steps-th point is one of the places.

    Notes
    -----
    Piecewise cubic Hermite interpolation, monotone in every axis (Fritsch and Butland 1984, as scipy has it).
    """
    n_steps = check_int(n_steps, "n_steps", minimum=1)
    nodes = np.asarray(places, dtype=np.float64)
    if nodes.ndim != 3 or nodes.shape[1] == 0 or not np.isfinite(nodes).all():
        msg = f"places must be finite, (entities, windows, axes) with a window at least, got shape {nodes.shape}."
        raise InvalidInputError(msg)
    if nodes.shape[1] == 1 or len(nodes) == 0:
        return np.repeat(nodes[:, :1], (nodes.shape[1] - 1) * n_steps + 1, axis=1).astype(np.float32)
    from scipy.interpolate import PchipInterpolator  # late: only pictures need it

    windows = np.arange(nodes.shape[1])
    times = np.linspace(0, windows[-1], windows[-1] * n_steps + 1)
    paths: Float32Array = PchipInterpolator(windows, nodes, axis=1)(times).astype(np.float32)
    return paths
