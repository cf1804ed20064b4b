"""Settings: one table of their names, defaults, bounds and help, and the frozen dataclasses made from it.

Whatever takes settings takes them from here: the estimator, the configuration of a run and the command line. Imports
nothing, so that `--help` stays quick.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from driftmap.engine.errors import InvalidInputError

DEFAULT_N_EPOCHS = 200
AUTO = "auto"
"""Found in the data: the strength of the alignment row by row (`layout.strength`), that of the repulsion by how many
rows a window has (`layout.repulsion`)."""

BLAS_METRICS = {"euclidean": "euclidean", "l2": "euclidean", "cosine": "cosine", "correlation": "correlation"}
"""Metrics that inner products give, by all their names."""
PAIRWISE_METRICS = {
    **dict.fromkeys(("manhattan", "taxicab", "l1", "cityblock"), "manhattan"),
    **dict.fromkeys(("chebyshev", "linfinity", "linfty", "linf"), "chebyshev"),
    **{name: name for name in ("sqeuclidean", "minkowski", "canberra", "braycurtis", "hamming", "haversine")},
}
"""Metrics that scikit-learn compares all rows with, by pynndescent's names."""
BOOLEAN_METRICS = ("jaccard", "dice", "rogerstanimoto", "russellrao", "sokalsneath", "yule")
"""The same for metrics that see a feature as zero or not."""
PRECOMPUTED = "precomputed"
"""The metric's name for windows that are matrices of distances."""

Kind = Literal["integer", "number", "metric", "arguments", "choice"]


@dataclass(frozen=True)
class Setting:
    """One setting: what it is called, what it may be, and what it is when it is not given."""

    name: str
    kind: Kind
    default: Any
    help: str
    """One line, as `--help` shows it."""
    low: float = 0
    high: float = math.inf
    is_above: bool = False
    """Whether `low` itself is out of bounds."""
    per_window: bool = True
    """Whether a sequence with one value per window is taken."""
    words: tuple[str, ...] = ()
    """Texts that are taken too, instead of a number; of a choice, all there is."""
    other: tuple[Any, ...] = field(default=())
    """Values that are taken besides, such as None."""

    def check(self, value: Any, name: str | None = None) -> Any:
        """Return one value as a plain Python value; `name` is how the message calls it.

        Raises
        ------
        InvalidInputError
            When it is of the wrong type or out of bounds.
        """
        name = name or self.name
        if any(value is other or (type(value) is type(other) and value == other) for other in self.other):
            return value
        if isinstance(value, str) and value in self.words:
            return str(value)
        if self.kind in ("integer", "number"):
            return self._check_number(value, name)
        if self.kind == "choice":
            msg = f"{name} must be {_join(self.words)}, got {value!r}."
            raise InvalidInputError(msg)
        return _check_metric(value, name) if self.kind == "metric" else _check_arguments(value, name)

    def check_all(self, value: Any, n_windows: int | None = None) -> Any:
        """Return one value, or a tuple with one value per window.

        Parameters
        ----------
        value : Any
            As given.
        n_windows : int or None
            How many values a sequence must hold; None: not known yet.

        Raises
        ------
        InvalidInputError
            When a value is refused by `check`, or a sequence is not one value per window.
        """
        if not is_per_window(value):
            return self.check(value)
        if not self.per_window:
            msg = f"{self.name} must be one value for all windows, got {value!r}."
            raise InvalidInputError(msg)
        check_length(self.name, value, n_windows)
        return tuple(self.check(each, f"{self.name}[{index}]") for index, each in enumerate(value))

    def _check_number(self, value: Any, name: str) -> Any:
        words = f" or {_join(self.words)}" if self.words else ""
        if self.kind == "integer":
            return check_number(value, name, int, self.low, self.high, is_above=self.is_above, words=words)
        return check_number(value, name, float, self.low, self.high, is_above=self.is_above, words=words)


_CURVE = "Parameter of the curve; fitted to min_dist and spread when left out."
_PER_ROW = 100_000

