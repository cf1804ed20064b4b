"""Texts and numbers that are given beside a fitted estimator: what explains its changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.engine import count_terms
from driftmap.pipeline.errors import PictureError
from driftmap.pipeline.store.row_traits import MAX_COLUMNS, NUMBER_ARRAYS, NumberCoder, pack_terms

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = npt.NDArray[Any]


class _Table(NamedTuple):
    names: tuple[str, ...]
    numbers: npt.NDArray[np.float64]
    """(n, c)."""


class FittedTraits:
    """What the store of an estimator keeps of each window's rows besides.

    Parameters
    ----------
    text, columns
        As `make_widget` has them.
    sizes
        Rows of each window.

    Raises
    ------
    PictureError
        When they do not fit the windows.
    """

    def __init__(self, text: Any, columns: Any, sizes: Sequence[int]) -> None:
        self._texts = None if text is None else _read_texts(text, sizes)
        self._tables = None if columns is None else _read_tables(columns, sizes)

    @property
    def record(self) -> dict[str, Any] | None:
        """What the receipts of all windows say; None where nothing is kept."""
        if self._texts is None and self._tables is None:
            return None
        return {"has_terms": self._texts is not None, "columns": list(self._tables[0].names if self._tables else ())}

    def encode(self, index: int) -> dict[str, Array]:
        """Give the arrays to write of a window."""
        found: dict[str, Array] = {}
        if self._texts is not None:
            found |= pack_terms(count_terms(self._texts[index]))
        if self._tables is not None:
            numbers = self._tables[index].numbers
            coder = NumberCoder(_fill_missing(numbers))
            found |= dict(zip(NUMBER_ARRAYS, (coder.encode(numbers), coder.scale), strict=True))
        return found


def _fill_missing(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Put the mean of a column where numbers are missing."""
    is_known = np.isfinite(numbers)
    sums = np.where(is_known, numbers, 0.0).sum(axis=0)
    return np.where(is_known, numbers, sums / np.maximum(is_known.sum(axis=0), 1))


def _read_texts(given: Any, sizes: Sequence[int]) -> list[list[str]]:
    _check_list(given, sizes, "text", "list of texts")
    windows = [["" if one is None else str(one) for one in texts] for texts in given]
    for index, (texts, size) in enumerate(zip(windows, sizes, strict=True)):
        if len(texts) != size:
            raise PictureError(f"text[{index}] has {len(texts)} texts for a map of {size} rows; give one a row")
    return windows


def _read_tables(given: Any, sizes: Sequence[int]) -> list[_Table]:
    _check_list(given, sizes, "columns", "table of numbers")
    tables = [_read_table(one, f"columns[{index}]", sizes[index]) for index, one in enumerate(given)]
    first = tables[0].names
    for index, table in enumerate(tables):
        if table.names != first:
            raise PictureError(
                f"columns[{index}] has the columns {_show(table.names)}, columns[0] has {_show(first)}; give the same "
                "columns in every window"
            )
    return tables


def _read_table(given: Any, name: str, n_rows: int) -> _Table:
    """Take a frame, a mapping of names to numbers, or an array; its columns are called as scikit-learn calls them."""
    if isinstance(given, Mapping) or hasattr(given, "columns"):
        names = [*given] if isinstance(given, Mapping) else [*given.columns]
        values = [_read_numbers(given[one], f"{name}[{one!r}]", n_rows) for one in names]
    else:
        matrix = np.asarray(given)
        if matrix.ndim != 2:
            raise PictureError(
                f"{name} must be a frame, a mapping of names to numbers or an (n, c) array, got "
                f"{type(given).__name__} of shape {matrix.shape}"
            )
        names = [f"x{number}" for number in range(matrix.shape[1])]
        values = [_read_numbers(own, f"{name}[:, {number}]", n_rows) for number, own in enumerate(matrix.T)]
    if not 0 < len(names) <= MAX_COLUMNS:
        raise PictureError(f"{name} has {len(names)} columns; give 1 to {MAX_COLUMNS}, those that a reason may name")
    return _Table(tuple(map(str, names)), np.column_stack(values))


def _read_numbers(given: Any, name: str, n_rows: int) -> npt.NDArray[np.float64]:
    values = np.asarray(given)
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError):
        numbers = None
    if numbers is None or values.dtype.kind in "SUmM":
        raise PictureError(f"{name} holds {values.dtype} values; give numbers (labels belong in label, texts in text)")
    if numbers.shape != (n_rows,):
        raise PictureError(f"{name} has shape {numbers.shape} for a map of {n_rows} rows; give one number a row")
    return numbers


def _check_list(given: Any, sizes: Sequence[int], name: str, what: str) -> None:
    is_list = hasattr(given, "__len__") and not isinstance(given, str | Mapping) and not hasattr(given, "columns")
    if not is_list or len(given) != len(sizes):
        n = len(given) if is_list else type(given).__name__
        raise PictureError(f"{name} must hold one {what} for each of the {len(sizes)} windows, got {n}")


def _show(names: Sequence[str]) -> str:
    some = ", ".join(repr(one) for one in names[:4])
    return some if len(names) <= 4 else f"{some} and {len(names) - 4} more"
