"""Store -> what the page draws: places as small integers, entities named once, labels as codes."""

from __future__ import annotations

import base64
import itertools
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.pipeline.store import Store

MAX_CATEGORIES = 24
"""A column of whole numbers with more different values than this is coloured as a scale, not as categories."""

MAX_PALETTE = 10
"""Colours of the page's palette."""

MISSING = -32768
"""Place of a row that has none; all others lie in -32767 .. 32767."""

_LAID_OUT = ("final", "provisional")

Array = npt.NDArray[Any]


class WindowMap(NamedTuple):
    """One window as read from the store, rows of a sample where the run is too large for a page."""

    label: str
    status: str
    n_rows: int
    """Rows of the window in the store."""
    ids: Array
    places: npt.NDArray[np.float32]
    columns: dict[str, Array]


def read_maps(store: Store, max_rows: int) -> list[WindowMap]:
    """Read every window that has a map.

    Parameters
    ----------
    store
        An opened store.
    max_rows
        Rows in all; where the run has more, a share of its entities is read, the same ones in every window.

    Returns
    -------
    Windows in order.

    Raises
    ------
    StoreError
        When no window has a map yet.
    """
    facts = [fact for fact in store.state() if fact.status in _LAID_OUT]
    if not facts:
        raise StoreError(f"no window of {store.path} has a map yet; run `driftmap run` on it first")
    share = min(1.0, max_rows / max(1, sum(fact.n_rows for fact in facts)))
    maps = []
    for fact in facts:
        ids, places = store.embedding(fact.index)
        columns = store.window_labels(fact.index)
        if share < 1:
            kept = _is_sampled(ids, share)
            ids, places = ids[kept], places[kept]
            columns = {name: values[kept] for name, values in columns.items()}
        maps.append(WindowMap(fact.label, fact.status, fact.n_rows, ids, places, columns))
    return maps


def encode_maps(maps: Sequence[WindowMap]) -> dict[str, Any]:
    """Turn windows into the page's data, ready for JSON.

    Rows are sorted by entity in every window, so that the page matches two windows in one walk. Entities are numbered
    in a shuffled order: the order in which points are drawn then says nothing about them, and stays the same in time.
    """
    offsets = np.cumsum([0, *(len(one.ids) for one in maps)])
    names, inverse = np.unique(np.concatenate([_as_names(one.ids) for one in maps]), return_inverse=True)
    shuffled = np.random.default_rng(0).permutation(len(names)).astype(np.int32)
    entities = shuffled[inverse]
    orders = [np.argsort(entities[a:b]) for a, b in itertools.pairwise(offsets)]
    places = _quantise([one.places for one in maps])
    columns, codes = _encode_columns(maps)
    windows = [
        {
            "label": one.label,
            "status": one.status,
            "n_rows": one.n_rows,
            "entities": _base64(entities[start : start + len(order)][order], "<i4"),
            "positions": _base64(place[order], "<i2"),
            "columns": [_base64(code[start : start + len(order)][order], code.dtype.str) for code in codes],
        }
        for one, place, order, start in zip(maps, places, orders, offsets, strict=False)
    ]
    texts = np.empty(len(names), dtype=object)
    texts[shuffled] = [as_text(name) for name in names.tolist()]
    return {"windows": windows, "entities": texts.tolist(), "columns": columns}


def as_text(value: object) -> str:
    """Show an id or a label as text, whatever its bytes."""
    return value.decode("utf-8", errors="backslashreplace") if isinstance(value, bytes) else str(value)


def _as_names(ids: Array) -> Array:
    # Bytes that are no text in one window may be text in another, so they meet as text.
    return np.array([as_text(value) for value in ids.tolist()]) if ids.dtype.kind == "S" else ids


def _is_sampled(ids: Array, share: float) -> npt.NDArray[np.bool_]:
    marks = np.array([zlib.crc32(as_text(value).encode()) for value in ids.tolist()], dtype=np.int64)
    return marks < int(share * 2**32)


def _quantise(places: Sequence[npt.NDArray[np.float32]]) -> list[npt.NDArray[np.int16]]:
    flat = [_as_plane(place) for place in places]
    finite = [place[_is_placed(place)] for place in flat]
    everything = np.concatenate(finite)
    if len(everything) == 0:
        return [np.full(place.shape, MISSING, dtype=np.int16) for place in flat]
    low, high = everything.min(axis=0), everything.max(axis=0)
    centre, half = (low + high) / 2, max(float((high - low).max()) / 2, 1e-12)
    return [_quantise_window(place, centre, half) for place in flat]


def _quantise_window(place: Array, centre: Array, half: float) -> npt.NDArray[np.int16]:
    is_finite = _is_placed(place)
    scaled = np.rint((np.where(is_finite[:, None], place, centre) - centre) / half * 32767)
    scaled[~is_finite] = MISSING
    return scaled.astype(np.int16)


def _is_placed(place: Array) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isfinite(place).all(axis=1), dtype=np.bool_)


def _as_plane(place: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    wide = place.astype(np.float64)
    return wide[:, :2] if wide.shape[1] >= 2 else np.column_stack([wide[:, 0], np.zeros(len(wide))])


def _encode_columns(maps: Sequence[WindowMap]) -> tuple[list[dict[str, Any]], list[Array]]:
    columns, codes = [], []
    for name in maps[0].columns:
        column, code = _encode_column(np.concatenate([one.columns[name] for one in maps]))
        columns.append({"name": name, **column})
        codes.append(code)
    return columns, codes


def _encode_column(values: Array) -> tuple[dict[str, Any], Array]:
    is_number = values.dtype.kind in "iuf"
    kinds, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    if is_number and (values.dtype.kind == "f" or len(kinds) > MAX_CATEGORIES):
        small = values.astype("<f4")
        finite = small[np.isfinite(small)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
        return {"kind": "number", "min": low, "max": high}, np.where(np.isfinite(small), small, np.float32(np.nan))
    # Few categories stand in their own order; of many, the page has colours for the most frequent ones.
    order = np.argsort(-counts, kind="stable") if len(kinds) > MAX_PALETTE else np.arange(len(kinds))
    rank = np.empty(len(kinds), dtype="<i4")
    rank[order] = np.arange(len(kinds))
    return {"kind": "category", "values": [as_text(kinds[k]) for k in order]}, rank[codes]


def _base64(values: Array, dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode("ascii")
