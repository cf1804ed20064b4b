"""Panels of very many points: their density, through datashader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.look.extras import load_extra

if TYPE_CHECKING:
    Array = npt.NDArray[Any]

FAINTEST = 0.25
"""Opacity of a pixel with one point; that of the fullest one is 1, and it grows with the logarithm between."""


def shade_points(plane: Array, colours: Array, low: Array, high: Array, size: tuple[int, int]) -> Array:
    """Draw points as a picture: a pixel has the mean colour of its points, and is the fuller the more there are.

    Parameters
    ----------
    plane, colours
        Positions (n, 2), rows with NaN left out, and colours (n, 3) in [0, 1].
    low, high
        Corners of the picture, (2,) each.
    size
        Its width and height in pixels.

    Returns
    -------
    float32 (height, width, 4) in [0, 1], the first line on top.
    """
    datashader = load_extra("datashader", "a panel of very many points")
    pandas = load_extra("pandas", "a panel of very many points")
    has_place = np.isfinite(plane[:, 0])
    columns = {"x": plane[has_place, 0], "y": plane[has_place, 1]}
    columns |= {name: colours[has_place, axis] for axis, name in enumerate("rgb")}
    canvas = datashader.Canvas(*size, x_range=(float(low[0]), float(high[0])), y_range=(float(low[1]), float(high[1])))
    sums = {name: datashader.sum(name) for name in "rgb"}
    drawn = canvas.points(pandas.DataFrame(columns), "x", "y", agg=datashader.summary(n=datashader.count(), **sums))
    count = drawn["n"].to_numpy().astype(np.float32)
    mean = np.stack([drawn[name].to_numpy() for name in "rgb"], axis=-1) / np.maximum(count, 1)[..., None]
    fullest = max(float(np.log1p(count.max())), float(np.log(3)))
    weight = FAINTEST + (1 - FAINTEST) * (np.log1p(count) - np.log(2)) / (fullest - np.log(2))
    shaded = np.concatenate([np.nan_to_num(mean), np.where(count > 0, weight, 0)[..., None]], axis=-1)
    clipped: Array = np.clip(shaded[::-1], 0, 1).astype(np.float32)
    return clipped
