"""From min_dist and spread to a and b, the two numbers that shape the layout's membership curve."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from driftmap.engine.settings import SETTINGS, check_together

N_SAMPLES = 300
"""Points the curve is fitted on, from 0 to three times the spread."""

_FITTED = {(0.1, 1.0): (1.57694346046584, 0.8950608779639974)}
"""The fit at the default settings: a start that adds one small window need not load scipy.optimize for it (.3 CPU
seconds); `test_curve` fits it again."""


def fit_curve(min_dist: float, spread: float) -> tuple[float, float]:
    """Fit `1 / (1 + a x^(2b))` to a membership of 1 up to `min_dist` that decays exponentially beyond.

    Parameters
    ----------
    min_dist
        Distance on the map up to which rows count as touching; at least 0, at most `spread`.
    spread
        Scale of the decay, above 0.

    Returns
    -------
    tuple[float, float]
        The parameters `a` and `b` of the curve.

    Raises
    ------
    InvalidInputError
        When the two are out of range.

    Notes
    -----
    Least squares over 300 points (McInnes, Healy, Melville 2018, arXiv 1802.03426, section 4.2);
    umap-learn 0.5.12 calls it `find_ab_params`.
    """
    values = {name: SETTINGS[name].check(value) for name, value in (("min_dist", min_dist), ("spread", spread))}
    check_together(values)
    asked = values["min_dist"], values["spread"]
    return _FITTED.get(asked) or _fit(*asked)


@functools.lru_cache(maxsize=256)
def _fit(min_dist: float, spread: float) -> tuple[float, float]:
    from scipy.optimize import curve_fit  # late: 0.3 s that an import of the engine need not pay

    # In units of the spread: at other scales the search starts too far off and passes through negative b.
    distance = np.linspace(0.0, 3.0, N_SAMPLES)
    target = np.where(distance < min_dist / spread, 1.0, np.exp(min_dist / spread - distance))
    (a, b), _ = curve_fit(_membership, distance, target)
    return float(a / spread ** (2.0 * b)), float(b)


def _membership(distance: npt.NDArray[np.float64], a: float, b: float) -> npt.NDArray[np.float64]:
    return 1.0 / (1.0 + a * distance ** (2.0 * b))