_GRAPH = (
    Setting("n_neighbors", "integer", 15, "Neighbours of a row, the row itself included.", 2, _PER_ROW),
    Setting("metric", "metric", "euclidean", "Distance between rows: euclidean, cosine, manhattan, ..."),
    Setting("metric_kwds", "arguments", None, "Further arguments of the metric, as JSON.", other=(None,)),
    Setting("set_op_mix_ratio", "number", 1.0, "1: union of both directions of the graph; 0: intersection.", 0, 1),
    Setting("local_connectivity", "number", 1.0, "Nearest neighbours that count as fully connected.", 0, 1000),
    Setting("knn_recall", "number", 0.98, "Share of the nearest rows that large windows find; 1: all.", 0.5, 1),
)
_TARGET = (
    Setting("target_metric", "metric", "categorical", "Distance between values of a target, or categorical."),
    Setting("target_weight", "number", 0.5, "0: nearly the rows alone; 1: nearly the target alone.", 0, 1),
    Setting("target_n_neighbors", "integer", -1, "Neighbours in a target; -1: n_neighbors.", 2, _PER_ROW, other=(-1,)),
)
_LAYOUT = (
    Setting("n_components", "integer", 2, "Dimensions of the maps.", 1, 10, per_window=False),
    Setting("n_epochs", "integer", None, f"Epochs of the layout; {DEFAULT_N_EPOCHS}.", 0, 1_000_000, other=(None,)),
    Setting("min_dist", "number", 0.1, "How close neighbours may lie on the map.", 0, 1000),
    Setting("spread", "number", 1.0, "Scale of the map, with min_dist.", 1e-3, 1000),
    Setting("a", "number", None, _CURVE, 0, 1e6, is_above=True, per_window=False, other=(None,)),
    Setting("b", "number", None, _CURVE, 0, 10, is_above=True, per_window=False, other=(None,)),
    Setting("learning_rate", "number", 1.0, "Step size at the first epoch.", 0, 100, is_above=True),
    Setting(
        "repulsion_strength", "number", AUTO, "Weight of repulsion; auto: 1 to 3, by rows.", 0, 1000, words=(AUTO,)
    ),
    Setting("negative_sample_rate", "integer", 5, "Negative samples for each attraction.", 0, 1000),
    Setting(
        "alignment_window_size",
        "integer",
        3,
        "The alignment reach: windows related on either side.",
        1,
        1000,
        per_window=False,
    ),
    Setting(
        "alignment_regularisation",
        "number",
        AUTO,
        "Weight of the pull between windows; auto: from the data.",
        0,
        1e6,
        words=(AUTO,),
    ),
)
RANDOM_STATE = Setting(
    "random_state", "integer", None, "Seed: the same seed gives the same bytes.", 0, 2**32 - 1, per_window=False
)
GRAPH_NAMES = tuple(setting.name for setting in _GRAPH)
TARGET_NAMES = tuple(setting.name for setting in _TARGET)
LAYOUT_NAMES = tuple(setting.name for setting in _LAYOUT)
SETTINGS = {setting.name: setting for setting in (*_GRAPH, *_TARGET, *_LAYOUT, RANDOM_STATE)}
"""The table, by name."""
DEFAULTS: dict[str, Any] = {name: setting.default for name, setting in SETTINGS.items()}


@dataclass(frozen=True)
class GraphSettings:
    """Settings of one window's fuzzy graph; the names are umap-learn's."""

    n_neighbors: int = DEFAULTS["n_neighbors"]
    """Neighbours of a row, the row itself included."""
    metric: str | Callable[..., Any] = DEFAULTS["metric"]
    """A name, or a function of two rows."""
    metric_kwds: Mapping[str, Any] | None = DEFAULTS["metric_kwds"]
    set_op_mix_ratio: float = DEFAULTS["set_op_mix_ratio"]
    """1: fuzzy union of both directions; 0: intersection."""
    local_connectivity: float = DEFAULTS["local_connectivity"]
    """How many nearest neighbours count as fully connected."""
    knn_recall: float = DEFAULTS["knn_recall"]
    """Share of the nearest rows, by distance, that the search of a large window is to find; 1: all of them."""

    def for_rows(self, n_rows: int) -> GraphSettings:
        """Return the settings of a window of so many rows: a smaller one has all its rows as neighbours."""
        return self if self.n_neighbors <= n_rows else replace(self, n_neighbors=n_rows)


