"""Wide rows on their main axes, in whole numbers: a few numbers a row tell which rows may be near.

Products of whole numbers this small have no rounding in float32, so what is found by them depends on no order and no
number of threads. Distances on some of the axes are too short; how many candidates make up for it is measured.
Dimensions: n rows; d features; q axes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine.neighbours.scaling.normalise import centre_about

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.types import Float32Array

    Float64Array = npt.NDArray[np.float64]

MIN_FEATURES = 256
"""Fewer are not worth a filter."""
VARIANCE = 0.9
"""Share of the variance, of rows not used to find the axes, that is enough: MNIST's 784 features take 80 axes."""
LEAST_VARIANCE = 0.85
"""Share that `MAX_AXES` must hold at least: those of text embeddings of 384 features do, and 45 candidates by them hold
.99 of the 15 nearest; of noise of as many features they do not (tests/benchmarks/bench_knn.py)."""
MAX_AXES = 192
"""Of at least `MIN_FEATURES` features: with more axes little is saved, and finding them takes longer."""
AXES_MULTIPLE = 16
N_AXES_ROWS = 1024
"""Rows that the axes are found from, and as many that they are tried on."""
N_POWERS = 2
"""Rounds of subspace iteration."""
WHOLE_NORM = 2048.0
"""Norm that rows are brought to before they are rounded to whole numbers: a squared norm and twice a product stay below
2^24 together."""
TYPICAL = 0.99
"""Quantile of the norms above which rows are far ones."""


class Frame(NamedTuple):
    """What rows are brought to before they are multiplied, as `normalise.centre_about` takes it."""

    middle: Float64Array
    unit: float


def find_axes(rows: Float32Array, scales: Float64Array, frame: Frame, rng: np.random.Generator) -> Float32Array | None:
    """Find the fewest main axes that hold enough of the rows' variance; None where they would be too many.

    By subspace iteration (Halko, Martinsson, Tropp 2011) on some rows, tried on others.

    Parameters
    ----------
    rows, scales
        (n, d) rows and a factor for each.
    frame
        Of the rows.
    rng
        Chooses rows, and where the iteration starts.

    Returns
    -------
    float32 (d, q), times what brings a typical row to `WHOLE_NORM`.
    """
    n, d = rows.shape
    chosen = np.sort(rng.choice(n, min(n, 2 * N_AXES_ROWS), replace=False))
    some: Float32Array = centre_about(*frame, rows[chosen], scales[chosen], 0.0, np.float32).rows
    norms = np.linalg.norm(some, axis=1)
    typical = float(np.quantile(norms, TYPICAL))
    if typical > 0.0:
        some *= np.minimum(1.0, typical / np.maximum(norms, typical))[:, None]  # far rows drawn in
    given, tried = some[::2], some[1::2]
    total = np.square(tried).sum(dtype=np.float64)
    if not total > 0.0:
        return None
    axes = rng.standard_normal((d, MAX_AXES), dtype=np.float32)
    for _ in range(N_POWERS):
        axes = np.linalg.qr(given.T @ (given @ axes))[0]
    on_axes = given @ axes
    axes = axes @ np.linalg.eigh(on_axes.T @ on_axes)[1][:, ::-1]
    on_axes = tried @ axes
    held = np.cumsum(np.square(on_axes).sum(axis=0, dtype=np.float64)) / total
    if held[-1] < LEAST_VARIANCE:
        return None
    enough = int(np.searchsorted(held, VARIANCE)) + 1
    n_axes = min(MAX_AXES, -(-enough // AXES_MULTIPLE) * AXES_MULTIPLE)
    typical = float(np.quantile(np.linalg.norm(on_axes[:, :n_axes], axis=1), TYPICAL))
    if not typical > 0.0:
        return None
    return np.ascontiguousarray(axes[:, :n_axes] * np.float32(WHOLE_NORM / typical))


def project_rows(centred: Float32Array, axes: Float32Array) -> Float32Array:
    """Rows in their frame on the axes, (n, q), in whole numbers; those beyond the typical norm are drawn in to it."""
    found: Float32Array = centred @ axes
    norms = np.sqrt(np.einsum("ij,ij->i", found, found))
    found *= np.minimum(1.0, WHOLE_NORM / np.maximum(norms, WHOLE_NORM))[:, None]
    return np.rint(found, out=found)
