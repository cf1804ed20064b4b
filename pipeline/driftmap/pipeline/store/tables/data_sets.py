"""Maps as what other libraries work on: AnnData, and a data set of xarray. Both bring pandas."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.pipeline.errors import MissingExtraError, StoreError

if TYPE_CHECKING:
    import pyarrow as pa

EMBEDDING = "X_driftmap"
"""Name of the positions in AnnData's `obsm`, as other embeddings are named there."""


def convert_to_anndata(table: pa.Table) -> Any:
    """Turn the table of maps into an AnnData object; see `Store.to_anndata`."""
    anndata = _load("anndata", "to_anndata")
    positions, frame = _split(table)
    frame["window"] = _as_ordered(frame["window"])
    frame.index = [f"{window}/{name}" for window, name in zip(frame["window"], frame["id"].map(_show), strict=True)]
    found = anndata.AnnData(obs=frame, obsm={EMBEDDING: positions})
    found.uns["driftmap"] = {"windows": np.array(list(frame["window"].cat.categories), dtype=object)}
    return found


def convert_to_xarray(table: pa.Table) -> Any:
    """Turn the table of maps into a data set of xarray; see `Store.to_xarray`."""
    xarray = _load("xarray", "to_xarray")
    positions, frame = _split(table)
    coordinates = {name: ("row", frame.pop(name).to_numpy()) for name in ("window", "window_index", "id")}
    values = {name: ("row", frame[name].to_numpy()) for name in frame.columns}
    return xarray.Dataset(
        {"position": (("row", "axis"), positions), **values},
        coords={**coordinates, "axis": _name_axes(table)},
    )


def _load(package: str, method: str) -> Any:
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise MissingExtraError(
            f"{method} needs {package}, which is not installed; pip install {package}, or take the table of `to_table`"
        ) from error


def _split(table: pa.Table) -> tuple[Any, Any]:
    """Give positions, float32 (rows, axes), and everything else as a frame of pandas.

    Raises
    ------
    StoreError
        When no window has a map.
    """
    if not table.num_columns:
        raise StoreError("no window with a map is there to convert; run goes on where a store was left")
    axes = _name_axes(table)
    positions = np.empty((table.num_rows, len(axes)), dtype=np.float32)
    for i, axis in enumerate(axes):
        positions[:, i] = table[axis].to_numpy()
    return positions, table.drop_columns(axes).to_pandas()


def _name_axes(table: pa.Table) -> list[str]:
    """Name the columns of the positions: those between the ids and the status."""
    names: list[str] = table.column_names
    return names[names.index("id") + 1 : names.index("status")]


def _as_ordered(windows: Any) -> Any:
    """Make labels of windows a category, in the order of the windows."""
    return windows.astype("category").cat.set_categories(list(dict.fromkeys(windows)), ordered=True)


def _show(name: Any) -> str:
    return name.decode(errors="backslashreplace") if isinstance(name, bytes) else str(name)