@dataclass(frozen=True)
class TargetSettings:
    """How labels or values of a window's rows change its fuzzy graph; the names are umap-learn's, less `target_`."""

    metric: str = DEFAULTS["target_metric"]
    """"categorical", or the distance between values of a continuous target."""
    weight: float = DEFAULTS["target_weight"]
    """0: nearly the rows alone; 1: nearly the target alone."""
    n_neighbors: int = DEFAULTS["target_n_neighbors"]
    """Of a continuous target's graph; -1: as many as the rows' graph has."""


@dataclass(frozen=True)
class LayoutSettings:
    """Settings of the layout; a sequence holds one value per window of the run."""

    n_components: int = DEFAULTS["n_components"]
    n_epochs: int | Sequence[int | None] | None = DEFAULTS["n_epochs"]
    min_dist: float | Sequence[float] = DEFAULTS["min_dist"]
    spread: float | Sequence[float] = DEFAULTS["spread"]
    a: float | None = DEFAULTS["a"]
    b: float | None = DEFAULTS["b"]
    learning_rate: float | Sequence[float] = DEFAULTS["learning_rate"]
    repulsion_strength: float | str | Sequence[float | str] = DEFAULTS["repulsion_strength"]
    negative_sample_rate: int | Sequence[int] = DEFAULTS["negative_sample_rate"]
    alignment_window_size: int = DEFAULTS["alignment_window_size"]
    """The alignment reach: windows related on either side."""
    alignment_regularisation: float | str | Sequence[float | str] = DEFAULTS["alignment_regularisation"]

    def extend(self, n_windows: int) -> Self:
        """Return the settings for windows that came after a run too; see `extend_values`."""
        return replace(self, **extend_values(vars(self), n_windows))


def check_number(
    value: Any,
    name: str,
    kind: type[int | float],
    low: float,
    high: float = math.inf,
    *,
    is_above: bool = False,
    words: str = "",
) -> Any:
    """Return `value` as an int or a finite float within bounds; numpy's numbers pass, bools and texts do not.

    Parameters
    ----------
    value : Any
        As given.
    name : str
        How the message calls it.
    kind : type
        int or float.
    low, high : float
        Bounds, both included.
    is_above : bool
        Whether `low` itself is out of bounds.
    words : str
        What is taken too, for the message.
    """
    what = "an integer" if kind is int else "a number"
    is_right = isinstance(value, numbers.Integral if kind is int else numbers.Real)
    if isinstance(value, bool) or not is_right:
        msg = f"{name} must be {what}{words}, got {value!r} of type {type(value).__name__}."
        raise InvalidInputError(msg)
    number = kind(value)
    if not (low < number if is_above else low <= number) or number > high or not math.isfinite(number):
        finite = "" if kind is int else "finite and "
        most = "" if high == math.inf else f" and at most {_show(high)}" if is_above else f" to {_show(high)}"
        least = f"above {_show(low)}" if is_above else f"from {_show(low)}" if most else f"at least {_show(low)}"
        msg = f"{name} must be {finite}{least}{most}{words}, got {_show(number)}."
        raise InvalidInputError(msg)
    return number


def check_together(values: Mapping[str, Any], n_windows: int | None = None) -> None:
    """Refuse checked settings that do not go together.

    Parameters
    ----------
    values : mapping
        By name; rules on settings that are not all there are left out.
    n_windows : int or None
        How many values a sequence must hold; None: not known yet.

    Raises
    ------
    InvalidInputError
        Naming the settings, and for which window they do not go together.
    """
    for name, value in values.items():
        if name in SETTINGS and SETTINGS[name].per_window and is_per_window(value):
            check_length(name, value, n_windows)
    if "metric" in values:
        for _, (metric, kwds) in _walk(values["metric"], values.get("metric_kwds")):
            _check_metric_arguments(metric, kwds)
    if "min_dist" in values and "spread" in values:
        for where, (min_dist, spread) in _walk(values["min_dist"], values["spread"]):
            if min_dist > spread:
                msg = f"min_dist must be at most spread, got {min_dist:g} and {spread:g}{where}; raise spread with it."
                raise InvalidInputError(msg)
    a, b = values.get("a"), values.get("b")
    if (a is None) != (b is None):
        msg = f"a and b go together: got a={a!r}, b={b!r}; give both, or neither and min_dist and spread."
        raise InvalidInputError(msg)


