"""AnnData on disk, `.h5ad` or Zarr: vectors in `X`, `obsm` or `layers`, dense or sparse; columns in `obs`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.adapters import choose_obsm
from driftmap.pipeline.sources.columns.key_columns import as_column, read_key
from driftmap.pipeline.sources.locations import SourcePlace
from driftmap.pipeline.sources.protocol import KeyFacts
from driftmap.pipeline.sources.readers.zarr.sparse_matrix import open_sparse
from driftmap.pipeline.sources.readers.zarr.zarr_arrays import open_group
from driftmap.pipeline.sources.readers.zarr.zarr_group import ZarrSource
from driftmap.pipeline.sources.stamps import describe_stamps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.sources.readers.zarr.zarr_arrays import ArrayLike

H5AD = ".h5ad"


class AnnDataSource(ZarrSource):
    """Rows of an AnnData on disk. `obs` is held in memory; vectors are read as they are asked for.

    Parameters
    ----------
    spec
        Path, the name of the vectors (`X`, or that of an array of `obsm` or `layers`), and columns of `obs`.
    must_pin
        Pin the array of vectors.
    """

    def _open_root(self, place: SourcePlace) -> tuple[SourcePlace, str]:
        self._group = _open(place)
        self._obs = self._group["obs"]
        name = self.spec.vectors
        if not isinstance(name, str):
            raise SourceError(f"vectors is {name!r}, and {place} is an AnnData; name X, or an array of obsm or layers")
        return place, name

    def _list_names(self) -> Sequence[str]:
        return [str(self.spec.vectors), *self._obs]

    def _open(self, name: str) -> ArrayLike:
        if name != self.spec.vectors:
            with _explain(self.spec.path):
                values: ArrayLike = _read_column(self._obs[name])
            return values
        paths = ["X"] if name == "X" else [f"obsm/{name}", f"layers/{name}"]
        path = next((path for path in paths if path in self._group), None)
        if path is None:
            known = ", ".join(["X", *self._group.get("obsm", ()), *self._group.get("layers", ())])
            raise SourceError(f"vectors is {name!r}, and {self.spec.path} has the arrays {known}; name one of them")
        found = self._group[path]
        with _explain(self.spec.path):
            opened: ArrayLike = found if hasattr(found, "shape") else open_sparse(found, f"{path} of {self.spec.path}")
        return opened

    def describe_key(self, name: str) -> KeyFacts:
        """Give the categories of a column that is ordered, in their order; see `Source`."""
        stored = None if name == self.spec.vectors else self._obs[name]
        if name != self.spec.by or stored is None or not _is_ordered(stored):
            return super().describe_key(name)
        with _explain(self.spec.path):
            categories = _read_array(stored["categories"])
        return KeyFacts(categories=read_key(as_column(categories, name), name, self.spec))

    def fingerprint(self) -> dict[str, Any]:
        """Tell when a file of it was written again."""
        return {"format": "anndata", "rows": self.n_rows, **describe_stamps(SourcePlace(self.spec.path).stamp_all())}


def is_anndata(place: SourcePlace) -> bool:
    """Whether a Zarr group is an AnnData."""
    with _explain(str(place)):
        return bool(open_group(place).attrs.get("encoding-type") == "anndata")


def resolve_anndata(spec: SourceSpec) -> SourceSpec:
    """Choose the vectors where none were named, and the names of observations for ids.

    Raises
    ------
    SourceError
        When it is not clear which array holds the vectors.
    """
    group = _open(SourcePlace(spec.path))
    found: dict[str, Any] = {}
    if spec.vectors is None:
        found["vectors"] = choose_obsm(group.get("obsm", ()), spec.path)
    if spec.id is None:
        found["id"] = str(group["obs"].attrs["_index"])
    return spec.model_copy(update=found)


def _open(place: SourcePlace) -> Any:
    if not str(place).endswith(H5AD):
        return open_group(place)
    try:
        import h5py
    except ImportError as error:
        raise SourceError(f"{place} is read by h5py, which is not installed: pip install h5py") from error
    if not place.is_local:
        raise SourceError(f"{place}: .h5ad files are read on this machine; copy it, or write it with write_zarr()")
    with _explain(str(place)):
        opened = h5py.File(place.folder, "r")
        if "obs" not in opened:
            raise SourceError(f"{place} is no AnnData: it has no obs")
        return opened


@contextmanager
def _explain(path: str) -> Iterator[None]:
    try:
        yield
    except SourceError:
        raise
    except Exception as error:  # h5py, zarr and their codecs raise whatever they like
        raise SourceError(f"the AnnData {path} cannot be read ({type(error).__name__}: {error})") from error


def _is_ordered(stored: Any) -> bool:
    return stored.attrs.get("encoding-type", "") == "categorical" and bool(stored.attrs.get("ordered", False))


def _read_column(stored: Any) -> np.ndarray[Any, Any]:
    """Read a column of `obs`: an array, categories and codes, or values and a mask."""
    kind = stored.attrs.get("encoding-type", "")
    if kind == "categorical" or ("categories" in stored and "codes" in stored):
        categories, codes = _read_array(stored["categories"]), np.asarray(stored["codes"][:])
        return _mask(categories[codes], codes < 0)  # a missing one has the code -1
    if "values" in stored and "mask" in stored:
        return _mask(_read_array(stored["values"]), np.asarray(stored["mask"][:]))
    return _read_array(stored)


def _mask(values: np.ndarray[Any, Any], is_missing: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if is_missing.any():
        values = values.astype(object)
        values[is_missing] = None
    return values


def _read_array(stored: Any) -> np.ndarray[Any, Any]:
    values = np.asarray(stored[:])
    if values.dtype.kind in "OS":
        decoded = np.empty(len(values), dtype=object)
        decoded[:] = [value.decode("utf-8") if isinstance(value, bytes) else value for value in values.tolist()]
        return decoded
    return values.astype(object) if values.dtype.kind in "UT" else values
