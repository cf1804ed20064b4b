"""Frames -> a GIF, WebP or MP4 file, one frame in memory at a time."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.errors import PictureError
from driftmap.pipeline.look.extras import load_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Array = npt.NDArray[Any]

N_STEPS = 32
"""Steps of each channel in the table that finds a GIF's colours."""


class Frame(NamedTuple):
    """One picture, and for how many ticks of the clock it stands."""

    picture: npt.NDArray[np.uint8]
    """(height, width, 3)."""
    n_ticks: int


class Movie(NamedTuple):
    """What is to be written."""

    frames: Iterator[Frame]
    fps: int
    colours: npt.NDArray[np.float32]
    """(c, 3) in [0, 1]: what the frames are painted with, on white."""


def write_gif(path: Path, movie: Movie) -> None:
    """Write a GIF with one palette for all frames, so that colours never flicker."""
    palette = mix_palette(movie.colours)
    table = _find_nearest(palette)
    flat = (palette * 255 + 0.5).astype(np.uint8).ravel().tolist()
    image = load_extra("PIL.Image", "an animation")

    def draw(picture: Array) -> Any:
        red, green, blue = (picture[..., axis].astype(np.intp) * N_STEPS // 256 for axis in range(3))
        drawn = image.fromarray(table[(red * N_STEPS + green) * N_STEPS + blue])
        drawn.putpalette(flat)
        return drawn

    # GIF counts time in hundredths of a second, and viewers take less than two of them for ten.
    _save(path, movie, draw, max(20, round(100 / movie.fps) * 10), {"optimize": False})


def write_webp(path: Path, movie: Movie) -> None:
    """Write an animated WebP."""
    image = load_extra("PIL.Image", "an animation")
    _save(path, movie, image.fromarray, round(1000 / movie.fps), {"quality": 80, "method": 2})


def write_mp4(path: Path, movie: Movie) -> None:
    """Write an MP4 through ffmpeg.

    Raises
    ------
    PictureError
        When there is no ffmpeg, or it fails.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise PictureError(
            "an .mp4 is written by the program ffmpeg, which is not on the PATH; "
            "install it, or end the name in .gif or .webp"
        )
    first = next(movie.frames)
    height, width, _ = first.picture.shape
    given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(movie.fps), "-i", "-"]
    wanted = ["-an", "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path)]
    # Without -xerror versions before 6 end well where the disk is full, and leave a file that nothing plays.
    command = [program, "-hide_banner", "-loglevel", "error", "-xerror", "-y", *given, *wanted]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # noqa: S603 - no shell
        try:
            with suppress(BrokenPipeError):  # it failed, and says why below
                _feed(process.stdin, first, movie.frames)
        except BaseException:
            process.kill()
            raise
        _, said = process.communicate()
    if process.returncode:
        lines = said.decode(errors="replace").strip().splitlines() or ["no message"]
        raise PictureError(f"ffmpeg could not write {path.suffix} ({lines[-1]}); try .gif or .webp")


WRITERS: dict[str, Callable[[Path, Movie], None]] = {".gif": write_gif, ".webp": write_webp, ".mp4": write_mp4}
"""By the ending of the file's name."""


def mix_palette(colours: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Mix the 256 colours of a GIF: greys, and the given colours, pure and in pairs, in steps towards white.

    Parameters
    ----------
    colours
        (c, 3) in [0, 1]; of many, evenly chosen ones, since neighbours on a scale need no mixing.

    Returns
    -------
    float32 (256, 3).
    """
    base = colours[np.unique(np.linspace(0, len(colours) - 1, min(len(colours), 24)).astype(int))]
    greys = np.repeat(np.linspace(0, 1, 24, dtype=np.float32)[:, None], 3, axis=1)
    pairs = np.array([(base[i] + base[j]) / 2 for i in range(len(base)) for j in range(i)]).reshape(-1, 3)
    room = 256 - len(greys)
    n_pairs = min(len(pairs), max(0, room - 8 * len(base)))
    chosen = pairs[np.unique(np.linspace(0, max(0, len(pairs) - 1), n_pairs).astype(int))] if n_pairs else pairs[:0]
    levels = np.linspace(1, 0, (room - len(chosen)) // len(base), endpoint=False)
    tints = [1 - (1 - base) * level for level in levels]
    mixed = np.concatenate([greys, chosen, *tints])
    padding = np.ones((256 - len(mixed), 3))
    return np.concatenate([mixed, padding]).astype(np.float32)


def _find_nearest(palette: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    steps = np.linspace(0, 1, N_STEPS, dtype=np.float32)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    distances = (palette**2).sum(axis=1) - 2 * grid @ palette.T
    return np.asarray(distances.argmin(axis=1), dtype=np.uint8)


def _save(path: Path, movie: Movie, draw: Callable[[Array], Any], tick: int, options: dict[str, Any]) -> None:
    durations: list[int] = []

    def pictures() -> Iterator[Any]:
        for frame in movie.frames:
            durations.append(tick * frame.n_ticks)  # pillow looks a frame's up after it has taken the frame
            yield draw(frame.picture)

    following = pictures()
    first = next(following)
    first.save(path, save_all=True, append_images=following, duration=durations, loop=0, **options)


def _feed(pipe: Any, first: Frame, others: Iterator[Frame]) -> None:
    for _ in range(first.n_ticks):
        pipe.write(first.picture.tobytes())
    for frame in others:
        for _ in range(frame.n_ticks):
            pipe.write(frame.picture.tobytes())
