"""Turn, scale and shift one set of positions onto another."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.engine.core.threads import limit_blas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.engine.types import Float32Array

Float64Array = npt.NDArray[np.float64]


class Similarity(NamedTuple):
    """A map y -> scale * y @ rotation + shift; the rotation may be a reflection."""

    rotation: Float64Array
    """(c, c)"""
    scale: float
    shift: Float64Array
    """(c,)"""

    def apply(self, positions: Float32Array) -> Float32Array:
        """Return the positions (n, c) turned, scaled and shifted; NaN stays NaN."""
        moved: Float32Array = (self.scale * positions.astype(np.float64) @ self.rotation + self.shift).astype(
            np.float32
        )
        return moved


def fit_similarity(moving: npt.ArrayLike, fixed: npt.ArrayLike, *, with_scale: bool) -> Similarity:
    """Find the similarity that brings rows of `moving` nearest, in least squares, to those of `fixed`.

    Parameters
    ----------
    moving, fixed
        (n, c) positions; rows that are not finite in either are left out.
    with_scale
        Whether the scale may differ from 1.

    Returns
    -------
    Similarity
        The identity where no row is left; a shift alone where the rows do not tell more.

    Notes
    -----
    Orthogonal Procrustes analysis, Gower 1975.
    """
    a, b = np.asarray(moving, dtype=np.float64), np.asarray(fixed, dtype=np.float64)
    n_components = a.shape[1]
    is_known = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
    a, b = a[is_known], b[is_known]
    if not len(a):
        return Similarity(np.eye(n_components), 1.0, np.zeros(n_components))
    centre_a, centre_b = a.mean(axis=0), b.mean(axis=0)
    with limit_blas(1):  # the sum's order, and with it the last bits, would depend on the threads
        left, strengths, right = np.linalg.svd((a - centre_a).T @ (b - centre_b))
    rotation = left @ right
    size = float(((a - centre_a) ** 2).sum())
    scale = float(strengths.sum() / size) if with_scale and size > 0 and strengths.sum() > 0 else 1.0
    return Similarity(rotation, scale, centre_b - scale * centre_a @ rotation)


def register_maps(
    maps: Sequence[Float32Array], reference: Sequence[npt.ArrayLike | None]
) -> tuple[list[Float32Array], Similarity]:
    """Bring a whole layout onto a reference by one similarity, so that nothing moves against anything else.

    Parameters
    ----------
    maps
        One (n_t, c) per window.
    reference
        Per window None, or (n_t, c) positions that its rows should be near; NaN where nothing is known.
    """
    pairs = [(m, np.asarray(r, dtype=np.float64)) for m, r in zip(maps, reference, strict=True) if r is not None]
    if not pairs:
        return list(maps), fit_similarity(maps[0][:0], maps[0][:0], with_scale=True)
    found = fit_similarity(
        np.concatenate([m for m, _ in pairs]), np.concatenate([r for _, r in pairs]), with_scale=True
    )
    return [found.apply(m) for m in maps], found
