"""The estimator's parameters, checked and turned into settings: one value for all windows, or one per window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from driftmap.engine.core.validation import check_float, check_int
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.neighbours.rows import PRECOMPUTED
from driftmap.engine.settings import DEFAULT_N_EPOCHS, GraphSettings, LayoutSettings, TargetSettings

Check = Callable[[Any, str], Any]

MAX_COMPONENTS = 10


def _integer(minimum: int) -> Check:
    return lambda value, name: check_int(value, name, minimum=minimum)


def _number(minimum: float, maximum: float = np.inf) -> Check:
    return lambda value, name: check_float(value, name, minimum=minimum, maximum=maximum)


def _positive(value: Any, name: str) -> float:
    number = check_float(value, name, minimum=0.0)
    if number == 0:
        msg = f"{name} must be above 0, got 0."
        raise InvalidInputError(msg)
    return number


def _metric(value: Any, name: str) -> Any:
    if not isinstance(value, str) and not callable(value):
        msg = f"{name} must be the name of a metric such as 'euclidean', or a function of two rows, got {value!r}."
        raise InvalidInputError(msg)
    return value


def _target_metric(value: Any, name: str) -> str:
    if not isinstance(value, str) or value == PRECOMPUTED:
        msg = f"{name} must be 'categorical' or the name of a metric such as 'euclidean', got {value!r}."
        raise InvalidInputError(msg)
    return value


def _target_n_neighbors(value: Any, name: str) -> int:
    return -1 if isinstance(value, int | np.integer) and value == -1 else check_int(value, name, minimum=2)


def _mapping(value: Any, name: str) -> Mapping[str, Any] | None:
    if value is not None and not isinstance(value, Mapping):
        msg = f"{name} must be a dict of the metric's arguments or None, got {value!r}."
        raise InvalidInputError(msg)
    return value


def _n_epochs(value: Any, name: str) -> int:
    return DEFAULT_N_EPOCHS if value is None else check_int(value, name, minimum=0)


_GRAPH_CHECKS: dict[str, Check] = {
    "n_neighbors": _integer(2),
    "metric": _metric,
    "metric_kwds": _mapping,
    "set_op_mix_ratio": _number(0.0, 1.0),
    "local_connectivity": _number(0.0),
}
_TARGET_CHECKS: dict[str, Check] = {
    "target_metric": _target_metric,
    "target_weight": _number(0.0, 1.0),
    "target_n_neighbors": _target_n_neighbors,
}
_LAYOUT_CHECKS: dict[str, Check] = {
    "n_epochs": _n_epochs,
    "min_dist": _number(0.0),
    "spread": _positive,
    "learning_rate": _positive,
    "repulsion_strength": _number(0.0),
    "negative_sample_rate": _integer(0),
    "alignment_regularisation": _number(0.0),
}


def read_graph_settings(parameters: Mapping[str, Any], index: int, n_windows: int) -> GraphSettings:
    """Return the graph settings of one window.

    Parameters
    ----------
    parameters
        The estimator's parameters by name.
    index
        The window's number.
    n_windows
        Windows that a sequence of values must cover; a later window takes the last value.

    Raises
    ------
    InvalidInputError
        When a value is out of bounds, of the wrong type, or a sequence is too short; the parameter is named.
    """
    values = {
        name: _pick(_check_each(parameters[name], name, check, n_windows), index)
        for name, check in _GRAPH_CHECKS.items()
    }
    return GraphSettings(**values)


def read_target_settings(parameters: Mapping[str, Any], index: int, n_windows: int) -> TargetSettings:
    """Return how the target of one window is used; arguments and errors as in `read_graph_settings`."""
    values = {
        name.removeprefix("target_"): _pick(_check_each(parameters[name], name, check, n_windows), index)
        for name, check in _TARGET_CHECKS.items()
    }
    return TargetSettings(**values)


def read_layout_settings(parameters: Mapping[str, Any], n_windows: int) -> LayoutSettings:
    """Return the layout settings of all windows; errors as in `read_graph_settings`."""
    values = {}
    for name, check in _LAYOUT_CHECKS.items():
        checked = _check_each(parameters[name], name, check, n_windows)
        values[name] = [_pick(checked, index) for index in range(n_windows)]
    for index, (min_dist, spread) in enumerate(zip(values["min_dist"], values["spread"], strict=True)):
        if min_dist > spread:
            msg = f"min_dist must be at most spread, got {min_dist:g} and {spread:g} for window {index}."
            raise InvalidInputError(msg)
    a, b = parameters["a"], parameters["b"]
    if (a is None) != (b is None):
        msg = f"a and b go together: got a={a!r}, b={b!r}; give both, or neither and min_dist and spread."
        raise InvalidInputError(msg)
    return LayoutSettings(
        n_components=check_int(parameters["n_components"], "n_components", minimum=1, maximum=MAX_COMPONENTS),
        a=None if a is None else _positive(a, "a"),
        b=None if b is None else _positive(b, "b"),
        alignment_window_size=check_int(parameters["alignment_window_size"], "alignment_window_size", minimum=1),
        **values,
    )


def check_own_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse names that are no parameter with one value per window; the values are checked when settings are read."""
    known = sorted({*_GRAPH_CHECKS, *_TARGET_CHECKS, *_LAYOUT_CHECKS})
    for name, value in values.items():
        if name not in known:
            msg = f"{name} cannot be set for one window; the parameters that can are {', '.join(known)}."
            raise InvalidInputError(msg)
        if is_per_window(value):
            msg = f"{name} takes one value for the new window, got {value!r}."
            raise InvalidInputError(msg)
    return dict(values)


def extend_parameters(
    parameters: Mapping[str, Any], own_values: Mapping[int, Mapping[str, Any]], n_windows: int
) -> dict[str, Any]:
    """Return the parameters for windows that came by `update` too.

    Parameters
    ----------
    parameters
        The estimator's parameters by name.
    own_values
        Values that single windows were given, by window and name.
    n_windows
        Windows now: a shorter sequence goes on with its last value.
    """
    extended = dict(parameters)
    for name, value in parameters.items():
        if is_per_window(value) and len(value):
            extended[name] = [*value[:n_windows], *[value[-1]] * (n_windows - len(value))]
    for index, values in own_values.items():
        for name, value in values.items():
            if not is_per_window(extended[name]):
                extended[name] = [extended[name]] * n_windows
            extended[name][index] = value
    return extended


def read_random_state(random_state: Any) -> int:
    """Return a seed from None (a new one), an integer, or a numpy generator."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    return check_int(random_state, "random_state", minimum=0)


def is_per_window(value: Any) -> bool:
    """Tell whether a parameter holds one value per window."""
    return (
        isinstance(value, Sequence | np.ndarray)
        and not isinstance(value, str)
        and np.ndim(np.asarray(value, object)) > 0
    )


def _check_each(value: Any, name: str, check: Check, n_windows: int) -> Any:
    """Check one value, or each of a sequence that must cover the windows."""
    if not is_per_window(value):
        return check(value, name)
    if len(value) < n_windows:
        msg = f"{name} has {len(value)} values for {n_windows} windows; give one value, or one per window."
        raise InvalidInputError(msg)
    return [check(each, f"{name}[{index}]") for index, each in enumerate(value)]


def _pick(checked: Any, index: int) -> Any:
    return checked[min(index, len(checked) - 1)] if isinstance(checked, list) else checked
