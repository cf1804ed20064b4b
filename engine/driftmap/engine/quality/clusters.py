"""How the rows of a label lie on a map: in one piece or in several, and which pieces split and merge.

Dimensions: n rows of a window; 2 or more components, of which the first two are looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.types import Int32Array, Relation

    Float64Array = npt.NDArray[np.float64]

MIN_ROWS = 4
"""Minimum number of rows for an island, a split or a merge."""
MIN_SHARE = 0.15
"""Share of a label's rows below which a piece is a straggler, and of an island's rows that make a split or merge."""
_MIN_GAP = 0.1
_NEAREST = 3
_N_ASKED = 500


class Islands(NamedTuple):
    """Pieces of a map, each of rows of one label."""

    of_row: Int32Array
    """(n,) number of the row's island, -1 where it is in none."""
    labels: Int32Array
    """(m,) label of each island."""


class IslandChange(NamedTuple):
    """One island that became several, or several that became one."""

    kind: str
    """`split` or `merge`."""
    label: int
    n_rows: int
    """Related rows that took part."""
    n_parts: int


def find_islands(labels: Int32Array, positions: npt.ArrayLike, n_labels: int, spread: float) -> Islands:
    """Find the pieces in which the rows of each label lie.

    Parameters
    ----------
    labels
        (n,) label of every row; those of `n_labels` and above, and negative ones, are not looked at.
    positions
        (n, c) places; rows whose place is not finite are in no island.
    n_labels
        Labels to look at.
    spread
        Of the layout: pieces nearer than a tenth of it are one.

    Returns
    -------
    Islands
        The islands, and the island of each row.

    Notes
    -----
    Rows are dropped into a grid whose cells are twice as wide as the rows of the label stand apart (the 90th percentile
    of the distance to the third nearest, of at most 500 rows), and cells that touch are one piece.
    """
    places = np.asarray(positions, dtype=np.float64)
    places = places[:, :2] if places.shape[1] >= 2 else np.column_stack([places[:, 0], np.zeros(len(places))])
    usable = np.flatnonzero(np.isfinite(places).all(axis=1) & (labels >= 0) & (labels < n_labels))
    usable = usable[np.argsort(labels[usable], kind="stable")]
    bounds = np.searchsorted(labels[usable], np.arange(n_labels + 1))
    of_row = np.full(len(places), -1, dtype=np.int32)
    found: list[int] = []
    for label in range(n_labels):
        rows = usable[bounds[label] : bounds[label + 1]]
        if len(rows) < MIN_ROWS:
            continue
        pieces = cut_pieces(places[rows], _MIN_GAP * spread)
        for piece in np.flatnonzero(np.bincount(pieces) >= max(MIN_ROWS, MIN_SHARE * len(rows))):
            of_row[rows[pieces == piece]] = len(found)
            found.append(label)
    return Islands(of_row, np.array(found, dtype=np.int32))


def compare_islands(old: Islands, new: Islands, relation: Relation) -> list[IslandChange]:
    """Tell which islands split and merge between two windows, by their related rows, in order of their labels.

    Parameters
    ----------
    old, new
        Islands of the older and the newer window.
    relation
        Old row -> new row, -1 for none.

    Returns
    -------
    list of IslandChange
        What split, merged, came or went.
    """
    rows = np.flatnonzero(relation >= 0)
    before, after = old.of_row[rows], new.of_row[relation[rows]]
    kept = (before >= 0) & (after >= 0)
    before, after = before[kept], after[kept]
    kept = old.labels[before] == new.labels[after] if len(before) else np.zeros(0, dtype=bool)
    counts = np.zeros((len(old.labels), len(new.labels)), dtype=np.int64)
    np.add.at(counts, (before[kept], after[kept]), 1)
    changes = _find_forks(counts, old.labels, "split") + _find_forks(counts.T, new.labels, "merge")
    return sorted(changes, key=lambda change: (change.label, change.kind))


def cut_pieces(places: Float64Array, min_gap: float) -> Int32Array:
    """Cut positions (n, 2) into pieces, and give the piece of each; those nearer than `min_gap` are one."""
    from scipy.ndimage import label as label_cells  # late: 0.1 s
    from scipy.spatial import cKDTree

    some = places[:: -(-len(places) // _N_ASKED)]
    nearest, _ = cKDTree(places).query(some, min(_NEAREST + 1, len(places)))
    size = max(min_gap, 2.0 * float(np.quantile(nearest[:, -1], 0.9)), 1e-12)
    cells = np.floor((places - places.min(axis=0)) / size).astype(np.int64)
    grid = np.zeros(cells.max(axis=0) + 1, dtype=bool)
    grid[cells[:, 0], cells[:, 1]] = True
    pieces, _ = label_cells(grid, structure=np.ones((3, 3), dtype=int))
    return np.asarray(pieces[cells[:, 0], cells[:, 1]] - 1, dtype=np.int32)


def _find_forks(counts: npt.NDArray[np.int64], labels: Int32Array, kind: str) -> list[IslandChange]:
    changes = []
    for island, row in enumerate(counts):
        parts = row[row >= max(MIN_ROWS, MIN_SHARE * row.sum())]
        if len(parts) > 1:
            changes.append(IslandChange(kind, int(labels[island]), int(parts.sum()), len(parts)))
    return changes
