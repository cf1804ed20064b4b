"""Cross entropy of what is no edge, over all pairs of rows of one map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.core.jit import fast, fast_uncounted
from driftmap.engine.layout.kernels.arrays import Axis
from driftmap.engine.layout.kernels.float32_kernels import ONE, power
from driftmap.engine.layout.kernels.force_kernels import add_squares

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.types import Float32Array

_TINY = np.float32(1e-12)
_MOST_POWER = 30.0
"""Power of ten to which d^2b, and its inverse, are bounded: `power` holds no farther."""
_FOLDS = 3
"""Times that factors are multiplied with each other before one logarithm is taken of 2 ** 3 of them. Each is below
1e31, where `power` holds: the product stays a float64."""


@fast_uncounted
def weigh_pairs(
    squared: Float32Array,
    a: np.float32,
    b: np.float32,
    bounds: tuple[np.float32, np.float32],
    factors: npt.NDArray[np.float64],
) -> None:
    """Turn squared distances, each within bounds, into 1 / (1 - q), which is 1 + 1 / (a d^2b)."""
    least, most = bounds
    for k in range(len(squared)):
        d2 = squared[k] if squared[k] < most else most  # noqa: FURB136 - min() is not vectorised
        d2 = d2 if d2 > least else least  # noqa: FURB136
        factors[k] = 1.0 + np.float64(ONE / (a * power(d2, b)))


@fast_uncounted
def multiply(factors: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> None:
    """Multiply factors with others in place."""
    for k in range(len(factors)):
        factors[k] *= others[k]


@fast
def sum_repulsion(places: Float32Array, a: np.float32, b: np.float32) -> float:
    """Sum - log(1 - 1 / (1 + a d^2b)) over all ordered pairs of rows, their positions (c, n); within 1e-5 (relative).

    One logarithm is taken of eight pairs' product: it costs more than all else. Where d^2b is below 1e-30 or above
    1e30 it counts as that, as for rows in one place with b above 2.5.
    """
    n_components, n = places.shape
    group = 1 << _FOLDS
    limit = min(_MOST_POWER, _MOST_POWER / float(b))
    bounds = np.float32(10.0**-limit), np.float32(10.0**limit)
    squared = np.empty(n, np.float32)
    factors = np.empty(n + group, np.float64)
    total = 0.0
    for row in range(n - 1):
        n_others = n - 1 - row
        own = squared[:n_others]
        own[:] = _TINY
        for d in range(n_components):
            add_squares(Axis(places[d, row + 1 :], places[d, row]), own)
        weigh_pairs(own, a, b, bounds, factors[:n_others])
        length = (n_others + group - 1) // group * group
        factors[n_others:length] = 1.0
        for _ in range(_FOLDS):
            length //= 2
            multiply(factors[:length], factors[length : 2 * length])
        for k in range(length):
            total += np.log(factors[k])
    return 2.0 * total
