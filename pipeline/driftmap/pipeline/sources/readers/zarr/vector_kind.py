"""What an array of vectors holds once it is read, and whether it is what a run was made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.pipeline.config.vector_pin import SPARSE, VectorPin
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.columns.choice import fits
from driftmap.pipeline.sources.readers.zarr.sparse_matrix import SparseMatrix

if TYPE_CHECKING:
    import numpy as np

    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.sources.readers.zarr.zarr_arrays import ArrayLike

_KINDS = {"b": "bool", "f": "float"}


class VectorKind(NamedTuple):
    """What vectors are, once they are read."""

    dtype: np.dtype[Any]
    array: ArrayLike

    @property
    def name(self) -> str:
        """As a pin names it."""
        return f"{SPARSE if self.is_sparse else 'list of '}{_KINDS.get(self.dtype.kind, 'integer')}"

    @property
    def is_sparse(self) -> bool:
        """Whether zeros are not stored."""
        return isinstance(self.array, SparseMatrix)

    @property
    def n_features(self) -> int:
        """Length of a vector."""
        return int(self.array.shape[1])


def pin_vectors(spec: SourceSpec, name: str, kind: VectorKind) -> SourceSpec:
    """Pin an array of vectors, where none is pinned."""
    if spec.pin is not None:
        return spec
    pin = VectorPin(names=(name,), types=(kind.name,), dimension=kind.n_features)
    return spec.model_copy(update={"pin": pin})


def check_pin(spec: SourceSpec, name: str, kind: VectorKind) -> None:
    """Compare an array of vectors with what is pinned, if anything.

    Raises
    ------
    SourceError
        When it holds something else.
    """
    pin = spec.pin
    if pin is None:
        return
    expected, found = pin.types[0].removeprefix("list of "), kind.name.removeprefix("list of ")
    found = found.removeprefix(SPARSE) if expected == "number" else found
    if not fits(found, expected) or pin.dimension not in (None, kind.n_features):
        shown = f"{SPARSE if found.startswith(SPARSE) else ''}{kind.dtype}"
        raise SourceError(
            f"the array {name!r} of {spec.path} holds {shown} (n, {kind.n_features}), and {expected} "
            f"(n, {pin.dimension}) was expected, as in the run"
        )
