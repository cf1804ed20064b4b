"""What says why rows are where they are: words of their texts, and numbers of named columns in one byte each.

Clusters are known only after the layout, so the store keeps both row by row, written on the worker that reads the rows;
they are summed by cluster, window or selection when somebody looks. They stay when graphs are removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.engine import RowTerms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Array = npt.NDArray[Any]
    UInt8Array = npt.NDArray[np.uint8]

MAX_COLUMNS = 64
"""Columns of numbers whose values are kept; of vectors of more named columns, none are."""
SCALE_ROWS = 4096
"""First rows of a window by which its steps are chosen."""
TERM_ARRAYS = ("term_words", "term_indptr", "term_indices")
NUMBER_ARRAYS = ("numbers", "number_scale")
CODING = _STEPS, _FINENESS, _MIDDLE, MISSING = 24.0, 2.0, 127, 255
"""Steps a unit of asinh, its factor, the code of the mean, and that of a missing number."""


class RowTraits(NamedTuple):
    """Of the rows of one window."""

    terms: RowTerms | None
    columns: tuple[str, ...]
    """Names of the columns of numbers."""
    numbers: npt.NDArray[np.float32] | None
    """(n, c), rounded; None where there are none."""


class NumberCoder:
    """Rounds numbers of columns to one byte: finely about the mean, coarsely far away.

    A step is .02 of the spread at the mean, .2 at five times the spread, and the last one is at about 50 times; spread
    and mean are those of the window's first rows, so that they do not depend on how the rows are read.

    Parameters
    ----------
    first
        The first SCALE_ROWS rows, or all where there are fewer, (m, c).
    """

    def __init__(self, first: Array) -> None:
        wide = np.asarray(first[:SCALE_ROWS], dtype=np.float64)
        spread = wide.std(axis=0)
        self.scale = np.vstack([wide.mean(axis=0), np.where(spread > 0, spread, 1.0)])

    def encode(self, numbers: Array) -> UInt8Array:
        """Round (n, c) numbers."""
        return encode_numbers(numbers, self.scale)


def encode_numbers(numbers: Array, scale: Array) -> UInt8Array:
    """Round (n, c) numbers by the mean and spread of each column, (2, c)."""
    apart = (np.asarray(numbers, dtype=np.float64) - scale[0]) / scale[1]
    steps = np.rint(_STEPS * np.arcsinh(_FINENESS * apart))
    codes = np.clip(steps, -_MIDDLE, MISSING - 1 - _MIDDLE) + _MIDDLE
    return np.where(np.isfinite(apart), codes, MISSING).astype(np.uint8)


def decode_numbers(codes: UInt8Array, scale: Array) -> npt.NDArray[np.float32]:
    """Give the numbers that codes stand for; NaN for missing ones."""
    apart = np.sinh((np.arange(256) - float(_MIDDLE)) / _STEPS) / _FINENESS
    apart[MISSING] = np.nan
    return np.asarray(apart[codes] * scale[1] + scale[0], dtype=np.float32)


def pack_terms(terms: RowTerms) -> dict[str, Array]:
    """Give the arrays that are written of words."""
    words = np.char.encode(terms.words, "utf-8") if len(terms.words) else np.zeros(0, dtype="S1")
    return dict(zip(TERM_ARRAYS, (words, terms.indptr, terms.indices), strict=True))


def list_trait_arrays(record: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Name the arrays that a receipt says the group of a graph holds besides."""
    if not record:
        return ()
    return (*(TERM_ARRAYS if record.get("has_terms") else ()), *(NUMBER_ARRAYS if record.get("columns") else ()))


def read_terms(read: Callable[[str], Array]) -> RowTerms:
    """Read the words of rows."""
    words, indptr, indices = (read(name) for name in TERM_ARRAYS)
    return RowTerms(np.char.decode(words, "utf-8") if len(words) else words.astype(np.str_), indptr, indices)


def read_traits(record: Mapping[str, Any], read: Callable[[str], Array]) -> RowTraits:
    """Read what a receipt says that there is."""
    numbers, terms = None, read_terms(read) if record.get("has_terms") else None
    columns = tuple(record.get("columns") or ())
    if columns:
        codes, scale = (read(name) for name in NUMBER_ARRAYS)
        numbers = decode_numbers(codes, scale)
    return RowTraits(terms, columns, numbers)
