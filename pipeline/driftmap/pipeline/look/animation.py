"""An animation of the maps: points move from window to window, those that leave fade, those that enter appear."""

from __future__ import annotations

import itertools
import sys
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.errors import PictureError
from driftmap.pipeline.look import movie_files
from driftmap.pipeline.look.frames import draw_points, make_stamp, move_points, pair_windows
from driftmap.pipeline.look.picture_files import check_format
from driftmap.pipeline.look.sequence import as_sequence
from driftmap.pipeline.look.stage import build_stage
from driftmap.pipeline.store.disk.output_files import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from driftmap.engine import AlignedUMAP
    from driftmap.pipeline.look.colours import Colouring
    from driftmap.pipeline.look.sequence import MapSequence
    from driftmap.pipeline.look.stage import Stage
    from driftmap.pipeline.store import Store

    Array = npt.NDArray[Any]

STEPS = 10
"""Frames from one window to the next."""

MAX_FRAMES = 600
"""Where the steps are not given, many windows get fewer each."""

HOLD_SECONDS = 0.4
"""How long every window stands still; the last one three times as long."""


def animate(
    maps: Store | MapSequence | AlignedUMAP | Sequence[npt.ArrayLike],
    path: str | Path,
    *,
    label: str | Sequence[npt.ArrayLike] | None = None,
    ids: Sequence[npt.ArrayLike] | None = None,
    names: Sequence[object] | None = None,
    steps: int | None = None,
    fps: int = 20,
    size: int = 560,
) -> Path | str:
    """Write an animation of the maps; a bar on standard error shows how far it is, where that is a terminal.

    Parameters
    ----------
    maps
        An opened store, a fitted `AlignedUMAP`, or one (n_t, c) array per window. Of three axes and more, the first two
        are drawn.
    path
        A .gif, .webp or .mp4 file, or the URL of one in a bucket; .mp4 needs the program ffmpeg.
    label
        What to colour by: of a store, the name of a label column, by default its first one; of a list, one array of
        labels or numbers per window.
    ids
        Of a list: entity ids, one array per window.
    names
        Names of the windows.
    steps
        Frames from one window to the next; 10, and fewer where that would be more than 600 in all.
    fps
        Frames in a second.
    size
        Width or height of the map in pixels, the longer one.

    Returns
    -------
    Path or str
        The path of the file, or its URL.

    Raises
    ------
    PictureError
        When it cannot be drawn as asked.
    MissingExtraError
        When matplotlib or pillow is not installed.
    """
    target = check_format(path, tuple(movie_files.WRITERS), "an animation")
    sequence = as_sequence(maps, label, ids, names)
    n_pairs = len(sequence.names) - 1
    if steps is None:
        steps = max(1, min(STEPS, MAX_FRAMES // max(1, n_pairs)))
    for name, value, low, high in (("steps", steps, 1, 1000), ("fps", fps, 1, 100), ("size", size, 100, 4000)):
        if not isinstance(value, int | np.integer) or not low <= value <= high:
            raise PictureError(f"{name} must be a whole number from {low} to {high}, got {value!r}")
    colouring = sequence.colouring()
    stage = build_stage(sequence, colouring, int(size))
    frames = _draw_frames(sequence, colouring, stage, steps, fps)
    write = movie_files.WRITERS[PurePath(target).suffix.lower()]
    with _show_progress(frames, n_pairs * steps + 1) as shown, whole_file(target, makes_folder=True) as unfinished:
        write(unfinished, movie_files.Movie(shown, fps, colouring.list_paints()))
    return target


class _Window(NamedTuple):
    entities: Array
    places: Array
    colours: Array


def _draw_frames(
    sequence: MapSequence, colouring: Colouring, stage: Stage, steps: int, fps: int
) -> Iterator[movie_files.Frame]:
    planes = sequence.planes()
    numbers = sequence.entities()
    last = len(planes) - 1
    lines, columns = stage.panel
    side = np.sqrt((lines.stop - lines.start) * (columns.stop - columns.start))
    n_most = max(int(np.isfinite(plane[:, 0]).sum()) for plane in planes)
    stamp = make_stamp(max(1.0, min(side / 130, 0.13 * side / np.sqrt(max(1, n_most)))))
    windows = [
        _Window(number, stage.place(plane), colouring.paint(index))
        for index, (number, plane) in enumerate(zip(numbers, planes, strict=True))
    ]
    hold = max(1, round(HOLD_SECONDS * fps))
    for index, (old, new) in enumerate(itertools.pairwise([*windows, windows[-1]])):
        pairing = pair_windows(*zip(old, new, strict=True))
        for step in range(steps if index < last else 1):
            part = step / steps
            nearest = index if part < 0.5 else index + 1
            frame = stage.dress(nearest, (index + part) / last if last else 1.0)
            draw_points(frame[lines, columns], *move_points(pairing, part), stamp)
            n_ticks = 1 if step else 3 * hold if index == last else hold
            yield movie_files.Frame((frame * 255 + 0.5).astype(np.uint8), n_ticks)


@contextmanager
def _show_progress(frames: Iterator[movie_files.Frame], total: int) -> Iterator[Iterator[movie_files.Frame]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("frames"), BarColumn(bar_width=32), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bars:
        yield iter(bars.track(frames, total=total))
