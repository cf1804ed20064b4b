"""Vectors scaled as a run asks for, where they stand: on their way from the source to distances."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

from driftmap.engine import scale_to_unit
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.store.shared_rows import read_scaling

if TYPE_CHECKING:
    from driftmap.engine import ColumnScaling
    from driftmap.pipeline.config.run_config import RunConfig
    from driftmap.pipeline.sources.protocol import Rows
    from driftmap.pipeline.store.disk.location import Location


class Scale(NamedTuple):
    """How vectors are scaled: small enough to be sent to any worker."""

    kind: str = "none"
    digest: str | None = None
    """Of what the store holds, where columns are scaled."""

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """Give that of a run."""
        return cls(config.scale, None if config.scaling is None else config.scaling.digest)

    def load(self, store: Location) -> Scaler:
        """Read what columns are scaled by."""
        return Scaler(self.kind, None if self.digest is None else read_scaling(store, self.digest))


UNSCALED = Scale()
"""Vectors as they are."""


class Scaler(NamedTuple):
    """Scales vectors."""

    kind: str
    columns: ColumnScaling | None

    def apply(self, vectors: Rows) -> Rows:
        """Scale vectors (n, d), dense or (`unit` alone) sparse, where they stand, and give them.

        Raises
        ------
        SourceError
            When they are not as long as those that the scaling was fitted on.
        """
        if self.kind == "unit":
            scale_to_unit(vectors)
        elif self.columns is not None:
            if vectors.shape[1] != len(self.columns.centres):
                raise SourceError(
                    f"vectors of {vectors.shape[1]:,} numbers, and scale {self.kind!r} was fitted on "
                    f"{len(self.columns.centres):,}; they must agree"
                )
            self.columns.apply(vectors)
        return vectors
