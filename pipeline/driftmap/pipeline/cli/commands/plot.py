"""`driftmap plot`: pictures of a store."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from driftmap.pipeline.cli.groups import DrawnGroup
from driftmap.pipeline.cli.lines import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from driftmap.pipeline.look import MapSequence


def _picture(kinds: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the store and what every picture takes."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        options = (
            click.option("-o", "--output", required=True, metavar="FILE", help=f"The file to write: {kinds}."),
            click.option("--label", metavar="COLUMN", help="Label column to colour by; the first one when left out."),
            click.option(
                "--window",
                multiple=True,
                metavar="LABEL",
                help="A window to draw, by its label; give it several times for several. All when left out.",
            ),
        )
        for option in reversed(options):
            command = option(command)
        return click.argument("store")(command)

    return decorate


@click.group(
    cls=DrawnGroup, short_help="Draw the maps: grid, points, connectivity, curves, animation, river or change."
)
def plot() -> None:
    """Draw the maps of a store as a picture; needs what `pip install 'driftmap[plot]'` brings."""


@plot.command(short_help="All windows next to each other.")
@_picture(".png, .svg or .pdf")
@click.option("--shared", is_flag=True, help="Grey out rows whose id was not in the window before.")
@click.option("--highlight", multiple=True, metavar="ID", help="An id to mark in every window; several times for more.")
@click.option("--title", help="Heading of the picture.")
def grid(
    store: str, output: str, highlight: tuple[str, ...], title: str | None, *, shared: bool, **chosen: Any
) -> None:
    """Draw the maps of all windows of STORE next to each other, with common axes."""
    from driftmap.pipeline.look import plot_grid

    marked = _choose_marked(highlight, shared=shared)
    maps = _read(store, **chosen)
    with _name_file(output):
        plot_grid(maps, output, highlight=marked, title=title)
    say(f"Picture: {output}")


_OUTPUT = click.option("-o", "--output", required=True, metavar="FILE", help="The file to write: .png, .svg or .pdf.")
_WINDOW = click.option("--window", metavar="LABEL", help="The window to draw, by its label; the newest when left out.")
_ROW_LABEL = click.option("--label", metavar="COLUMN", help="Label column to colour by; the first one when left out.")
_TITLE = click.option("--title", help="Heading of the picture.")


@plot.command(short_help="One window, large.")
@click.argument("store")
@_OUTPUT
@_ROW_LABEL
@_WINDOW
@click.option("--shared", is_flag=True, help="Grey out rows whose id was not in the window before.")
@click.option("--highlight", multiple=True, metavar="ID", help="An id to mark; several times for more.")
@_TITLE
def points(
    store: str, output: str, window: str | None, highlight: tuple[str, ...], *, shared: bool, **drawn: Any
) -> None:
    """Draw the map of one window of STORE; colours are those of all windows."""
    from driftmap.pipeline import open_store
    from driftmap.pipeline.look import plot_points

    marked = _choose_marked(highlight, shared=shared)
    with _name_file(output):
        plot_points(open_store(store), output, window=-1 if window is None else window, highlight=marked, **drawn)
    say(f"Picture: {output}")


@plot.command(short_help="One window, with the edges of its graph.")
@click.argument("store")
@_OUTPUT
@_ROW_LABEL
@_WINDOW
@click.option("--points/--no-points", "points", default=True, show_default=True, help="Rows on the edges.")
@_TITLE
def connectivity(store: str, output: str, window: str | None, *, points: bool, **drawn: Any) -> None:
    """Draw the map of one window of STORE, and which of its rows are neighbours in the data: dark where they are near.

    A long edge joins neighbours that lie apart on the map.
    """
    from driftmap.pipeline import open_store
    from driftmap.pipeline.look import plot_connectivity

    with _name_file(output):
        plot_connectivity(
            open_store(store), output, window=-1 if window is None else window, has_points=points, **drawn
        )
    say(f"Picture: {output}")


@plot.command("curves", short_help="Paths of entities through time, in space.")
@_picture(".html (a page that needs no network), .png, .svg or .pdf")
@click.option("--curves", type=click.IntRange(1), default=300, show_default=True, help="Ids at most.")
@click.option("--title", help="Heading of the picture.")
def draw_curves(store: str, output: str, curves: int, title: str | None, **chosen: Any) -> None:
    """Draw the paths of the ids of STORE over the map, with time as the third axis."""
    from driftmap.pipeline.look import plot_curves

    maps = _read(store, **chosen)
    with _name_file(output):
        plot_curves(maps, output, n_curves=curves, title=title)
    say(f"Picture: {output}")


@plot.command(short_help="Points moving from window to window.")
@_picture(".gif, .webp or .mp4 (which needs the program ffmpeg)")
@click.option("--steps", type=click.IntRange(1, 1000), help="Frames from a window to the next; at most 10 by default.")
@click.option("--fps", type=click.IntRange(1, 100), default=20, show_default=True, help="Frames in a second.")
@click.option("--size", type=click.IntRange(100, 4000), default=560, show_default=True, help="Pixels of the map.")
def animate(store: str, output: str, steps: int | None, fps: int, size: int, **chosen: Any) -> None:
    """Write an animation of the maps of STORE."""
    from driftmap.pipeline.look import animate as write_animation

    maps = _read(store, **chosen)
    with _name_file(output):
        written = write_animation(maps, output, steps=steps, fps=fps, size=size)
    size_said = "" if isinstance(written, str) else f" ({written.stat().st_size / 1e6:.1f} MB)"
    say(f"Animation: {written}{size_said}")


_LABEL = click.option(
    "--label", metavar="COLUMN", help='Label column, or "cluster"; the first column when left out, or the clusters.'
)


@plot.command(short_help="Rows of each label or cluster through time.")
@click.argument("store")
@_OUTPUT
@_LABEL
@_TITLE
def river(store: str, output: str, label: str | None, title: str | None) -> None:
    """Draw the rows of each label, or cluster, of STORE in every window as a band, and rows that change theirs."""
    from driftmap.pipeline import open_store
    from driftmap.pipeline.look import plot_river

    with _name_file(output):
        plot_river(open_store(store), output, label=label, title=title)
    say(f"Picture: {output}")


@plot.command(short_help="Two windows beside each other, and what changed in words.")
@click.argument("store")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@_OUTPUT
@_LABEL
@_TITLE
def change(store: str, a: str, b: str, output: str, label: str | None, title: str | None) -> None:
    """Draw the maps of the windows A and B of STORE, given by their labels, above what changed from A to B."""
    from driftmap.pipeline import open_store
    from driftmap.pipeline.look import plot_change

    with _name_file(output):
        plot_change(open_store(store), a, b, output, label=label, title=title)
    say(f"Picture: {output}")


def _read(store: str, label: str | None, window: tuple[str, ...]) -> MapSequence:
    from driftmap.pipeline import open_store
    from driftmap.pipeline.look import read_sequence

    return read_sequence(open_store(store), label, window or None)


def _choose_marked(highlight: tuple[str, ...], *, shared: bool) -> str | tuple[str, ...] | None:
    if shared and highlight:
        raise click.UsageError("--shared and --highlight exclude each other")
    return "shared" if shared else highlight or None


@contextmanager
def _name_file(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise click.FileError(path, str(error)) from error
