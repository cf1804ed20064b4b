"""What other packages hold in memory, as tables or arrays; none of them is imported here unless it was given."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine import is_sparse
from driftmap.pipeline.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable

_TIME_NAMES = ("time", "date", "day", "week", "month", "year", "window")
_FEATURE_NAMES = ("feature", "features", "variable", "variables", "channel", "band", "component")


def adapt(given: Any, named: dict[str, Any]) -> Any:
    """Give an object of another package as a table or a dict of arrays; others as they are.

    Parameters
    ----------
    given
        What the user gave.
    named
        Roles that were given; what the object itself says is added.
    """
    package = type(given).__module__.partition(".")[0]
    kind = type(given).__name__
    if package == "xarray" and kind in ("DataArray", "Dataset"):
        return _from_xarray(given, named)
    if package == "anndata" and kind == "AnnData":
        return _from_anndata(given, named)
    if package == "polars" and kind == "LazyFrame":
        return given.collect()
    if package == "pyarrow" and hasattr(given, "to_table"):
        return given.to_table()  # a data set
    if package == "datasets" and hasattr(given, "with_format"):
        return given.with_format("arrow")[:]
    return given


def adapt_by_narwhals(given: Any) -> Any:
    """Give what narwhals takes as a table, where it is installed; None otherwise."""
    if find_spec("narwhals") is None:
        return None
    import narwhals

    try:
        frame: Any = narwhals.from_native(given)
    except TypeError:
        return None
    return frame.lazy().collect("pyarrow").to_arrow()


def choose_obsm(there: Iterable[str], where: str) -> str:
    """Choose the array of `obsm` with the vectors of an AnnData where none was named: `X_pca`, or the only one.

    Raises
    ------
    SourceError
        When it is not clear which.
    """
    names = list(there)
    if "X_pca" in names or len(names) == 1:
        return "X_pca" if "X_pca" in names else names[0]
    shown = f"one of obsm ({', '.join(names)}), or X" if names else "X, as it has none in obsm"
    raise SourceError(f"{where}: name the array of vectors (vectors), {shown}")


def _from_anndata(given: Any, named: dict[str, Any]) -> dict[str, Any]:
    name = named.pop("vectors", None) or choose_obsm(given.obsm.keys(), "the AnnData")
    if not isinstance(name, str) or (name != "X" and name not in given.obsm and name not in given.layers):
        known = ", ".join(["X", *given.obsm.keys(), *given.layers.keys()])
        raise SourceError(f"vectors is {name!r}, and the AnnData has the arrays {known}; name one of them")
    matrix = given.X if name == "X" else given.obsm[name] if name in given.obsm else given.layers[name]
    if hasattr(matrix, "to_memory"):
        raise SourceError(f"{name} of the AnnData lies on disk; give the path of its file, or call to_memory()")
    index = str(given.obs.index.name or "obs_names")
    columns = {str(column): given.obs[column] for column in given.obs.columns}
    columns.setdefault(index, np.asarray(given.obs_names, dtype=object))
    named.setdefault("id", index)
    named["vectors"] = name
    return {**columns, name: matrix if is_sparse(matrix) else np.asarray(matrix)}


def _from_xarray(given: Any, named: dict[str, Any]) -> dict[str, Any]:
    array = _choose_variable(given, named)
    if array.ndim not in (2, 3):
        raise SourceError(
            f"an xarray of dimensions {_show(array)} was given; (time, sample, feature), or (sample, feature) with a "
            "coordinate of time, was expected"
        )
    time = _find_time_dimension(array, named) if array.ndim == 3 else None
    rest = [name for name in array.dims if name != time]
    feature = next((name for name in rest if str(name).lower() in _FEATURE_NAMES), rest[-1])
    sample = next(name for name in rest if name != feature)
    rows = [name for name in (time, sample) if name is not None]
    array = array.transpose(*rows, feature)
    sizes = tuple(array.sizes[name] for name in rows)
    columns = {str(name): _spread(array, name, rows, sizes) for name in rows}
    for name, values in array.coords.items():
        if values.dims and set(values.dims) <= set(rows):
            columns[str(name)] = _spread(array, name, rows, sizes)
    _add_roles(array, named, columns, (None if time is None else str(time), str(sample)))
    data = array.data.reshape((int(np.prod(sizes)), array.sizes[feature]))
    taken = "vectors" if "vectors" not in columns else " vectors"
    named["vectors"] = taken
    return {**columns, taken: data}


def _choose_variable(given: Any, named: dict[str, Any]) -> Any:
    name = named.pop("vectors", None)
    if type(given).__name__ == "DataArray":
        if name not in (None, given.name):
            raise SourceError(f"vectors is {name!r}, and one xarray.DataArray was given ({given.name!r}); leave it out")
        return given
    there = [key for key, variable in given.data_vars.items() if variable.ndim in (2, 3)]
    if name is None and len(there) == 1:
        name = there[0]
    if name not in there:
        raise SourceError(
            f"vectors is {name!r}; name the variable of the data set with the vectors, of two or three dimensions: "
            f"{', '.join(map(str, there)) or 'there is none'}"
        )
    return given[name]


def _find_time_dimension(array: Any, named: dict[str, Any]) -> Any:
    asked = [named[role] for role in ("by", "time") if named.get(role) in array.dims]
    dated = [name for name in array.dims if name in array.coords and array.coords[name].dtype.kind == "M"]
    usual = [name for name in array.dims if str(name).lower() in _TIME_NAMES]
    found = [*asked, *dated, *usual]
    if not found:
        raise SourceError(f"an xarray of dimensions {_show(array)} was given; say which is that of time (by)")
    return found[0]


def _add_roles(array: Any, named: dict[str, Any], columns: dict[str, Any], dims: tuple[str | None, str]) -> None:
    """Name the columns of time and ids where the user did not: each step of a cube is a window."""
    time, sample = dims
    if time is None:
        dated = [name for name in columns if getattr(columns[name], "dtype", np.dtype("O")).kind == "M"]
        if "time" not in named and "by" not in named and len(dated) == 1:
            named["time"] = dated[0]
    elif "by" not in named:
        named["by"] = time
        if columns[time].dtype.kind == "M":
            named.setdefault("time", time)
    is_known = time is not None or sample in array.coords
    if is_known and sample not in (named.get("time"), named.get("by")):
        named.setdefault("id", sample)


def _spread(array: Any, name: Any, rows: list[Any], sizes: tuple[int, ...]) -> Any:
    """Give a coordinate's value for each row."""
    if name in array.coords:
        coordinate = array.coords[name]
        values, dims = np.asarray(coordinate.values), coordinate.dims
    else:
        values, dims = np.arange(array.sizes[name]), (name,)
    if set(dims) == set(rows) and tuple(dims) != tuple(rows):
        values, dims = values.T, tuple(rows)
    shape = [array.sizes[row] if row in dims else 1 for row in rows]
    return np.broadcast_to(values.reshape(shape), sizes).reshape(-1)


def _show(array: Any) -> str:
    return "(" + ", ".join(f"{name}: {size:,}" for name, size in array.sizes.items()) + ")"
