"""Turnover of rows against the window before, in one byte each: small enough to stay when graphs are removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from driftmap.engine.types import Float32Array, Relation

TURNOVER_STEPS = 100
"""Steps into which a row's turnover is rounded."""

UInt8Array = npt.NDArray[np.uint8]


def encode_turnover(turnover: Float32Array, relation: Relation, n_new: int) -> UInt8Array:
    """Give the newer window's rows their turnover: 0 where it is not known, else 1 + TURNOVER_STEPS times it.

    Parameters
    ----------
    turnover
        Of the older window's rows; NaN where it is not known.
    relation
        Old row -> new row, -1 for none.
    n_new
        Rows of the newer window.
    """
    codes = np.zeros(n_new, dtype=np.uint8)
    rows = np.flatnonzero((relation >= 0) & np.isfinite(turnover))
    codes[relation[rows]] = 1 + np.rint(TURNOVER_STEPS * turnover[rows])
    return codes


def decode_turnover(codes: UInt8Array) -> Float32Array:
    """Give the turnover of rows; NaN where it is not known."""
    known = (codes.astype(np.float32) - 1) / np.float32(TURNOVER_STEPS)
    return np.where(codes > 0, known, np.float32(np.nan)).astype(np.float32)


def relate_turnover(codes: UInt8Array, relation: Relation) -> Float32Array:
    """Give the older window's rows the turnover of their partners in the newer one; NaN for none."""
    values = np.append(decode_turnover(codes), np.float32(np.nan))
    return values[np.where(relation >= 0, relation, len(codes))]
