"""What a fitted model says of itself: its windows, their graphs and ids, figures, and rows that moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from driftmap.engine.core.validation import check_int
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.estimator.checks import relate_pairs
from driftmap.engine.estimator.conventions import Estimator
from driftmap.engine.estimator.parameters import check_parameters, read_graph_settings, read_layout_settings
from driftmap.engine.layout.block import BlockWindow, find_block_strengths
from driftmap.engine.quality.diagnostics import Move, find_movers, measure_windows
from driftmap.engine.settings import extend_values

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.estimator.fit_inputs import Model
    from driftmap.engine.types import Float32Array, FuzzyGraph, KnnGraph


class FittedModel(Estimator):
    """An estimator that keeps the windows it was fitted with."""

    _own_values: dict[int, dict[str, Any]]
    """Parameters of single windows, which came by `update`."""

    @property
    def knn_graphs_(self) -> list[KnnGraph]:
        """The nearest rows of each row, of every window; the row itself comes first."""
        self._check_is_fitted()
        return list(self._model.knn)

    @property
    def ids_(self) -> list[npt.NDArray[Any]]:
        """The id of each row's entity, (n_t,) for every window.

        Those given; where relations were given, numbers from 0 on that rows related from window to window share.
        """
        self._check_is_fitted()
        return self._model.related.name_entities()

    @property
    def quality_(self) -> list[dict[str, float]]:
        """Figures of each window, computed when asked for (`driftmap.engine.quality.diagnostics.measure_windows`).

        They are of the maps as they were laid out, before they are turned to a `reference`, and scaled with it.
        """
        self._check_is_fitted()
        layout = read_layout_settings(checked := self._check_all_windows())
        metrics = [read_graph_settings(checked, t).metric for t in range(self.n_windows_)]
        rows, steps = self._model.rows, self._model.related.steps()
        table = measure_windows(rows, self._model.maps, self.graphs_, steps, layout, metrics=metrics)
        return [{**figures, "strength": value} for figures, value in zip(table, self.strengths_, strict=True)]

    @property
    def strengths_(self) -> list[float]:
        """Strength of the alignment in each window, by all windows within its reach, computed when asked for."""
        self._check_is_fitted()
        layout = read_layout_settings(self._check_all_windows())
        windows = [BlockWindow(graph, index) for index, graph in enumerate(self.graphs_)]
        pairs = relate_pairs(self._model.related, 0, self.n_windows_, layout.alignment_window_size)
        return find_block_strengths(windows, pairs, layout)

    def movers(self, window: int, n: int = 20) -> list[Move]:
        """List the rows that moved most from a window to the next, less what their neighbours moved.

        Parameters
        ----------
        window
            The older of the two windows.
        n
            How many rows at most.

        Raises
        ------
        InvalidInputError
            When the model holds one window alone, or there is no such window or number of rows.
        """
        self._check_is_fitted()
        if self.n_windows_ < 2:
            msg = "movers compares a window with the next, and the model holds one window alone; add one by update."
            raise InvalidInputError(msg)
        n = check_int(n, "n", minimum=0)
        old = check_int(window, "window", minimum=0, maximum=self.n_windows_ - 2)
        maps = self.embeddings_
        return find_movers(self.graphs_[old], maps[old], maps[old + 1], self._model.related.steps()[old], n)

    def _check_all_windows(self) -> dict[str, Any]:
        values = extend_values(self.get_params(deep=False), self.n_windows_, self._own_values)
        return check_parameters(values, self.n_windows_)

    def _keep(self, model: Model, shown: list[Float32Array]) -> None:
        self._model = model
        self.embeddings_ = shown
        self.graphs_: list[FuzzyGraph] = model.graphs
        self.n_windows_ = len(model.graphs)
