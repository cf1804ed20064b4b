"""Pictures as files: which endings there are, and figures that are written the same way every time."""

from __future__ import annotations

from io import BytesIO
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from driftmap.pipeline.errors import PictureError
from driftmap.pipeline.look.extras import load_extra
from driftmap.pipeline.look.text import accept_any_weight
from driftmap.pipeline.store.disk.output_files import check_output, read_path, whole_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DPI = 150


def check_format(path: str | Path, formats: Sequence[str], what: str) -> Path | str:
    """Return the path or URL of a picture, whose ending says how it is written; before any work.

    Raises
    ------
    PictureError
        When it has another ending.
    ConfigError
        When it is a URL that cannot be written to.
    """
    name = PurePath(read_path(path))
    if name.suffix.lower() not in formats:
        raise PictureError(f"{what} cannot be written as {name.name!r}; end its name in {', '.join(formats)}")
    return check_output(path)


def make_figure(size: tuple[float, float], purpose: str) -> Any:
    """Make an empty figure of matplotlib that shows itself in notebooks, without pyplot.

    Parameters
    ----------
    size
        Width and height, in inches.
    purpose
        What it is needed for, as `load_extra` has it.

    Raises
    ------
    MissingExtraError
        When matplotlib is not installed.
    """

    class Figure(load_extra("matplotlib.figure", purpose).Figure):  # type: ignore[misc]
        """A figure that shows itself in notebooks."""

        def draw(self, renderer: Any) -> None:
            with accept_any_weight():
                super().draw(renderer)

        def _repr_png_(self) -> bytes:
            written = BytesIO()
            self.savefig(written, dpi=100, format="png")
            return written.getvalue()

    return Figure(figsize=size, facecolor="white")


def save_figure(figure: Any, target: Path | str) -> None:
    """Write a figure; the same figure gives the same bytes."""
    matplotlib = load_extra("matplotlib", "writing a picture")
    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(PurePath(target).suffix.lower(), {})
    settings = {"svg.hashsalt": "driftmap", "pdf.fonttype": 42}
    content = BytesIO()  # on a full disk the writer of PDF would raise an error of its own
    with matplotlib.rc_context(settings):
        figure.savefig(content, dpi=DPI, metadata=undated, format=PurePath(target).suffix.lower().removeprefix("."))
    with whole_file(target, makes_folder=True) as unfinished:
        unfinished.write_bytes(content.getvalue())
