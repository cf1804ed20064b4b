"""What changed between two windows, row by row: turnover in the data, displacement on the map, and its noise floor.

Dimensions: n, m rows of the older and of the newer window; k neighbours of a row; c components of the layout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine.core.validation import check_matrix
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.relations.relations import invert_relation

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.types import Float32Array, Relation

STILL_SHARE = 0.1
"""Share of the related rows, those of least turnover, whose displacement is the noise floor."""


def turnover(old_knn: npt.ArrayLike, new_knn: npt.ArrayLike, relation: Relation) -> Float32Array:
    """Share of each related row's nearest neighbours that are not among its nearest in the next window.

    Parameters
    ----------
    old_knn, new_knn
        (n, k) and (m, k') neighbours as in `KnnGraph.indices`: nearest first, -1 where there is none; the row itself is
        not counted.
    relation
        Old row -> new row, int32 (n,), -1 for none.

    Returns
    -------
    numpy.ndarray of float32
        Shape (n,), in [0, 1]; 0 where all stayed. NaN where a row has no partner, or no neighbour that both windows
        have.

    Notes
    -----
    Only rows that both windows have count, so rows that come and go are no change of the others. Of the two lists of
    such neighbours the longer one is cut to the length of the shorter.
    """
    from driftmap.engine.quality.change_kernel import fill_turnover  # late: the other measures compile nothing

    old, new = _check_neighbours(old_knn, "old_knn"), _check_neighbours(new_knn, "new_knn")
    partners = _check_relation(relation, len(old), len(new))
    result = np.full(len(old), np.nan, dtype=np.float32)
    fill_turnover(old, new, partners, invert_relation(partners, len(new)), result)
    return result


def displacement(
    old: npt.ArrayLike, new: npt.ArrayLike, relation: Relation, spread: float | None = None
) -> Float32Array:
    """How far each related row moved on the map, over the spread of the maps.

    Parameters
    ----------
    old, new
        (n, c) and (m, c) positions of both windows.
    relation
        Old row -> new row, int32 (n,), -1 for none.
    spread
        Of the layout, the unit of the result; by default that of the two maps: the root of the mean, over both and over
        all axes, of the variance of the positions.

    Returns
    -------
    numpy.ndarray of float32
        Shape (n,); NaN where a row has no partner, or no finite position in one of the windows.
    """
    before, after = check_matrix(old, "old").astype(np.float64), check_matrix(new, "new").astype(np.float64)
    if before.shape[1] != after.shape[1]:
        msg = f"old has {before.shape[1]} components and new {after.shape[1]}; give maps of equal ones."
        raise InvalidInputError(msg)
    partners = _check_relation(relation, len(before), len(after))
    unit = measure_spread([before, after]) if spread is None else float(spread)
    rows = np.flatnonzero(partners >= 0)
    moved = np.linalg.norm(before[rows] - after[partners[rows]], axis=1)
    moved[~np.isfinite(moved)] = np.nan
    result = np.full(len(before), np.nan, dtype=np.float32)
    # maps of one point, or of no finite position at all, have no spread: nothing moved then, or nothing is known
    result[rows] = moved / unit if unit > 0 else moved
    return result


def noise_floor(row_turnover: npt.ArrayLike, row_displacement: npt.ArrayLike) -> float:
    """Displacement of the rows of least turnover: what the layout moves where the data hardly change.

    Parameters
    ----------
    row_turnover, row_displacement
        (n,) as `turnover` and `displacement` return them, of the same pair of windows.

    Returns
    -------
    float
        Median displacement of the STILL_SHARE of rows with the least turnover, all rows of equal turnover included;
        NaN where no row has both figures.
    """
    change, moved = np.asarray(row_turnover, dtype=np.float64), np.asarray(row_displacement, dtype=np.float64)
    if change.shape != moved.shape or change.ndim != 1:
        msg = f"row_turnover and row_displacement must be (n,) of the same rows, got {change.shape} and {moved.shape}."
        raise InvalidInputError(msg)
    known = np.isfinite(change) & np.isfinite(moved)
    if not known.any():
        return float("nan")
    change, moved = change[known], moved[known]
    n_still = max(1, round(STILL_SHARE * len(change)))
    return float(np.median(moved[change <= np.partition(change, n_still - 1)[n_still - 1]]))


def measure_spread(positions: list[npt.NDArray[Any]]) -> float:
    """Measure the spread of maps: root of the mean, over maps and axes, of the variance of finite positions."""
    finite = [p[np.isfinite(p).all(axis=1)] for p in positions]
    variances = [p.var(axis=0).mean() for p in finite if len(p)]
    return float(np.sqrt(np.mean(variances))) if variances else 0.0


def _check_neighbours(given: npt.ArrayLike, name: str) -> npt.NDArray[np.int32]:
    indices = np.asarray(given)
    if indices.ndim != 2 or indices.dtype.kind not in "iu" or (indices.size and indices.max() >= len(indices)):
        msg = f"{name} must be integers (n, k) below n, -1 for none; got {indices.dtype} {indices.shape}."
        raise InvalidInputError(msg)
    return np.ascontiguousarray(indices, dtype=np.int32)


def _check_relation(given: Relation, n_old: int, n_new: int) -> Relation:
    relation = np.asarray(given)
    if relation.dtype.kind != "i" or relation.shape != (n_old,) or (relation.size and relation.max() >= n_new):
        msg = (
            f"relation must be integers, one for each of the {n_old} rows of the older window, below {n_new}, -1 for"
            f" none; got {relation.dtype} {relation.shape}. as_relation and relate_ids make one."
        )
        raise InvalidInputError(msg)
    return np.ascontiguousarray(relation, dtype=np.int32)
