"""Orders for graphs, and their refusals: small, and made without loading what builds graphs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from driftmap.pipeline.graphs.scale import UNSCALED, Scale
from driftmap.pipeline.sources.rows.pieces import estimate_merged, estimate_pieces

if TYPE_CHECKING:
    from collections.abc import Mapping

    from driftmap.engine.settings import TargetSettings
    from driftmap.pipeline.sources.protocol import ReadEstimate
    from driftmap.pipeline.sources.rows.pieces import Piece


@dataclass(frozen=True, eq=False)
class GraphOrder:
    """A window whose graph is to be built, of a run or of an ingest."""

    index: int
    label: str
    pieces: tuple[Piece, ...]
    """Where its rows are; a window of a run is one piece."""
    n_rows: int
    by_id: bool = False
    """Whether rows are put in the order of their ids: those of an ingest come in any order."""
    fingerprint: Mapping[str, Any] | None = None
    """Of the source when it was planned with, in short (`summarise`): rows are refused when it changed since."""
    scale: Scale = UNSCALED
    """How vectors are scaled; what columns are scaled by lies in the store."""
    target: TargetSettings | None = None
    """How the source's target changes the graph; None where there is none."""
    may_pack: bool = False
    """Whether the store's format knows graphs that are one file."""

    def estimate_read(self, n_rows: int) -> ReadEstimate:
        """Estimate what reading so many of its rows takes; no rows are read."""

        def estimate(n_read: int) -> ReadEstimate:
            return estimate_pieces(self.pieces, n_read, by_id=self.by_id)

        return estimate_merged(estimate, n_rows, self.n_rows, sum(piece.n_rows for piece in self.pieces))


@dataclass(frozen=True)
class Refusal:
    """Why the rows of a window cannot be used: returned, not raised, so that the windows before it are kept."""

    index: int
    reason: str
