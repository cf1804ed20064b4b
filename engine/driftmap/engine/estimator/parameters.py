"""The estimator's parameters as settings: checked by the one table of `settings`, picked window by window."""

from __future__ import annotations

import numbers
import warnings
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.settings import (
    GRAPH_NAMES,
    LAYOUT_NAMES,
    RANDOM_STATE,
    SETTINGS,
    TARGET_NAMES,
    GraphSettings,
    LayoutSettings,
    TargetSettings,
    check_together,
    is_per_window,
    pick_value,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

IDLE_PARAMETERS = {
    "low_memory": "memory is bounded by the choice of the neighbour search",
    "transform_queue_size": "transform needs no queue",
    "angular_rp_forest": "the metric alone decides how neighbours are searched",
    "transform_seed": "random_state seeds transform as well",
    "force_approximation_algorithm": "neighbours are searched exactly where that is faster",
    "unique": "equal rows stay rows of their own",
    "target_metric_kwds": "target metrics take no arguments",
}
"""Parameters of umap-learn's AlignedUMAP that do nothing here, and why."""


def check_parameters(parameters: Mapping[str, Any], n_windows: int) -> dict[str, Any]:
    """Return the estimator's settings by name, checked each and together, before any work.

    Parameters
    ----------
    parameters : mapping
        The estimator's parameters by name.
    n_windows : int
        Number of values in a sequence that holds one per window.

    Raises
    ------
    InvalidInputError
        When a value is out of bounds or of the wrong type, a sequence is not one value per window, or settings do not
        go together; the parameter is named.
    """
    names = (*GRAPH_NAMES, *TARGET_NAMES, *LAYOUT_NAMES)
    values = {name: SETTINGS[name].check_all(parameters[name], n_windows) for name in names}
    check_together(values, n_windows)
    return values


def read_graph_settings(values: Mapping[str, Any], index: int) -> GraphSettings:
    """Return the graph settings of one window from what `check_parameters` gave."""
    return GraphSettings(**{name: pick_value(values[name], index) for name in GRAPH_NAMES})


def read_target_settings(values: Mapping[str, Any], index: int) -> TargetSettings:
    """Return the settings of one window's target from what `check_parameters` gave."""
    return TargetSettings(**{name.removeprefix("target_"): pick_value(values[name], index) for name in TARGET_NAMES})


def read_layout_settings(values: Mapping[str, Any]) -> LayoutSettings:
    """Return the layout settings of all windows from what `check_parameters` gave."""
    return LayoutSettings(**{name: values[name] for name in LAYOUT_NAMES})


def check_own_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of one window alone, checked; refuse names that are no setting with one value per window."""
    known = sorted(name for name, setting in SETTINGS.items() if setting.per_window)
    for name, value in values.items():
        if name not in known:
            msg = f"{name} cannot be set for one window; the parameters that can are {', '.join(known)}."
            raise InvalidInputError(msg)
        if is_per_window(value):
            msg = f"{name} takes one value for the new window, got {value!r}."
            raise InvalidInputError(msg)
    return {name: SETTINGS[name].check(value) for name, value in values.items()}


def read_random_state(random_state: Any) -> int:
    """Return a seed from None (a new one), an integer, or a numpy generator; refuse anything else."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    if isinstance(random_state, bool) or not isinstance(random_state, numbers.Integral):
        what = f"module {random_state.__name__}" if isinstance(random_state, ModuleType) else repr(random_state)
        msg = (
            "random_state must be an integer from 0 to 2**32 - 1, a numpy Generator or RandomState, or None for a new"
            f" seed at each fit; got {what} of type {type(random_state).__name__}."
        )
        raise InvalidInputError(msg)
    return int(RANDOM_STATE.check(random_state))


def check_callback(callback: object) -> None:
    """Refuse, before any work, a callback that cannot be called."""
    if callback is not None and not callable(callback):
        msg = (
            f"callback must be a function of (epochs done, epochs in all) or None, got {callback!r} of type "
            f"{type(callback).__name__}; leave it out, or give a function."
        )
        raise InvalidInputError(msg)


def warn_of_idle(parameters: Mapping[str, Any]) -> None:
    """Warn once of umap-learn's parameters that were given and do nothing here."""
    given = [name for name in IDLE_PARAMETERS if parameters[name] is not None]
    if given:
        reasons = "; ".join(f"{name}: {IDLE_PARAMETERS[name]}" for name in given)
        message = f"parameters of umap-learn that do nothing in driftmap ({reasons}); leave them out."
        warnings.warn(message, UserWarning, stacklevel=3)
