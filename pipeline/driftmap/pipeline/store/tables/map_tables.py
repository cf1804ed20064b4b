"""Maps as Arrow tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from driftmap.pipeline.store.id_types import as_value_column

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import numpy.typing as npt

    from driftmap.engine.types import Float32Array, Int32Array
    from driftmap.pipeline.store.log.windows import WindowState


def tabulate_window(
    state: WindowState,
    ids: pa.Array,
    positions: Float32Array,
    labels: Mapping[str, npt.NDArray[Any]],
    clusters: Int32Array | None = None,
) -> pa.Table:
    """Give a window's map as a table; see `Store.to_table`.

    A label column that is called `cluster` keeps its name, and the clusters stand in `found_cluster`.
    """
    n_rows = len(positions)
    columns: dict[str, Any] = {
        "window": pa.array([state.label] * n_rows, pa.string()),
        "window_index": pa.array(np.full(n_rows, state.index, dtype=np.int32)),
        "id": ids,
        **as_coordinates(positions),
        "status": pa.array([state.status] * n_rows, pa.string()),
    }
    if clusters is not None:
        columns["found_cluster" if "cluster" in labels else "cluster"] = pa.array(clusters)
    for name, values in labels.items():
        columns[f"label_{name}" if name in columns else name] = as_value_column(values)
    return pa.table(columns)


def join_windows(tables: Sequence[pa.Table]) -> pa.Table:
    """Join tables of windows; a label column that is of types that no type holds is given as text."""
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException:
        names = dict.fromkeys(name for table in tables for name in table.column_names)
        odd = {name for name in names if not _can_join(tables, name)}
        return pa.concat_tables([_as_text(table, odd) for table in tables], promote_options="permissive")


def _can_join(tables: Sequence[pa.Table], name: str) -> bool:
    try:
        pa.concat_tables(
            [table.select([name]) for table in tables if name in table.column_names], promote_options="permissive"
        )
    except pa.ArrowException:
        return False
    return True


def _as_text(table: pa.Table, names: Collection[str]) -> pa.Table:
    for number, name in enumerate(table.column_names):
        if name in names:
            table = table.set_column(number, name, table.column(name).cast(pa.string()))
    return table


def tabulate_lineage(windows: Iterable[WindowState]) -> pa.Table:
    """Give the passages between clusters as a table; see `Store.lineage`."""
    found = [
        (window.label, window.index, *passage)
        for window in windows
        if window.clusters is not None
        for passage in window.clusters["passages"]
    ]
    names = ("window", "window_index", "kind", "old", "new", "rows")
    types = (pa.string(), pa.int32(), pa.string(), pa.int32(), pa.int32(), pa.int64())
    columns = zip(*found, strict=True) if found else [()] * len(names)
    return pa.table({name: pa.array(values, kind) for name, values, kind in zip(names, columns, types, strict=True)})


def as_coordinates(positions: Float32Array) -> dict[str, pa.Array]:
    """Give positions as columns: x, y, z, or dim_0 ... where there are more."""
    n_components = positions.shape[1]
    axes = "xyz" if n_components <= 3 else [f"dim_{axis}" for axis in range(n_components)]
    return {axis: pa.array(np.ascontiguousarray(positions[:, i])) for i, axis in enumerate(axes[:n_components])}
