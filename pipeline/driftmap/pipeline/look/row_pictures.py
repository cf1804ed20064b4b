"""Pictures of rows: files that a shown column names, as small data URIs in the page."""

from __future__ import annotations

import base64
import io
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from driftmap.pipeline.errors import MissingExtraError, StoreWarning
from driftmap.pipeline.look.extras import load_extra
from driftmap.pipeline.sources.row_ranges import name_some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.pipeline.store import Store

LONGEST_SIDE = 160
"""Of a picture on the page, in pixels."""
MAX_PICTURE_BYTES = 3_000_000
"""Of all pictures of a page, as it holds them; later ones are left out, and the page says so."""
MAX_FILE_BYTES = 64 * 2**20
"""Larger files are not opened."""
MAX_PIXELS = 50_000_000
"""Of a picture before it is made small: what it takes in memory is four times that."""
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")
_ENDING = re.compile(r"\.(png|jpe?g|gif|webp|bmp|tiff?)$", re.IGNORECASE)
_ELSEWHERE = re.compile(r"^([a-z][a-z0-9+.-]+:|//|\\\\)", re.IGNORECASE)
"""A scheme, or the name of another machine."""
_QUALITY = 70


_LACKS = {
    "missing": "are not there",
    "unreadable": "cannot be read as pictures",
    "left out": f"do not fit the {MAX_PICTURE_BYTES / 1e6:.0f} MB that pictures may take on a page",
    "not made": "need pillow, which is not installed: pip install 'driftmap[plot]'",
}


class PictureReader:
    """Reads the pictures that values name by a path, up to the page's budget; each file once.

    Relative paths are of the source's folder. A value with a scheme, or of another machine, is never opened.

    Parameters
    ----------
    store
        Whose source tells the folder.
    """

    def __init__(self, store: Store) -> None:
        self._folder = _find_folder(str(store.config.get("source", {}).get("path") or ""))
        self._made: dict[str, tuple[str, str]] = {}
        self._lacks: dict[str, list[str]] = {}
        self._left = MAX_PICTURE_BYTES

    def start(self) -> None:
        """Begin a page."""
        self._left, self._lacks = MAX_PICTURE_BYTES, {}

    def read(self, values: Sequence[str]) -> list[str]:
        """Read pictures.

        Returns
        -------
        For each value a data URI, or why its picture is not here (`missing`, `unreadable`, `left out`, `not made`);
        empty where it names none.
        """
        return [self._read_one(value) if is_picture_path(value) else "" for value in values]

    def warn(self) -> None:
        """Say which pictures are not on the page."""
        for why, names in self._lacks.items():
            some = name_some([repr(name) for name in names])
            warnings.warn(
                f"{len(names):,} pictures of rows {_LACKS[why]} ({some}); the page has their paths as text",
                StoreWarning,
                stacklevel=2,
            )

    def _read_one(self, value: str) -> str:
        if value not in self._made and self._left > 0:
            self._made[value] = self._make(value)
        uri, why = self._made.get(value, ("", "left out"))
        if len(uri) > self._left:
            self._left, uri, why = 0, "", "left out"
        self._left -= len(uri)
        if why:
            self._lacks.setdefault(why, []).append(value)
        return uri or why

    def _make(self, value: str) -> tuple[str, str]:
        path = Path(value) if self._folder is None else self._folder / value
        try:
            if not path.is_absolute() or not path.is_file():
                return "", "missing"
            return (make_uri(path), "") if path.stat().st_size <= MAX_FILE_BYTES else ("", "unreadable")
        except MissingExtraError:
            return "", "not made"
        except (OSError, ValueError, SyntaxError, EOFError):  # what Pillow raises of files that are none, or are torn
            return "", "unreadable"


def is_picture_path(value: str) -> bool:
    """Whether a value is the path of a picture on this machine, by its ending."""
    return bool(_ENDING.search(value)) and not _ELSEWHERE.match(value) and value.isprintable()


def make_uri(path: Path) -> str:
    """Make a picture small, and its pixels alone a data URI: nothing else of the file goes along.

    Raises
    ------
    OSError, ValueError, SyntaxError, EOFError
        When it is no picture of a known format, too large, or torn.
    """
    pil: Any = load_extra("PIL.Image", "a picture of a row")
    turn: Any = load_extra("PIL.ImageOps", "a picture of a row").exif_transpose
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes, which are looked at here, and of odd metadata, which is left out
        try:
            with pil.open(path, formats=_FORMATS) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise ValueError(f"{path} has {picture.width} x {picture.height} pixels")
                picture.draft("RGB", (2 * LONGEST_SIDE, 2 * LONGEST_SIDE))  # of JPEG: decoded small
                is_clear = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
                drawn = turn(picture).convert("RGBA" if is_clear else "RGB")
        except pil.DecompressionBombError as error:
            raise ValueError(str(error)) from error
    drawn.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    drawn.info.clear()
    written = io.BytesIO()
    if is_clear:
        drawn.save(written, "PNG", optimize=True)
    else:
        drawn.save(written, "JPEG", quality=_QUALITY, optimize=True)
    kind = "png" if is_clear else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(written.getvalue()).decode('ascii')}"


def _find_folder(source: str) -> Path | None:
    """Find the folder that relative paths are of: that of the source's file, or the source's own."""
    if not source or "://" in source:
        return None
    path = Path(source)
    return path if path.is_dir() and path.suffix != ".zarr" else path.parent