def check_length(name: str, values: Sequence[Any], n_windows: int | None) -> None:
    """Refuse a sequence that does not hold one value per window."""
    n = len(values)
    if not n or (n_windows is not None and n != n_windows):
        windows = "one per window" if n_windows is None else f"{n_windows} windows"
        msg = f"{name} has {n} values for {windows}; give one value, or one per window."
        raise InvalidInputError(msg)


def is_per_window(value: Any) -> bool:
    """Tell whether a setting holds one value per window: whether it is a list, a tuple or an array."""
    if value is None or type(value) in (int, float, str):  # most are, and each is asked for again and again
        return False
    if hasattr(value, "ndim") and hasattr(value, "tolist"):  # numpy's, without importing it
        return bool(value.ndim)
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def pick_value(value: Any, index: int) -> Any:
    """Return the value of one window; those beyond the end of a sequence have its last value."""
    return value[min(index, len(value) - 1)] if is_per_window(value) else value


def pick_epochs(settings: LayoutSettings, index: int) -> int:
    """Return the epochs of one window of a run."""
    n_epochs = pick_value(settings.n_epochs, index)
    return DEFAULT_N_EPOCHS if n_epochs is None else int(n_epochs)


def extend_values(
    values: Mapping[str, Any], n_windows: int, own_values: Mapping[int, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Return settings for windows that came later too: a shorter sequence goes on with its last value.

    Parameters
    ----------
    values : mapping
        By name; what is no setting with one value per window stays as it is.
    n_windows : int
        Windows now.
    own_values : mapping or None
        Values that single windows were given, by window and name.
    """
    extended = dict(values)
    for name, value in values.items():
        if name in SETTINGS and SETTINGS[name].per_window and is_per_window(value) and len(value):
            extended[name] = tuple(pick_value(value, index) for index in range(n_windows))
    for index, own in (own_values or {}).items():
        for name, value in own.items():
            given = [pick_value(extended[name], t) for t in range(n_windows)]
            given[index] = value
            extended[name] = tuple(given)
    return extended


def _walk(*values: Any) -> list[tuple[str, tuple[Any, ...]]]:
    """Pair settings window by window, with words for where that is."""
    lengths = [len(value) for value in values if is_per_window(value)]
    if not lengths:
        return [("", values)]
    return [(f" for window {t}", tuple(pick_value(value, t) for value in values)) for t in range(max(lengths))]


def _check_metric(value: Any, name: str) -> Any:
    is_target = name.startswith("target_")
    if isinstance(value, str) and not (is_target and value == PRECOMPUTED):
        return str(value)
    if is_target:
        msg = f"{name} must be 'categorical' or the name of a metric such as 'euclidean', got {value!r}."
        raise InvalidInputError(msg)
    if not callable(value):
        msg = f"{name} must be the name of a metric such as 'euclidean', or a function of two rows, got {value!r}."
        raise InvalidInputError(msg)
    return value


def _check_arguments(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        msg = f"{name} must be a dict of the metric's arguments by name, or None, got {value!r}."
        raise InvalidInputError(msg)
    return dict(value)


def _check_metric_arguments(metric: Any, kwds: Mapping[str, Any] | None) -> None:
    """Refuse arguments that a metric does not take, as far as no library need be asked; others show in the search."""
    if not isinstance(metric, str) or not kwds:
        return
    if metric == "minkowski" and set(kwds) == {"p"}:
        check_number(kwds["p"], "metric_kwds of 'minkowski': p", float, 0, 100, is_above=True)
    elif metric == "minkowski":
        msg = f"metric 'minkowski' takes the argument p alone, got metric_kwds={dict(kwds)}."
        raise InvalidInputError(msg)
    elif metric in {*BLAS_METRICS, *PAIRWISE_METRICS, *BOOLEAN_METRICS, PRECOMPUTED}:
        msg = f"metric {metric!r} takes no arguments, got metric_kwds={dict(kwds)}; leave them out."
        raise InvalidInputError(msg)


def _show(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


def _join(words: Sequence[str]) -> str:
    return " or ".join(repr(word) for word in words)
