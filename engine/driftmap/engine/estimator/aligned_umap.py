"""AlignedUMAP: the engine as a scikit-learn estimator, with umap-learn's parameter names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from driftmap.engine.core.seeds import TRANSFORM_STREAM, make_seed
from driftmap.engine.core.validation import check_int
from driftmap.engine.estimator.fit_inputs import prepare_fit, prepare_update
from driftmap.engine.estimator.fitted_model import FittedModel
from driftmap.engine.estimator.parameters import (
    check_callback,
    check_own_values,
    read_graph_settings,
    read_layout_settings,
    warn_of_idle,
)
from driftmap.engine.estimator.progress_bar import show_epochs
from driftmap.engine.layout.block import lay_out_block
from driftmap.engine.layout.procrustes import register_maps
from driftmap.engine.layout.transform import find_nearest_rows, place_rows
from driftmap.engine.layout.window_values import window_values
from driftmap.engine.settings import DEFAULTS, extend_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from driftmap.engine.estimator.fit_inputs import Prepared
    from driftmap.engine.layout.optimiser import EpochCallback
    from driftmap.engine.types import Float32Array


class AlignedUMAP(FittedModel):
    """Aligned maps of a sequence of windows.

    Each window gets a UMAP map of its own, and all maps are laid out together so that a row which did not change
    between windows stays where it was. A parameter marked (*) takes one value, or a sequence with one value per window;
    windows that come by `update` take the last value.

    Parameters
    ----------
    n_neighbors : int or sequence, default 15
        (*) Neighbours of a row, the row itself included; cut down, with a warning, to the rows of a smaller window.
    n_components : int, default 2
        Axes of the maps, 1 to 10.
    metric : str, function or sequence, default "euclidean"
        (*) Distance between rows: a name that pynndescent knows; "precomputed" for windows that are (n_t, n_t) matrices
        of distances; or a function of two rows that numba has compiled or can compile.
    metric_kwds : dict or sequence, default None
        (*) Arguments of the metric.
    n_epochs : int or sequence, default None
        (*) Length of the optimisation; None is 200. A tenth carries a window; 1.1 is joint, 1.9 where all rows are new.
    learning_rate : float or sequence, default 1.0
        (*) Step of the carry pass at its start; the joint pass starts at .7 of it.
    init : str or list of arrays, default "previous"
        Where windows start: "previous", each from the rows it shares with the windows before it (the first by its
        spectrum, above 20,000 rows from shortest paths between groups of them), one of up to 600 rows from shortest
        paths too if .2 to .7 of it are new, the best kept; "spectral", "pca", "random", or one (n_t, n_components)
        array per window, each registered to the windows before it.
        Windows that come by `update` start as with "previous".
    alignment_regularisation : "auto", float or sequence, default "auto"
        (*) Weight of the alignment term: how strongly related rows pull on each other. With "auto" the data decide,
        row by row: .01 where a row's neighbourhood turns over, up to .06 where it stays; `strengths_` shows it.
    alignment_window_size : int, default 3
        Alignment reach: how many windows before and after are related.
    min_dist, spread : float or sequence, default 0.1 and 1.0
        (*) How tightly rows are packed; together they give the curve's a and b.
    set_op_mix_ratio : float or sequence, default 1.0
        (*) From fuzzy union (1) to fuzzy intersection (0).
    local_connectivity : float or sequence, default 1.0
        (*) Nearest neighbours that count as fully connected.
    repulsion_strength : "auto", float or sequence, default "auto"
        (*) Weight of repulsion; 1 is umap-learn's. With "auto" it is the root of a window's rows over 200, from 1 to 3.
    negative_sample_rate : int or sequence, default 5
        (*) Weight of repulsion in negative samples per attraction.
    a, b : float, default None
        The curve 1 / (1 + a d^2b) itself, instead of min_dist and spread.
    random_state : int, numpy generator or None, default None
        Same seed, same bytes, on any number of threads.
    target_n_neighbors : int or sequence, default -1
        (*) Neighbours of a row in a target of values, itself included; -1 is n_neighbors.
    target_metric : str or sequence, default "categorical"
        (*) What `y` holds: "categorical" labels, or values between which this metric measures.
    target_weight : float or sequence, default 0.5
        (*) From the rows alone, nearly (0), to the target alone (1).
    verbose : bool, default False
        Whether to show a progress bar on standard error.
    knn_recall : float or sequence, default 0.98
        (*) Share of the nearest rows that the search of a large window (6,400 rows of 64 features, 3,200 of 784) is to
        find; 1 finds them all. The search of smaller windows is exact.
    low_memory, transform_queue_size, angular_rp_forest, transform_seed : any, default None
        Accepted for code written for umap-learn; they do nothing, and a warning says why.
    force_approximation_algorithm, unique, target_metric_kwds : any, default None
        The same.

    Attributes
    ----------
    embeddings_ : list of float32 (n_t, n_components)
        The map of each window. A row without neighbours is NaN.
    graphs_, knn_graphs_ : list of FuzzyGraph, list of KnnGraph
        The fuzzy graph of each window, and the nearest rows that it was made of.
    ids_ : list of (n_t,) arrays
        The id of each row's entity: those given, else numbers that related rows share.
    strengths_ : list of float
        The strength of the alignment in each window: the one given, or what the data made of "auto".
    n_windows_ : int
        How many windows the model holds.

    Notes
    -----
    McInnes et al. 2018 (arXiv 1802.03426) for each map; the alignment term is that of umap-learn's AlignedUMAP in both
    directions and over all offsets up to the reach. Relations and ids run one way, from old row to new row, in `fit`
    and in `update` alike.

    `driftmap.pipeline.look` draws a fitted model: `plot_grid`, `animate` and others as pictures, `make_widget` as a
    page in a notebook, in which rows are found, selected and compared.

    Examples
    --------
    >>> import numpy as np
    >>> from driftmap.engine import AlignedUMAP
    >>> rows = np.random.default_rng(0).normal(size=(300, 8))
    >>> windows, ids = [rows[:200], rows[100:]], [np.arange(200), np.arange(100, 300)]
    >>> maps = AlignedUMAP(random_state=0).fit(windows, ids=ids).embeddings_
    >>> [m.shape for m in maps]
    [(200, 2), (200, 2)]
    """

    def __init__(  # noqa: PLR0913, PLR0917 - scikit-learn reads parameters from the signature; names and order are umap-learn's
        self,
        n_neighbors: Any = DEFAULTS["n_neighbors"],
        n_components: int = DEFAULTS["n_components"],
        metric: Any = DEFAULTS["metric"],
        metric_kwds: Any = DEFAULTS["metric_kwds"],
        n_epochs: Any = DEFAULTS["n_epochs"],
        learning_rate: Any = DEFAULTS["learning_rate"],
        init: Any = "previous",
        alignment_regularisation: Any = DEFAULTS["alignment_regularisation"],
        alignment_window_size: int = DEFAULTS["alignment_window_size"],
        min_dist: Any = DEFAULTS["min_dist"],
        spread: Any = DEFAULTS["spread"],
        low_memory: Any = None,
        set_op_mix_ratio: Any = DEFAULTS["set_op_mix_ratio"],
        local_connectivity: Any = DEFAULTS["local_connectivity"],
        repulsion_strength: Any = DEFAULTS["repulsion_strength"],
        negative_sample_rate: Any = DEFAULTS["negative_sample_rate"],
        transform_queue_size: Any = None,
        a: float | None = DEFAULTS["a"],
        b: float | None = DEFAULTS["b"],
        random_state: Any = DEFAULTS["random_state"],
        angular_rp_forest: Any = None,
        target_n_neighbors: Any = DEFAULTS["target_n_neighbors"],
        target_metric: Any = DEFAULTS["target_metric"],
        target_metric_kwds: Any = None,
        target_weight: Any = DEFAULTS["target_weight"],
        transform_seed: Any = None,
        force_approximation_algorithm: Any = None,
        verbose: bool = False,  # noqa: FBT001, FBT002
        unique: Any = None,
        knn_recall: Any = DEFAULTS["knn_recall"],
    ) -> None:
        self.n_neighbors = n_neighbors
        self.n_components = n_components
        self.metric = metric
        self.metric_kwds = metric_kwds
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.init = init
        self.alignment_regularisation = alignment_regularisation
        self.alignment_window_size = alignment_window_size
        self.min_dist = min_dist
        self.spread = spread
        self.low_memory = low_memory
        self.set_op_mix_ratio = set_op_mix_ratio
        self.local_connectivity = local_connectivity
        self.repulsion_strength = repulsion_strength
        self.negative_sample_rate = negative_sample_rate
        self.transform_queue_size = transform_queue_size
        self.a = a
        self.b = b
        self.random_state = random_state
        self.angular_rp_forest = angular_rp_forest
        self.target_n_neighbors = target_n_neighbors
        self.target_metric = target_metric
        self.target_metric_kwds = target_metric_kwds
        self.target_weight = target_weight
        self.transform_seed = transform_seed
        self.force_approximation_algorithm = force_approximation_algorithm
        self.verbose = verbose
        self.unique = unique
        self.knn_recall = knn_recall

    def fit(
        self,
        X: Sequence[Any],
        y: Sequence[npt.ArrayLike | None] | None = None,
        *,
        relations: Sequence[Any] | None = None,
        ids: Sequence[npt.ArrayLike] | None = None,
        knn: Sequence[Any] | None = None,
        reference: Sequence[npt.ArrayLike | None] | None = None,
        callback: EpochCallback | None = None,
    ) -> Self:
        """Lay out a sequence of windows.

        Parameters
        ----------
        X
            One (n_t, d_t) array or scipy sparse matrix per window; the number of columns may differ between windows.
            With `metric="precomputed"`: one (n_t, n_t) matrix of distances.
        y
            Supervision: one target or None per window. (n_t,) labels, integers with -1 for unknown, or strings alone;
            with another `target_metric`, (n_t,) or (n_t, q) values.
        relations
            One per pair of consecutive windows, old row -> new row: a dict, an (m, 2) array of pairs, an (n_t,) array
            with -1 for none, or a scipy sparse (n_t, n_t+1) matrix of weights. A row may have several partners: it is
            pulled to their mean, by weights where there are some; only how they compare within a matrix counts (see
            `couplings.weigh_coupling` for the formula). Measures of single rows follow the heaviest pairs.
        ids
            Instead of relations, or beside them: one array of entity ids per window. Where both are given, equal ids
            add pairs, and what contradicts them is refused. An entity that skips windows within the
            alignment reach is still related. Windows that nothing relates to the others are warned of.
        knn
            kNN graphs in place of a search: one (indices, distances) or None per window, each (n_t, m). A row may be in
            its own list, as with umap-learn's `nearest_neighbors`, or not; with it, m is at least n_neighbors. X then
            serves only for its number of rows, `init="pca"`, `transform` and `quality_`; and, where it gives the
            distances of these graphs, for mid-near rows, by which far groups are arranged as without `knn`.
        reference
            Positions from an earlier run or another tool, one (n_t, n_components) array or None per window, NaN in rows
            that have none: the whole layout is turned, scaled and shifted to lie as near to them as it can.
        callback
            Called after every epoch with (epochs done, epochs in all). An exception from it, or Ctrl-C, ends the
            fit and leaves the model as it was.

        Raises
        ------
        InvalidInputError
            When windows, parameters, relations or ids cannot be used; the message names which.
        """
        parameters = self.get_params(deep=False)
        check_callback(callback)
        warn_of_idle(parameters)
        prepared = prepare_fit(parameters, X, y, relations=relations, ids=ids, knn=knn, reference=reference)
        maps = self._lay_out(prepared, callback)
        shown, similarity = (
            [found.copy() for found in maps],
            None,
        )  # what a caller writes there is no map of the model's
        if prepared.reference is not None:
            shown, similarity = register_maps(maps, prepared.reference)
        self._similarity = similarity
        self._own_values: dict[int, dict[str, Any]] = {}
        self._keep(prepared.model._replace(maps=maps), shown)
        self._note_names(X)
        return self

    def fit_transform(
        self,
        X: Sequence[Any],
        y: Sequence[npt.ArrayLike | None] | None = None,
        *,
        relations: Sequence[Any] | None = None,
        ids: Sequence[npt.ArrayLike] | None = None,
        knn: Sequence[Any] | None = None,
        reference: Sequence[npt.ArrayLike | None] | None = None,
        callback: EpochCallback | None = None,
    ) -> list[Any]:
        """Lay out a sequence of windows and return `embeddings_`, or a frame of each (`set_output`); as `fit`."""
        fitted = self.fit(X, y, relations=relations, ids=ids, knn=knn, reference=reference, callback=callback)
        return [self._shape_map(found, rows) for found, rows in zip(fitted.embeddings_, X, strict=True)]

    def update(
        self,
        X: Any,
        y: npt.ArrayLike | None = None,
        *,
        relations: Any = None,
        ids: npt.ArrayLike | None = None,
        knn: Any = None,
        lookahead: int = 0,
        callback: EpochCallback | None = None,
        **parameters: Any,
    ) -> Self:
        """Add one window to the model.

        Parameters
        ----------
        X
            (n, d) rows of the new window, dense or sparse, or their distances, as in `fit`.
        y
            The new window's target, as each entry in `fit`.
        relations
            Newest window's row -> new row, as in `fit`: dict, an (m, 2) array, or an (n_newest,) array with -1.
        ids
            Instead of relations, or beside them as in `fit`: entity ids of the new rows, for a newest window with ids.
        knn
            The new window's kNN graph, as each entry in `fit`.
        lookahead
            How many of the newest windows may still move together with the new one; older ones stay as they are.
        callback
            As in `fit`.
        **parameters
            Values of parameters marked * for this window alone, such as `n_neighbors=10`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        InvalidInputError
            When rows, relations, ids or parameters cannot be used.
        """
        self._check_is_fitted()
        check_callback(callback)
        lookahead = check_int(lookahead, "lookahead", minimum=0)
        index = self.n_windows_
        own = {**self._own_values, index: check_own_values(parameters)}
        values = extend_values(self.get_params(deep=False), index + 1, own)
        given = {"relations": relations, "ids": ids, "y": y, "knn": knn}
        prepared = prepare_update(self._model, values, X, **given, lookahead=lookahead)
        placed = self._lay_out(prepared, callback)
        moved = [found.copy() for found in placed]
        if self._similarity is not None:
            moved = [self._similarity.apply(m) for m in placed[max(index - lookahead, 0) - prepared.first :]]
        maps = [*self._model.maps[: prepared.first], *placed]
        self._own_values = own
        self._keep(prepared.model._replace(maps=maps), [*self.embeddings_[: index + 1 - len(moved)], *moved])
        self._note_more_names(X)
        return self

    def transform(self, X: Any, window: int = -1) -> Any:
        """Place new rows into the map of a window, which stays as it is.

        Parameters
        ----------
        X
            (m, d) rows, with the columns of that window; with `metric="precomputed"` their distances to its rows.
        window
            Which window; -1 is the newest.

        Returns
        -------
        float32 (m, n_components), or a frame (`set_output`). A row of the window itself comes out near its place.

        Raises
        ------
        NotFittedError
            Before `fit`.
        InvalidInputError
            When rows or window cannot be used.
        """
        self._check_is_fitted()
        index = check_int(window, "window", minimum=-self.n_windows_, maximum=self.n_windows_ - 1) % self.n_windows_
        self._check_names(X, index)
        checked = self._check_all_windows()
        settings = read_graph_settings(checked, index)
        known = self._model.maps[index]
        values = window_values(read_layout_settings(checked), index, len(known))
        near = find_nearest_rows(X, self._model.rows[index], settings)
        seed = make_seed(self._model.seed, index, TRANSFORM_STREAM)
        connectivity = settings.local_connectivity
        placed = place_rows(*near, known, local_connectivity=connectivity, values=values, seed=seed)
        return self._shape_map(placed if self._similarity is None else self._similarity.apply(placed), X)

    def _lay_out(self, prepared: Prepared, callback: EpochCallback | None) -> list[Float32Array]:
        with show_epochs(callback, verbose=self.verbose) as watch:
            return lay_out_block(prepared.block, prepared.relations, prepared.layout, prepared.model.seed, watch)
