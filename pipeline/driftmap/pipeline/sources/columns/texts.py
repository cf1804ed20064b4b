"""Texts of any length: objects in memory, and one array of bytes with offsets where they are kept.

An array of bytes of one width takes the longest text for every row: with one of 4,000 characters 80 MB for 20,000 rows,
where the texts themselves have 1 (tests/pipeline/sources/columns/test_texts.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.types import Int64Array

    Column = np.ndarray[Any, Any]

OBJECT_BYTES = 56
"""Of a text beside its bytes: a reference, and what Python keeps of an object."""


class PackedTexts(NamedTuple):
    """Texts of rows, as UTF-8 one after the other."""

    data: npt.NDArray[np.uint8]
    offsets: Int64Array
    """(n + 1,)"""

    @classmethod
    def of(cls, texts: Column) -> PackedTexts:
        """Pack bytes objects, (n,)."""
        held: list[bytes] = texts.tolist()
        offsets = np.cumsum([0, *map(len, held)], dtype=np.int64)
        return cls(np.frombuffer(b"".join(held), dtype=np.uint8), offsets)

    def take(self, rows: npt.NDArray[np.integer[Any]]) -> Column:
        """Give the texts of rows as bytes objects, (m,)."""
        bounds = zip(self.offsets[rows].tolist(), self.offsets[rows + 1].tolist(), strict=True)
        return _as_objects([self.data[first:last].tobytes() for first, last in bounds])

    def take_all(self) -> Column:
        """Give the texts of all rows."""
        return self.take(np.arange(len(self.offsets) - 1))

    @property
    def row_bytes(self) -> int:
        """Mean size of a text as an object."""
        n_rows = max(1, len(self.offsets) - 1)
        return OBJECT_BYTES + -(-int(self.offsets[-1]) // n_rows)


def is_texts(column: Column) -> bool:
    """Whether a column holds texts of any length, as `to_objects` gives them."""
    return bool(column.dtype.kind == "O")


def to_objects(array: pa.Array) -> Column:
    """Turn texts, none missing, into bytes objects, (n,); equal ones are one object."""
    encoded = array.cast(pa.large_binary()).dictionary_encode()
    codes: npt.NDArray[np.int32] = encoded.indices.to_numpy(zero_copy_only=False)
    return _as_objects(encoded.dictionary.to_pylist())[codes]


def _as_objects(texts: list[bytes]) -> Column:
    objects = np.empty(len(texts), dtype=object)
    objects[:] = texts
    return objects
