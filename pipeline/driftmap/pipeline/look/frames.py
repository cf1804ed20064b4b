"""Frames of an animation: points between two windows, drawn as soft dots into a picture, with numpy alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    Array = npt.NDArray[Any]
    Float32 = npt.NDArray[np.float32]

N_SHIFTS = 4
"""Dots are drawn at quarters of a pixel, so that slow ones glide."""


class Pairing(NamedTuple):
    """Two windows as points: where each is in both, and how visible."""

    start: Float32
    """(p, 2) in pixels; points that enter stand where they will be, points that leave stay where they were."""
    end: Float32
    colours: Float32
    """(p, 3) in [0, 1], before and after."""
    colours_after: Float32
    change: npt.NDArray[np.int8]
    """1 enters, -1 leaves, 0 stays."""


def pair_windows(
    entities: tuple[Array, Array], places: tuple[Float32, Float32], colours: tuple[Float32, Float32]
) -> Pairing:
    """Match the rows of a window with those of the next.

    Parameters
    ----------
    entities
        Numbers of the entities of both windows, (n,) and (m,), each number once.
    places
        Their places in pixels, (n, 2) and (m, 2); rows with NaN are left out.
    colours
        Their colours, (n, 3) and (m, 3).
    """
    (old_places, new_places), (old_colours, new_colours) = places, colours
    old_rows, new_rows = (np.flatnonzero(np.isfinite(one[:, 0])) for one in places)
    _, old_at, new_at = np.intersect1d(
        entities[0][old_rows], entities[1][new_rows], assume_unique=True, return_indices=True
    )
    stays_old, stays_new = old_rows[old_at], new_rows[new_at]
    leaves = np.delete(old_rows, old_at)
    enters = np.delete(new_rows, new_at)
    before = np.concatenate([old_colours[stays_old], old_colours[leaves], new_colours[enters]])
    after = np.concatenate([new_colours[stays_new], old_colours[leaves], new_colours[enters]])
    change = np.repeat(np.array([0, -1, 1], dtype=np.int8), [len(stays_old), len(leaves), len(enters)])
    start = np.concatenate([old_places[stays_old], old_places[leaves], new_places[enters]])
    end = np.concatenate([new_places[stays_new], old_places[leaves], new_places[enters]])
    return Pairing(start, end, before, after, change)


def move_points(pairing: Pairing, part: float) -> tuple[Float32, Float32, Float32]:
    """Say where points are, and their colour and opacity, a `part` of the way from a window to the next.

    Points start and stop gently; those that leave are gone at half the way, and from there those that enter appear.
    """
    eased = np.float32(part * part * (3 - 2 * part))
    places = pairing.start + (pairing.end - pairing.start) * eased
    colours = pairing.colours + (pairing.colours_after - pairing.colours) * eased
    gone, come = max(0.0, 1 - 2 * part), max(0.0, 2 * part - 1)
    opacity = np.array([1.0, come, gone], dtype=np.float32)[pairing.change]  # -1 counts from the end
    return places, colours, opacity


class Stamp(NamedTuple):
    """A dot's pixels, for each of the places between pixels it is drawn at."""

    offsets: npt.NDArray[np.int64]
    """(k, 2), column and line, from the pixel that the dot's middle is in."""
    weights: Float32
    """(N_SHIFTS, N_SHIFTS, k): how much of each pixel the dot covers, by the middle's shift across and down."""


def make_stamp(radius: float) -> Stamp:
    """Make the dot of a radius in pixels."""
    reach = int(np.ceil(radius + 0.5))
    steps = np.arange(-reach, reach + 1)
    offsets = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    shifts = (np.arange(N_SHIFTS) + 0.5) / N_SHIFTS - 0.5
    middles = np.stack(np.meshgrid(shifts, shifts, indexing="ij"), axis=-1)
    distances = np.linalg.norm(offsets[None, None] - middles[:, :, None], axis=-1)
    weights = np.clip(radius + 0.5 - distances, 0, 1)
    kept = weights.max(axis=(0, 1)) > 0.02
    return Stamp(offsets[kept].astype(np.int64), weights[:, :, kept].astype(np.float32))


def draw_points(canvas: Float32, places: Float32, colours: Float32, opacity: Float32, stamp: Stamp) -> None:
    """Draw dots onto a picture, in place.

    Where dots overlap the pixel has the mean of their colours, so the order of the points does not matter and nothing
    flickers. One pass of `numpy.bincount` per channel: 20,000 points in a picture of 640 x 640 take 43 ms of CPU, and
    203 ms as a matplotlib figure whose points are moved (both in one process; `test_frames_are_quick`).

    Parameters
    ----------
    canvas
        float32 (height, width, 3) in [0, 1].
    places
        (n, 2) across and down, in pixels; what lies outside is cut off.
    colours, opacity
        (n, 3) and (n,) in [0, 1].
    stamp
        The dot.
    """
    height, width, _ = canvas.shape
    shown = np.flatnonzero(opacity > 0)
    middles = np.floor(places[shown] + 0.5)
    shift = np.clip(((places[shown] + 0.5 - middles) * N_SHIFTS).astype(np.intp), 0, N_SHIFTS - 1)
    pixels = middles.astype(np.int64)[:, None] + stamp.offsets
    weights = stamp.weights[shift[:, 0], shift[:, 1]] * opacity[shown, None]
    is_inside = (pixels >= 0).all(axis=-1) & (pixels[..., 0] < width) & (pixels[..., 1] < height) & (weights > 0)
    flat = (pixels[..., 1] * width + pixels[..., 0])[is_inside]
    weights = weights[is_inside]
    total = np.bincount(flat, weights, minlength=height * width)
    touched = np.flatnonzero(total)
    cover = np.minimum(total[touched], 1)[:, None]
    n_pixels = is_inside.sum(axis=1)
    sums = [
        np.bincount(flat, weights * np.repeat(colours[shown, axis], n_pixels), minlength=height * width)[touched]
        for axis in range(3)
    ]
    mean = np.column_stack(sums) / total[touched, None]
    at = np.divmod(touched, width)  # the canvas may be a part of a larger one
    canvas[at] = canvas[at] * (1 - cover) + mean * cover
