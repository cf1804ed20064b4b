"""Maps of windows that an ingest takes in: made by a cluster's workers where these build the graphs, else here."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import TYPE_CHECKING

from driftmap.pipeline.errors import PlanWarning
from driftmap.pipeline.layout.step import StepSettings, size_step
from driftmap.pipeline.layout.step_on_worker import make_step_on_worker
from driftmap.pipeline.planning.estimates.memory import explain_layout_here, share_block_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.pipeline.config.run_config import RunConfig
    from driftmap.pipeline.ingestion.new_graphs import NewGraphs
    from driftmap.pipeline.layout.extend import Stepper
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.log.layouts import BuiltWindow, StepCommit


class NewMaps:
    """Maps of new or changed windows, and of the provisional ones before them.

    Parameters
    ----------
    store
        Opened for writing.
    config
        Of the store.
    graphs
        What builds the graphs, and where.
    """

    def __init__(self, store: Store, config: RunConfig, graphs: NewGraphs) -> None:
        self._store = store
        self._config = config
        self._graphs = graphs
        self._settings = StepSettings(config.layout_settings(), config.lookahead, config.random_state)

    def add(self, built: Sequence[BuiltWindow], id_bytes: int) -> dict[int, float]:
        """Make the maps of a step, and commit them.

        Parameters
        ----------
        built
            Windows whose graphs are built: one new one, or provisional ones that changed.
        id_bytes
            What the id of a row takes.

        Returns
        -------
        dict
            How far each provisional window moved, by its number.
        """
        step = self._make(built, id_bytes)
        self._store.commit_growth("ingest", step)
        return {int(index): moved for index, moved in step["moved"].items()}

    def _make(self, built: Sequence[BuiltWindow], id_bytes: int) -> StepCommit:
        executor = self._graphs.cluster
        if executor is None:
            return self._stepper.make_step(built)
        limit, n_neighbors = self._graphs.find_limit(), self._config.graph.n_neighbors
        n_bytes = size_step(self._store, self._settings, built, n_neighbors, 4 * id_bytes)
        if n_bytes > share_block_bytes(limit):
            warnings.warn(explain_layout_here(n_bytes, limit), PlanWarning, stacklevel=4)
            return self._stepper.make_step(built)
        return make_step_on_worker(self._store, self._settings, built, executor)

    @cached_property
    def _stepper(self) -> Stepper:
        from driftmap.pipeline.layout.extend import Stepper  # late: loads the kernels

        return Stepper(self._store, self._settings)
