"""Texts as rows of bytes of one width, made some rows at a time: the whole takes the longest text for every row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

_BYTES_AT_ONCE = 2**22


class ByteRows:
    """As much of an array of uint8 (n, width) as writing it asks for.

    Parameters
    ----------
    texts
        Of the rows.
    """

    dtype: np.dtype[Any] = np.dtype(np.uint8)
    ndim = 2

    def __init__(self, texts: list[bytes]) -> None:
        self._texts = texts
        self.shape = (len(texts), max(1, *map(len, texts)) if texts else 1)

    @classmethod
    def of(cls, values: np.ndarray[Any, Any]) -> Self:
        """Take bytes objects, or what is to be shown as text."""
        texts = ("" if value is None else value for value in values.tolist())
        return cls([value if isinstance(value, bytes) else str(value).encode() for value in texts])

    @property
    def size(self) -> int:
        """Number of bytes of the whole."""
        return self.shape[0] * self.shape[1]

    def __len__(self) -> int:
        """Count the rows."""
        return self.shape[0]

    def __getitem__(self, rows: slice) -> npt.NDArray[np.uint8]:
        """Give some rows."""
        width = self.shape[1]
        return np.array(self._texts[rows], dtype=f"S{width}").view(np.uint8).reshape(-1, width)

    def list_parts(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Give all rows, some at a time."""
        step = max(1, _BYTES_AT_ONCE // self.shape[1])
        return (self[begin : begin + step] for begin in range(0, len(self), step))
