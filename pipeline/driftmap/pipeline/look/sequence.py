"""What every picture starts from: the maps of a store, or plain lists of arrays, as one sequence of windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.errors import PictureError
from driftmap.pipeline.look.colours import Colouring, colour_rows, join_windows
from driftmap.pipeline.look.run_codes import as_text, list_laid_out, refuse_no_store
from driftmap.pipeline.store.id_types import show_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.engine import AlignedUMAP
    from driftmap.pipeline.store import Store

Array = npt.NDArray[Any]
Places = npt.NDArray[np.float32]

STRIP = 0.12
"""Height of a map of one axis, in its width."""

GOLDEN_RATIO = 0.6180339887
"""Its multiples, modulo one, lie evenly between any two of them."""


class MapSequence(NamedTuple):
    """Maps in the order of their windows."""

    names: list[str]
    places: list[Places]
    """(n_t, c) each; NaN in rows without a place."""
    ids: list[Array] | None
    values: list[Array] | None
    """What rows are coloured by, (n_t,) each."""
    column: str | None = None
    """Name of the column of `values`."""

    @property
    def n_components(self) -> int:
        """Axes of the maps."""
        return int(self.places[0].shape[1])

    def colouring(self) -> Colouring:
        """Give every row its colour."""
        return colour_rows(self.values, [len(one) for one in self.places], self.column)

    def planes(self) -> list[Places]:
        """Positions as (n_t, 2): the first two axes; NaN in both where either is missing.

        One axis is spread over a narrow strip, an entity always at the same height, so that rows do not hide
        each other.
        """
        if self.n_components > 1:
            return [_blank_rows(one[:, :2]) for one in self.places]
        rows = self.entities() if self.ids is not None else [np.arange(len(one)) for one in self.places]
        line = [one[:, 0].astype(np.float64) for one in self.places]
        finite = np.concatenate(line)[np.isfinite(np.concatenate(line))]
        height = STRIP * float(np.ptp(finite)) if len(finite) else 0.0
        heights = [(number * GOLDEN_RATIO % 1 * height).astype(np.float32) for number in rows]
        return [_blank_rows(np.column_stack([x, y]).astype(np.float32)) for x, y in zip(line, heights, strict=True)]

    def bounds(self) -> tuple[Places, Places]:
        """Lower left and upper right corner of everything that has a place, (2,) each; a unit square around nothing."""
        planes = self.planes()
        with_place = [one[np.isfinite(one[:, 0])] for one in planes]
        everything = np.concatenate(with_place)
        if len(everything) == 0:
            return np.zeros(2, dtype=np.float32), np.ones(2, dtype=np.float32)
        return everything.min(axis=0), everything.max(axis=0)

    def entities(self) -> list[npt.NDArray[np.int64]]:
        """Give every row the number of its entity, int64 (n_t,) each: the same one for the same id.

        Raises
        ------
        PictureError
            When there are no ids.
        """
        if self.ids is None:
            raise PictureError("this picture follows entities from window to window; give ids, one array per window")
        _, numbers = np.unique(join_windows(self.ids), return_inverse=True)
        return np.split(numbers.astype(np.int64), np.cumsum([len(one) for one in self.ids])[:-1])


def read_sequence(store: Store, label: str | None = None, windows: Sequence[str | int] | None = None) -> MapSequence:
    """Read the maps of a store.

    Parameters
    ----------
    store
        An opened store.
    label
        The label column to colour by; the first one when left out.
    windows
        Labels or numbers of windows, in the order in which they are drawn; every window with a map when left out.

    Returns
    -------
    MapSequence
        The maps in order of the windows.

    Raises
    ------
    StoreError
        When there is no map yet, or no such window.
    PictureError
        When the store has no label column of that name.
    """
    refuse_no_store(store)
    chosen = [fact.index for fact in list_laid_out(store)] if windows is None else store.list_asked(windows)
    if not chosen:
        raise PictureError(f"windows is empty; name windows of {store.path}, or leave it out for all that have a map")
    ids = show_ids([store.window_keys(window) for window in chosen], store.id_type)
    columns = [store.window_labels(window) for window in chosen]
    names = [name for name in columns[0] if all(name in one for one in columns)]
    if label is not None and label not in names:
        has = f"it has {', '.join(map(repr, names))}" if names else "it has none"
        raise PictureError(f"the store {store.path} has no label column {label!r}; {has}")
    column = label if label is not None or not names else names[0]
    known = store.labels
    return MapSequence(
        names=[window if isinstance(window, str) else known[window] for window in chosen],
        places=[store.positions(window) for window in chosen],
        ids=ids,
        values=None if column is None else [one[column] for one in columns],
        column=column,
    )


def as_sequence(
    maps: Store | MapSequence | AlignedUMAP | Sequence[npt.ArrayLike],
    label: str | Sequence[npt.ArrayLike] | None = None,
    ids: Sequence[npt.ArrayLike] | None = None,
    names: Sequence[object] | None = None,
) -> MapSequence:
    """Take what a picture is asked to draw: a store, what `read_sequence` gave, or a list of embeddings.

    Parameters
    ----------
    maps
        An opened store, a fitted `AlignedUMAP`, or one (n_t, c) array per window.
    label
        Of a store, the label column to colour by. Of a list, one array of labels or numbers per window.
    ids
        Of a list: entity ids, one array per window; the same id in two windows is the same entity.
    names
        Names of the windows; by default the store's, or 0, 1, 2 ...

    Raises
    ------
    PictureError
        When these do not fit together; the message names which.
    """
    if isinstance(maps, MapSequence):
        found = maps
    elif hasattr(maps, "window_labels"):
        _refuse(isinstance(label, str | None), "label is the name of a label column of the store, not values")
        _refuse(ids is None, "ids belong to a list of embeddings; the store has its own")
        found = read_sequence(maps, label)  # type: ignore[arg-type]
    else:
        found = _read_lists(maps, label, ids)
    if names is None:
        return found
    texts = [as_text(name) for name in names]
    _refuse(len(texts) == len(found.names), f"got {len(texts)} names for {len(found.names)} windows; give one for each")
    return found._replace(names=texts)


def _read_lists(
    given: Any,
    label: str | Sequence[npt.ArrayLike] | None,
    ids: Sequence[npt.ArrayLike] | None,
) -> MapSequence:
    maps = getattr(given, "embeddings_", given)
    is_list = hasattr(maps, "__len__") and not isinstance(maps, str | bytes)
    _refuse(
        is_list, f"maps must be an opened store, a fitted estimator or a list of embeddings, got {type(maps).__name__}"
    )
    _refuse(len(maps) > 0, "got no maps; give one (rows, axes) array per window")
    _refuse(not isinstance(label, str), "of a list of embeddings, label is one array of labels per window")
    places = [_read_places(one, index) for index, one in enumerate(maps)]
    widths = sorted({one.shape[1] for one in places})
    _refuse(len(widths) == 1, f"the maps have {widths} axes; all must have the same number")
    sizes = [len(one) for one in places]
    read_ids = _read_rows(ids, sizes, "ids")
    for index, one in enumerate(read_ids or []):
        kinds, counts = np.unique(join_windows([one]), return_counts=True)
        twice = kinds[counts > 1]
        _refuse(
            len(twice) == 0, f"ids[{index}] has {twice[:1].tolist()} twice; within a window an id stands for one row"
        )
    return MapSequence(
        names=[str(index) for index in range(len(places))],
        places=places,
        ids=read_ids,
        values=_read_rows(label, sizes, "label"),
    )


def _read_places(given: npt.ArrayLike, index: int) -> Places:
    try:
        places = np.asarray(given, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise PictureError(f"maps[{index}] is no array of numbers: {error}") from error
    if places.ndim == 1:
        places = places[:, None]
    _refuse(places.ndim == 2 and places.shape[1] > 0, f"maps[{index}] must be (rows, axes), got shape {places.shape}")
    return places


def _read_rows(given: Sequence[npt.ArrayLike] | None, sizes: list[int], name: str) -> list[Array] | None:
    if given is None:
        return None
    _refuse(len(given) == len(sizes), f"{name} has {len(given)} entries for {len(sizes)} windows; give one for each")
    arrays = [np.asarray(one) for one in given]
    for index, (one, size) in enumerate(zip(arrays, sizes, strict=True)):
        _refuse(one.shape == (size,), f"{name}[{index}] has shape {one.shape} for a map of {size} rows; give one a row")
    return arrays


def _refuse(is_fine: bool, message: str) -> None:  # noqa: FBT001 - reads as a condition
    if not is_fine:
        raise PictureError(message)


def _blank_rows(plane: Places) -> Places:
    return np.where(np.isfinite(plane).all(axis=1, keepdims=True), plane, np.float32(np.nan))
