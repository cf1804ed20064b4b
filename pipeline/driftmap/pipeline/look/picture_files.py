"""Pictures as files: which endings there are, and figures that are written the same way every time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from driftmap.pipeline.errors import PictureError
from driftmap.pipeline.look.extras import load_extra
from driftmap.pipeline.store.disk.output_files import refuse_url, whole_file

if TYPE_CHECKING:
    from collections.abc import Sequence

DPI = 150


def check_format(path: str | Path, formats: Sequence[str], what: str) -> Path:
    """Return the path of a picture, whose ending says how it is written.

    Raises
    ------
    PictureError
        When it has another ending.
    """
    target = Path(path)
    if target.suffix.lower() not in formats:
        raise PictureError(f"{what} cannot be written as {target.name!r}; end its name in {', '.join(formats)}")
    return target


def save_figure(figure: Any, target: Path) -> None:
    """Write a figure; the same figure gives the same bytes."""
    matplotlib = load_extra("matplotlib", "writing a picture")
    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(target.suffix.lower(), {})
    refuse_url(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    settings = {"svg.hashsalt": "driftmap", "pdf.fonttype": 42}
    with matplotlib.rc_context(settings), whole_file(target) as unfinished:
        figure.savefig(unfinished, dpi=DPI, metadata=undated)
