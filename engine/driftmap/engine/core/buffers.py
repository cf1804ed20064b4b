"""Memory that blocks of rows are written to one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from driftmap.engine.types import Float32Array


class Buffers:
    """Arrays for what one thread works on, block by block.

    The system clears the pages of every large new array, unless the allocator has kept some. In Dask's workers it keeps
    none: new arrays for each block took 17 of the 44 s in which a million rows found their neighbours.
    """

    def __init__(self) -> None:
        self._held: dict[str, Float32Array] = {}

    def take(self, name: str, n_rows: int, width: int) -> Float32Array:
        """Give an array (n_rows, width) of any numbers; it is given again when this name is taken again."""
        size = n_rows * width
        if name not in self._held or self._held[name].size < size:
            self._held.pop(name, None)  # before the larger one is there
            self._held[name] = np.empty(size, dtype=np.float32)
        return self._held[name][:size].reshape(n_rows, width)
