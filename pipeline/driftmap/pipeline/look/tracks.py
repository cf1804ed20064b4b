"""Maps -> the paths of a sample of entities, smooth, and broken where an entity is absent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.engine import smooth_paths
from driftmap.pipeline.errors import PictureError
from driftmap.pipeline.look.run_codes import as_text

if TYPE_CHECKING:
    from driftmap.pipeline.look.colours import Colouring
    from driftmap.pipeline.look.sequence import MapSequence

    Array = npt.NDArray[Any]

MAX_VERTICES = 120_000
"""Points of all paths; where there are more windows, they have fewer between two of them."""

MAX_STEPS = 8


class Track(NamedTuple):
    """An entity through consecutive windows, all of which have it."""

    name: str
    path: npt.NDArray[np.float32]
    """(k, 3): the map's two axes, and the number of the window."""
    code: int
    """Its colour, as in `Colouring`; -1 for OTHER. On a scale, 0."""
    values: npt.NDArray[np.float32]
    """(k,) numbers in [0, 1] along the path, for a colour scale."""


class Tracks(NamedTuple):
    """The paths that are drawn."""

    tracks: list[Track]
    n_drawn: int
    """Entities drawn."""
    n_entities: int
    """Entities that are in two consecutive windows at least."""
    n_steps: int
    """Points of a path from one window to the next."""


def find_tracks(sequence: MapSequence, colouring: Colouring, most: int) -> Tracks:
    """Find the paths of at most `most` entities, every label with its share of them.

    Raises
    ------
    PictureError
        When no entity is in two consecutive windows.
    """
    entities, windows, places, codes = _list_places(sequence, colouring)
    is_first = np.ones(len(entities), dtype=bool)
    is_first[1:] = (np.diff(entities) != 0) | (np.diff(windows) != 1)
    starts = np.flatnonzero(is_first)
    lengths = np.diff([*starts, len(entities)])
    starts, lengths = starts[lengths > 1], lengths[lengths > 1]
    known = np.unique(entities[starts])
    if len(known) == 0:
        raise PictureError("no entity has a place in two consecutive windows, so there are no paths to draw")
    labels = np.zeros(len(known), dtype=np.intp) if colouring.kind == "number" else _find_labels(entities, codes, known)
    drawn = _sample(labels, most)
    label_of = dict(zip(known[drawn].tolist(), labels[drawn].tolist(), strict=True))
    is_drawn = np.isin(entities[starts], known[drawn])
    starts, lengths = starts[is_drawn], lengths[is_drawn]
    n_steps = int(np.clip(MAX_VERTICES // max(1, int((lengths - 1).sum())), 1, MAX_STEPS))
    names = _name_entities(sequence, known[drawn])
    tracks = []
    for length in np.unique(lengths):
        runs = starts[lengths == length]
        rows = runs[:, None] + np.arange(length)
        values, has_value = _fill_gaps(codes[rows])
        nodes = np.concatenate([places[rows], windows[rows][..., None], values[..., None]], axis=-1)
        paths = smooth_paths(nodes, n_steps)
        for entity, path, is_known in zip(entities[runs].tolist(), paths, has_value, strict=True):
            tracks.append(Track(names[entity], path[:, :3], label_of[entity] if is_known else -1, path[:, 3]))
    return Tracks(tracks, len(drawn), len(known), n_steps)


def _list_places(sequence: MapSequence, colouring: Colouring) -> tuple[Array, Array, Array, Array]:
    """Entity, window, place and colour of every row that has a place, by entity and then by window."""
    planes = sequence.planes()
    entities = np.concatenate(sequence.entities())
    windows = np.repeat(np.arange(len(planes)), [len(plane) for plane in planes])
    places = np.concatenate(planes)
    codes = np.concatenate(colouring.codes)
    order = np.lexsort((windows, entities))
    order = order[np.isfinite(places[order, 0])]
    return entities[order], windows[order], places[order], codes[order]


def _fill_gaps(values: Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Give rows without a number the mean of their entity's others; tell which entities have any."""
    filled = values.astype(np.float64)
    is_missing = np.isnan(filled)
    n_known = (~is_missing).sum(axis=1)
    mean = np.where(is_missing, 0, filled).sum(axis=1) / np.maximum(n_known, 1)
    return np.where(is_missing, mean[:, None], filled), n_known > 0


def _find_labels(entities: Array, codes: Array, known: Array) -> npt.NDArray[np.intp]:
    """Colour that each of the known entities has most often."""
    n_codes = int(codes.max()) + 2
    pairs, counts = np.unique(entities * n_codes + codes + 1, return_counts=True)
    order = np.lexsort((-counts, pairs // n_codes))
    owners, firsts = np.unique(pairs[order] // n_codes, return_index=True)
    labels: npt.NDArray[np.intp] = (pairs[order][firsts] % n_codes - 1)[np.searchsorted(owners, known)]
    return labels


def _sample(labels: npt.NDArray[np.intp], most: int) -> npt.NDArray[np.intp]:
    """Choose entities evenly from all labels, the same ones every time."""
    order = np.random.default_rng(0).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    _, firsts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    # The k-th of n entities of a label comes after a share of k / n, whatever the label.
    shares = (np.arange(len(labels)) - np.repeat(firsts, counts) + 0.5) / np.repeat(counts, counts)
    chosen: npt.NDArray[np.intp] = np.sort(order[np.argsort(shares, kind="stable")[:most]])
    return chosen


def _name_entities(sequence: MapSequence, wanted: Array) -> dict[int, str]:
    names: dict[int, str] = {}
    for numbers, ids in zip(sequence.entities(), sequence.ids or [], strict=True):
        for row in np.flatnonzero(np.isin(numbers, wanted)).tolist():
            names[int(numbers[row])] = as_text(ids[row])
    return names
