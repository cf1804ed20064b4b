"""What the engine is told: frozen settings for a window's graph and for the layout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

DEFAULT_N_EPOCHS = 200


@dataclass(frozen=True)
class GraphSettings:
    """How one window's rows become a fuzzy graph; the names are umap-learn's."""

    n_neighbors: int = 15
    """Neighbours of a row, the row itself included."""
    metric: str | Callable[..., Any] = "euclidean"
    """A name, or a function of two rows."""
    metric_kwds: Mapping[str, Any] | None = None
    set_op_mix_ratio: float = 1.0
    """1: fuzzy union of both directions; 0: intersection."""
    local_connectivity: float = 1.0
    """How many nearest neighbours count as fully connected."""

    def for_rows(self, n_rows: int) -> GraphSettings:
        """Return the settings of a window of so many rows: a smaller one has all its rows as neighbours."""
        return self if self.n_neighbors <= n_rows else replace(self, n_neighbors=n_rows)


@dataclass(frozen=True)
class TargetSettings:
    """How labels or values of a window's rows change its fuzzy graph; the names are umap-learn's, less `target_`."""

    metric: str = "categorical"
    """"categorical", or the distance between values of a continuous target."""
    weight: float = 0.5
    """0: nearly the rows alone; 1: nearly the target alone."""
    n_neighbors: int = -1
    """Of a continuous target's graph; -1: as many as the rows' graph has."""


@dataclass(frozen=True)
class LayoutSettings:
    """How the windows' graphs become maps; a sequence holds one value per window of the run."""

    n_components: int = 2
    n_epochs: int | Sequence[int] | None = None
    min_dist: float | Sequence[float] = 0.1
    spread: float | Sequence[float] = 1.0
    a: float | None = None
    b: float | None = None
    learning_rate: float | Sequence[float] = 1.0
    repulsion_strength: float | Sequence[float] = 1.0
    negative_sample_rate: int | Sequence[int] = 5
    alignment_window_size: int = 3
    """The alignment reach: windows tied on either side."""
    alignment_regularisation: float | Sequence[float] = 0.035
