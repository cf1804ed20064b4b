"""Layout settings of one window of a run, as the optimiser takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.engine.layout.curve import fit_curve
from driftmap.engine.layout.kernels.arrays import WindowForces
from driftmap.engine.layout.repulsion import pick_repulsion
from driftmap.engine.settings import AUTO, LayoutSettings, pick_epochs, pick_value

if TYPE_CHECKING:
    from collections.abc import Sequence


class WindowValues(NamedTuple):
    """Layout settings of one window, as the optimiser takes them; the last six are the fields of `WindowForces`."""

    n_epochs: int
    learning_rate: float
    a: float
    b: float
    repulsion_strength: float
    negative_sample_rate: float
    alignment_regularisation: float
    moves_freely: float


def window_values(settings: LayoutSettings, index: int, n_rows: int) -> WindowValues:
    """Pick the layout settings of one window of the run.

    Parameters
    ----------
    settings
        Of the layout.
    index
        Number of the window.
    n_rows
        Its rows.

    Returns
    -------
    WindowValues
        With the curve's parameters fitted, and the repulsion picked, where they were not given.
    """

    def of(value: Any) -> Any:
        return pick_value(value, index)

    if settings.a is not None and settings.b is not None:
        a, b = settings.a, settings.b
    else:
        a, b = fit_curve(float(of(settings.min_dist)), float(of(settings.spread)))
    strength, repulsion = of(settings.alignment_regularisation), of(settings.repulsion_strength)
    return WindowValues(
        n_epochs=pick_epochs(settings, index),
        learning_rate=float(of(settings.learning_rate)),
        a=a,
        b=b,
        repulsion_strength=pick_repulsion(n_rows) if repulsion == AUTO else float(repulsion),
        negative_sample_rate=float(of(settings.negative_sample_rate)),
        # "auto": the weights of related rows have the strength in them
        alignment_regularisation=1.0 if strength == AUTO else float(strength),
        moves_freely=float(strength == AUTO),
    )


def join_forces(values: Sequence[WindowValues]) -> WindowForces:
    """Join what the kernels take of several windows' values, in their order."""
    return WindowForces(
        **{name: np.array([getattr(each, name) for each in values], np.float32) for name in WindowForces._fields}
    )
