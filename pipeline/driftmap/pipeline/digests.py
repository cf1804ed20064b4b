"""Digests of rows, by which it is seen that a window's vectors changed under the same ids and times."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from driftmap.engine.types import Float32Array

_ROWS_AT_ONCE = 4096


def digest_rows(vectors: Float32Array, ids: np.ndarray[Any, Any], labels: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """Digest a window's rows, the same in whatever order they come.

    Parameters
    ----------
    vectors
        float32 (n, d).
    ids
        (n,) numbers or fixed-width bytes, each once.
    labels
        Per label column (n,).

    Returns
    -------
    16 hexadecimal digits.
    """
    order = np.argsort(ids, kind="stable")
    digest = hashlib.sha256(repr((vectors.shape, sorted(labels))).encode())
    for column in (ids, *(labels[name] for name in sorted(labels))):
        digest.update(_to_bytes(column[order]))
    for start in range(0, len(order), _ROWS_AT_ONCE):
        digest.update(vectors[order[start : start + _ROWS_AT_ONCE]].tobytes())
    return digest.hexdigest()[:16]


def _to_bytes(column: np.ndarray[Any, Any]) -> bytes:
    if column.dtype.kind == "S":  # its width is that of the longest text that was read with it
        texts: list[bytes] = column.tolist()
        return b"\0".join(texts)
    return bytes(column.dtype.str.encode() + column.tobytes())
