"""Digests of rows, by which it is seen that a window's vectors changed under the same ids and times."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine import is_sparse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import numpy.typing as npt

    from driftmap.pipeline.sources.protocol import Rows

    Numbers = np.ndarray[Any, Any]

_ROWS_AT_ONCE = 4096


def digest_rows(vectors: Rows, ids: np.ndarray[Any, Any], labels: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """Digest a window's rows, the same in whatever order they come.

    Parameters
    ----------
    vectors
        float32 (n, d), dense or sparse.
    ids
        (n,) numbers or fixed-width bytes, each once.
    labels
        Per label column (n,).

    Returns
    -------
    16 hexadecimal digits.
    """
    return digest_parts(partial(_take_parts, vectors), vectors.shape[1], ids, labels)


def digest_parts(
    read_in_order: Callable[[npt.NDArray[np.intp]], Iterable[Numbers]],
    n_features: int,
    ids: np.ndarray[Any, Any],
    labels: Mapping[str, np.ndarray[Any, Any]],
) -> str:
    """Digest rows as `digest_rows`, their vectors given part by part in the order that is asked for."""
    order = np.argsort(ids, kind="stable")
    digest = hashlib.sha256(repr(((len(ids), n_features), sorted(labels))).encode())
    for column in (ids, *(labels[name] for name in sorted(labels))):
        digest.update(_to_bytes(column[order]))
    for part in read_in_order(order):
        digest.update(part.tobytes())
    return digest.hexdigest()[:16]


def _take_parts(vectors: Rows, order: npt.NDArray[np.intp]) -> Iterator[Numbers]:
    for start in range(0, len(order), _ROWS_AT_ONCE):
        part = vectors[order[start : start + _ROWS_AT_ONCE]]
        if is_sparse(part):
            yield np.diff(part.indptr).astype("<i8")
            yield part.indices.astype("<i4")
        yield part.data if is_sparse(part) else part


def _to_bytes(column: np.ndarray[Any, Any]) -> bytes:
    if column.dtype.kind in "SO":  # the width of "S" is that of the longest text that was read with it
        texts: list[bytes] = column.tolist()
        return b"\0".join(texts)
    return bytes(column.dtype.str.encode() + column.tobytes())
