"""The square that holds the maps of a large store, in steps: found by the window that is read first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.look.page_data import DENSITY_CELLS, Frame, as_plane, is_placed

if TYPE_CHECKING:
    from collections.abc import Iterable

STEPS = 8191
"""Steps from the middle of the frame to its edge, to which positions are rounded."""
MARGIN = 1.25
"""Half of the frame, over half of the extent of the window that is read first: later ones may reach farther."""
NOWHERE = 1_000_000
"""Step at which rows without a place lie, and those that are farther away than a picture shows."""
_ROWS_COUNTED = 2**15

Array = npt.NDArray[Any]
Int64Array = npt.NDArray[np.int64]


def measure_live_frame(plane: npt.NDArray[np.float64]) -> Frame:
    """Measure the frame of all windows by a sample of one."""
    placed = plane[is_placed(plane)]
    if not len(placed):
        return Frame(np.zeros(2), 1.0, 1.0)
    low, high = placed.min(axis=0), placed.max(axis=0)
    half = max(float((high - low).max()) / 2, 1e-12) * MARGIN
    return Frame((low + high) / 2, half, float(np.sqrt(placed.var(axis=0).mean())) or 1.0)


def describe_frame(frame: Frame) -> dict[str, Any]:
    """Say what steps mean: middle and length of one, steps to the edge, and the spread in them."""
    return {
        "frame": [*frame.centre.tolist(), frame.half / STEPS],
        "steps": STEPS,
        "spread": frame.spread / frame.half * STEPS,
    }


def to_steps(frame: Frame, positions: Array, fineness: int = 1) -> npt.NDArray[np.int32]:
    """Round positions to parts of a step, `fineness` of each, (n, 2); those without a place lie NOWHERE."""
    plane = as_plane(positions)
    for k, middle in enumerate(frame.centre):  # numpy takes ten times as long for both at once
        plane[:, k] -= middle
    plane *= STEPS / frame.half
    inside = np.fmax(np.fmin(plane, NOWHERE), -NOWHERE)  # of a number and none it is the number
    return np.asarray(np.rint(inside * fineness), dtype=np.int32)


def count_cells(frame: Frame, parts: Iterable[Array]) -> Int64Array:
    """Count the rows in each cell of the frame; those outside it in the cell at its edge."""
    counts = np.zeros(DENSITY_CELLS**2, dtype=np.int64)
    for positions in parts:
        for start in range(0, len(positions), _ROWS_COUNTED):
            steps = to_steps(frame, positions[start : start + _ROWS_COUNTED])
            is_seen = np.abs(steps) < NOWHERE
            seen = steps if is_seen.all() else steps[is_seen[:, 0] & is_seen[:, 1]]
            cells = np.clip((seen + STEPS) * DENSITY_CELLS // (2 * STEPS), 0, DENSITY_CELLS - 1)
            counts += np.bincount(cells[:, 1] * DENSITY_CELLS + cells[:, 0], minlength=len(counts))
    return counts
