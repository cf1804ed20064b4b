"""The exact kNN graph of a window that is never in memory as a whole: two blocks of its rows at a time.

Dimensions: n rows; d features; k neighbours, the row itself included; b rows of a block; q rows of a tile, which is the
part of a block that is multiplied at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.engine.core.validation import check_int, check_matrix, check_rows
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.neighbours.scaling.normalise import (
    COSINE_TINY,
    as_graph,
    centre_about,
    choose_unit,
    find_middle,
    measure_extent,
    new_graph,
    scale_rows,
)
from driftmap.engine.neighbours.search import EXACT_SUM_LIMIT
from driftmap.engine.settings import BLAS_METRICS
from driftmap.engine.types import Float32Array

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from driftmap.engine.core.threads import RowShare
    from driftmap.engine.neighbours.kernels.topk_kernels import Lists
    from driftmap.engine.neighbours.scaling.normalise import Centred
    from driftmap.engine.settings import GraphSettings
    from driftmap.engine.types import Int32Array, KnnGraph

ReadRows = Callable[[int, int], Float32Array]
"""Gives the rows [first, last) of a window, (last - first, d)."""

TILE_BYTES = 1 << 23
"""Memory for the float64 numbers of a tile, and for the products of one step."""
MAX_TILE_ROWS = 4096


class _Loaded(NamedTuple):
    """Rows of a block that are in the buffer."""

    first: int
    """Its first row, in the buffer."""
    n_rows: int


def can_search_blocks(settings: GraphSettings) -> bool:
    """Tell whether a window can be searched in blocks: by the metrics that inner products give.

    Parameters
    ----------
    settings
        Of a window's graph.

    Returns
    -------
    bool
        True where only two blocks of rows need to be in memory at a time.
    """
    return isinstance(settings.metric, str) and settings.metric in BLAS_METRICS and not settings.metric_kwds


def working_bytes(n_features: int) -> int:
    """Bound what the search takes beside the rows, where blocks are of more than a tile.

    That is a tile about the middle and, twice in float64, as it comes there; then, beside it, the products and the same
    of the rows that it is compared with. In float64 or float32, whichever takes more.
    """
    row_bytes = 8 * (n_features + 1)
    n_rows = _count_tile_rows(n_features + 1)
    most = 0
    for size in (4, 8):
        share = 2 + size / 8
        step = _count_step_rows(n_rows, n_rows, size)
        beside = size * step * n_rows + share * step * row_bytes
        most = max(most, int(share * n_rows * row_bytes), int(size / 8 * n_rows * row_bytes + beside))
    return most


def refuse_blocks(settings: GraphSettings) -> None:
    """Refuse settings by which a window cannot be searched in blocks.

    Raises
    ------
    InvalidInputError
        Saying which metrics can.
    """
    if not can_search_blocks(settings):
        given = f" with {settings.metric_kwds}" if settings.metric_kwds else ""
        known = ", ".join(BLAS_METRICS)
        msg = f"metric {settings.metric!r}{given} cannot be searched in blocks; give one of {known}, without arguments."
        raise InvalidInputError(msg)


def find_in_row_blocks(read_rows: ReadRows, n: int, k: int, metric: str, block_rows: int) -> KnnGraph:
    """Find the nearest rows of every row of a window, of which two blocks at a time are in memory.

    Parameters
    ----------
    read_rows
        Gives rows of the window, dense and finite, the same ones at every call: about n / `block_rows` times all of
        them.
    n
        Rows of the window.
    k
        Neighbours, the row itself included; 2 to n.
    metric
        One of `knn.BLAS_METRICS`.
    block_rows
        Rows of a block.

    Returns
    -------
    The bytes of `knn.find_exact`, whatever the blocks: products only choose which distances are summed, each in one
    order of terms, and ties go by row number.

    Raises
    ------
    InvalidInputError
        When the metric is not one of these, there are fewer rows than neighbours, or rows cannot be used.

    Notes
    -----
    No row is kept about its middle, as the search of a whole window does: of each block only one tile is, for as long
    as it is compared, so that blocks are twice as large. Centring again takes some 4 % of the products' time.
    """
    from driftmap.engine.core.threads import share_rows

    if metric not in BLAS_METRICS:
        msg = f"metric {metric!r} cannot be searched in blocks; give one of {', '.join(BLAS_METRICS)}."
        raise InvalidInputError(msg)
    k, block_rows = check_int(k, "k", minimum=2), check_int(block_rows, "block_rows", minimum=1)
    if k > n:
        msg = f"k={k} needs at least {k} rows, got {n}; lower it or give more rows."
        raise InvalidInputError(msg)
    found = new_graph(n, k)
    blocks = [(first, min(first + block_rows, n)) for first in range(0, n, block_rows)]
    with share_rows() as share:
        search = _Search(share, k, BLAS_METRICS[metric], [min(block_rows, n)] * min(len(blocks), 2))
        for own in blocks:
            is_new = own == blocks[0]  # every row is looked at when it comes first
            search.begin(partial(_read, read_rows, own, is_new=is_new), own[0])
            for other in blocks:
                if other != own:
                    search.add(partial(_read, read_rows, other, is_new=is_new), other[0])
            for kept, local in zip(found, search.lists, strict=True):
                kept[own[0] : own[1]] = local[: own[1] - own[0]]
    return as_graph(*found, BLAS_METRICS[metric])


def _read(read_rows: ReadRows, block: tuple[int, int], *, is_new: bool) -> Float32Array:
    first, last = block
    name = f"rows {first} to {last - 1}"
    given = read_rows(first, last)
    rows = check_rows(given, name) if is_new else np.asarray(check_matrix(given, name), dtype=np.float32)
    if len(rows) != last - first:
        msg = f"read_rows({first}, {last}) gave {len(rows)} rows; {last - first} were expected: give just these."
        raise InvalidInputError(msg)
    return rows


class _Search:
    """Neighbours of the rows of one block at a time.

    Parameters
    ----------
    share
        Shares rows out among threads.
    k, metric
        As for `find_in_row_blocks`; the metric by its usual name.
    places
        Rows that there is room for in the buffer: of the block itself, and of another one.
    """

    def __init__(self, share: RowShare, k: int, metric: str, places: list[int]) -> None:
        self.lists: Lists = new_graph(places[0], k)
        """Of the block's rows."""
        self._share = share
        self._metric = metric
        self._tiny = 0.0 if metric == "euclidean" else COSINE_TINY
        self._places = places
        self._rows: Float32Array = np.empty((0, 0), dtype=np.float32)
        self._scales = np.empty(sum(places))
        self._numbers = np.empty(sum(places), dtype=np.int32)
        self._own = _Loaded(0, 0)
        self._middle = np.empty(0)
        self._extent = 0.0
        self._unit = 1.0
        self._dtype: type[np.floating[Any]] = np.float32
        self._n_summed = 0
        self._aim = np.empty(0), np.empty(0)

    def begin(self, read: Callable[[], Float32Array], number: int) -> None:
        """Read a block, whose first row has this number in the window, and find neighbours within it."""
        self._own = self._load(read, number, 0)
        own, scales = self._get(self._own)
        self._middle = find_middle(own, scales)
        self._n_summed = 0
        for tile in self._cut(self._own):
            self._select_within(tile)
        self._add(self._own)

    def add(self, read: Callable[[], Float32Array], number: int) -> None:
        """Read another block, and put its rows into the lists, where they belong."""
        self._add(self._load(read, number, self._places[0]))

    def _load(self, read: Callable[[], Float32Array], number: int, place: int) -> _Loaded:
        rows = read()  # here, so that they are gone once they are in the buffer
        n, d = rows.shape
        width = d if self._metric == "euclidean" else d + 1  # room for the feature of rows of zeros
        if not self._rows.size:
            self._rows = np.empty((sum(self._places), width), dtype=np.float32)
        if width != self._rows.shape[1]:
            known = self._rows.shape[1] - width + d
            msg = f"rows {number} to {number + n - 1} have {d} features, those before {known}; give equally many."
            raise InvalidInputError(msg)
        for start, stop in _cut(n, _count_tile_rows(width)):
            scaled, self._scales[place + start : place + stop] = scale_rows(rows[start:stop], self._metric)
            self._rows[place + start : place + stop, : scaled.shape[1]] = scaled
            self._rows[place + start : place + stop, scaled.shape[1] :] = 0.0
        self._numbers[place : place + n] = np.arange(number, number + n)
        loaded = _Loaded(place, n)
        extent = measure_extent(*self._get(loaded))
        if extent > self._extent:  # nothing may overflow; what underflows, the bounds have room for
            self._extent, self._unit = extent, choose_unit(extent)
        return loaded

    def _get(self, loaded: _Loaded) -> tuple[Float32Array, npt.NDArray[np.float64]]:
        part = slice(loaded.first, loaded.first + loaded.n_rows)
        return self._rows[part], self._scales[part]

    def _cut(self, loaded: _Loaded) -> Iterator[_Loaded]:
        for start, stop in _cut(loaded.n_rows, _count_tile_rows(self._rows.shape[1])):
            yield _Loaded(loaded.first + start, stop - start)

    def _centre(self, loaded: _Loaded) -> Centred:
        return centre_about(self._middle, self._unit, *self._get(loaded), self._tiny, self._dtype)

    def _multiply(self, call: Callable[[npt.NDArray[Any], _Loaded], int], rows: _Loaded, n_columns: int) -> None:
        """Call with room for the products of some rows with so many columns, and these rows, on several threads."""
        step = _count_step_rows(_count_tile_rows(self._rows.shape[1]), n_columns, self._dtype().itemsize)
        products = np.empty((min(step, rows.n_rows), n_columns), dtype=self._dtype)
        for start, stop in _cut(rows.n_rows, step):
            work = partial(_call_with_part, call, products, rows.first + start)
            self._n_summed += self._share(work, stop - start)

    def _select_within(self, tile: _Loaded) -> None:
        """Find the neighbours of a tile's rows within it."""
        from driftmap.engine.neighbours.kernels.topk_merge_kernels import select_among

        centred = self._centre(tile)
        bounds, data = (centred.least, centred.most), (self._rows, self._scales, self._tiny)

        def select(products: npt.NDArray[Any], part: _Loaded) -> int:
            own = _list_rows(part)
            # of a copy: numpy would call syrk for a product of one array with itself and fill the other half by loop
            np.matmul(centred.rows[own - tile.first], centred.rows.T, out=products)
            return select_among(products, bounds, own, tile.first, data, self._numbers, self.lists)

        self._multiply(select, tile, tile.n_rows)

    def _add(self, loaded: _Loaded) -> None:
        """Compare the own rows with loaded ones; of these, own rows not with those of their own tile."""
        self._set_aim()
        own = self._own
        for tile in self._cut(loaded):
            centred = self._centre(tile)
            before = min(max(tile.first - own.first, 0), own.n_rows)
            after = min(max(tile.first + tile.n_rows - own.first, 0), own.n_rows)
            self._add_tile(tile, centred, _Loaded(own.first, before))
            self._add_tile(tile, centred, _Loaded(own.first + after, own.n_rows - after))
            # Tight groups far apart: see `knn.find_exact`. From here on for all blocks.
            if self._n_summed > EXACT_SUM_LIMIT * self.lists[0].shape[1] * own.n_rows and self._dtype == np.float32:
                self._dtype = np.float64
                self._set_aim()

    def _add_tile(self, tile: _Loaded, centred: Centred, rows: _Loaded) -> None:
        from driftmap.engine.neighbours.kernels.topk_merge_kernels import add_columns

        least, bars = self._aim
        columns, data = (centred.least, tile.first), (self._rows, self._scales, self._tiny)

        def add(products: npt.NDArray[Any], part: _Loaded) -> int:
            np.matmul(self._centre(part).rows, centred.rows.T, out=products)
            scaling = least, self._unit
            return add_columns(products, columns, _list_rows(part), bars, scaling, data, self._numbers, self.lists)

        self._multiply(add, rows, tile.n_rows)

    def _set_aim(self) -> None:
        """Set the own rows' bounds and bars by the unit and the type of now."""
        from driftmap.engine.neighbours.kernels.topk_merge_kernels import set_bars

        n = self._own.n_rows
        least, bars = np.empty(n, dtype=self._dtype), np.empty(n, dtype=self._dtype)
        for tile in self._cut(self._own):
            least[tile.first : tile.first + tile.n_rows] = self._centre(tile).least
        set_bars(bars, least, self._unit, self.lists[1][:n, -1])
        self._aim = least, bars


def _call_with_part(
    call: Callable[[npt.NDArray[Any], _Loaded], int], products: npt.NDArray[Any], first: int, part: slice
) -> int:
    return call(products[part], _Loaded(first + part.start, part.stop - part.start))


def _list_rows(loaded: _Loaded) -> Int32Array:
    return np.arange(loaded.first, loaded.first + loaded.n_rows, dtype=np.int32)


def _count_tile_rows(width: int) -> int:
    return max(1, min(MAX_TILE_ROWS, TILE_BYTES // (8 * width)))


def _count_step_rows(n_tile_rows: int, n_columns: int, itemsize: int) -> int:
    return max(1, min(n_tile_rows, TILE_BYTES // (itemsize * n_columns)))


def _cut(n: int, step: int) -> Iterator[tuple[int, int]]:
    for start in range(0, n, step):
        yield start, min(start + step, n)
