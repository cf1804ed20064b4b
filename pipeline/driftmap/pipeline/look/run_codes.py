"""Ids and label columns of a whole run as small numbers, with what they stand for."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.errors import PictureError, StoreError
from driftmap.pipeline.store.id_types import as_value_column, show_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.log.windows import WindowState

MAX_CATEGORIES = 24
"""A column of whole numbers with more different values than this is coloured as a scale, not as categories."""

MAX_PALETTE = 10
"""Colours of the page's palette."""

NUMBER_STEPS = 65_534
"""Steps into which a column of numbers is rounded, where whole numbers do not need fewer."""

EMPTY = "(empty)"
"""What an id or label without any visible character is called."""

_LAID_OUT = ("final", "provisional")

Array = npt.NDArray[Any]
Int32Array = npt.NDArray[np.int32]


class Column(NamedTuple):
    """One label column: a code for every row of every window."""

    name: str
    kind: str
    """`category` or `number`."""
    codes: list[Int32Array]
    """Number of the category, or steps above `low`; -1 where a number is missing."""
    values: list[str]
    """Texts of the categories."""
    low: float = 0.0
    step: float = 1.0


class Run(NamedTuple):
    """The windows of a run that have maps; entities are numbered in the order in which they appear."""

    facts: list[WindowState]
    names: list[str]
    """Id of every entity."""
    entities: list[Int32Array]
    """Entity of every row of every window."""
    columns: list[Column]


def read_run(store: Store) -> Run:
    """Read ids and label columns of every window that has a map; takes four bytes a row for each.

    Raises
    ------
    StoreError
        When no window has a map yet.
    ConfigError
        When the settings in the log are none: a damaged log without checksums may hold any.
    """
    facts = list_laid_out(store)
    if {"source", "windows"} <= set(store.config):  # it was made by a run
        from driftmap.pipeline.config.run_config import RunConfig  # late: pictures of a fitted model need no pydantic

        RunConfig.from_json(store.config)
    names, entities = number_values(show_ids([store.window_keys(fact.index) for fact in facts], store.id_type))
    labels = [store.window_labels(fact.index) for fact in facts]
    hidden = set(list_shown(store))
    common = [name for name in labels[0] if name not in hidden and all(name in one for one in labels)]
    columns = [encode_column(name, [one[name] for one in labels]) for name in common]
    return Run(facts, [as_text(name) for name in names.tolist()], entities, columns)


def list_laid_out(store: Store) -> list[WindowState]:
    """List the windows that have a map.

    Raises
    ------
    StoreError
        When there is none.
    """
    refuse_no_store(store)
    facts = [fact for fact in store.state() if is_laid_out(fact)]
    if not facts and (store.growth.n_ingests or store.generation):
        raise StoreError(
            f"no window of {store.path} has a map; `driftmap status` says why, and `driftmap ingest` goes on"
        )
    if not facts:
        raise StoreError(f"no window of {store.path} has a map yet; run `driftmap run` on it first")
    return facts


def refuse_no_store(store: object) -> None:
    """Refuse what is no opened store, such as the path of one."""
    if not hasattr(store, "window_labels"):
        raise PictureError(f"an opened store was expected, got {type(store).__name__}; open_store(PATH) opens one")


def is_laid_out(fact: WindowState) -> bool:
    """Whether a window has a map: it was laid out, and `prune` did not remove it."""
    return fact.status in _LAID_OUT and fact.pruned != "map"


def list_shown(store: Store) -> list[str]:
    """List the columns that are shown and are no labels."""
    source = store.config.get("source", {})
    return [name for name in source.get("show") or () if name not in (source.get("label") or ())]


def as_text(value: object) -> str:
    """Show an id or a label as text, whatever its bytes."""
    return value.decode("utf-8", errors="backslashreplace") if isinstance(value, bytes) else str(value)


def name_label(value: str) -> str:
    """Give a text that can be seen for an id or a label."""
    return value if value.strip() else EMPTY


def number_values(windows: Sequence[Array]) -> tuple[Array, list[Int32Array]]:
    """Give the different values of all windows in the order in which they appear, and their numbers by window.

    Arrow hashes: a million texts in 0.1 s, where sorting them takes 2 s.
    """
    import pyarrow as pa  # late: `driftmap --help` needs none of it

    kinds = {values.dtype.kind for values in windows}
    if len(kinds) > 1 or kinds - set("iufUS"):  # bytes that are no text in one window may be text in another
        columns = [pa.array([as_text(value) for value in values.tolist()], pa.string()) for values in windows]
    else:
        columns = [as_value_column(values) for values in windows]
    encoded = pa.chunked_array(columns).combine_chunks().dictionary_encode()
    bounds = np.cumsum([0, *(len(values) for values in windows)])
    codes = encoded.indices.to_numpy().astype(np.int32)
    values = encoded.dictionary.to_numpy(zero_copy_only=False)
    return values, [codes[a:b] for a, b in itertools.pairwise(bounds)]


def encode_column(name: str, windows: Sequence[Array]) -> Column:
    """Turn a label column into categories or steps of a scale.

    Few categories stand in their own order; of many, the most frequent come first: the page has colours for those.
    """
    kinds = {values.dtype.kind for values in windows}
    if "f" in kinds and kinds <= set("iuf"):
        return _encode_numbers(name, windows)
    values, codes = number_values(windows)
    if values.dtype.kind in "iuf" and len(values) > MAX_CATEGORIES:
        return _encode_numbers(name, windows)
    counts = np.bincount(np.concatenate(codes), minlength=len(values))
    order = sorted(range(len(values)), key=values.tolist().__getitem__)
    if len(values) > MAX_PALETTE:
        order.sort(key=lambda code: -counts[code])
    rank = np.empty(len(values), dtype=np.int32)
    rank[order] = np.arange(len(values))
    return Column(name, "category", [rank[code] for code in codes], [as_text(values[code]) for code in order])


def _encode_numbers(name: str, windows: Sequence[Array]) -> Column:
    wide = [values.astype(np.float64) for values in windows]
    finite = np.concatenate([values[np.isfinite(values)] for values in wide])
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    is_whole = high - low <= NUMBER_STEPS and bool((finite == np.rint(finite)).all())
    step = 1.0 if is_whole else (high - low) / NUMBER_STEPS or 1.0
    codes = [
        np.where(np.isfinite(values), np.rint((np.where(np.isfinite(values), values, low) - low) / step), -1)
        for values in wide
    ]
    return Column(name, "number", [code.astype(np.int32) for code in codes], [], low, step)
