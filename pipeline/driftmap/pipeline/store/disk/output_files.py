"""Output files that are whole or not there, on this machine and in a bucket: written aside, then put in their place."""

from __future__ import annotations

import errno
import os
import re
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from driftmap.pipeline.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from driftmap.pipeline.store.disk.output_objects import OutputObject

_PAGE = ".html"
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")


@contextmanager
def whole_file(path: str | os.PathLike[str], *, makes_folder: bool = False) -> Iterator[Path]:
    """Give a path to write to, which becomes `path` when all is written; what fails or is stopped leaves the old file.

    Parameters
    ----------
    path
        The file to write. A device or a pipe is written to as it is. What a URL of object storage names is written on
        this machine first, and then sent as one object.
    makes_folder
        Whether its folder is made; it must exist else.

    Yields
    ------
    Path
        Of the same ending; of a file of this machine, in the same folder.

    Raises
    ------
    ConfigError
        When the path is a URL that cannot be written to, or a pipe that nobody reads.
    OSError
        When the file cannot be written or renamed.
    """
    place = _find_place(path)
    if not isinstance(place, Path):
        with place.send_whole() as unfinished:
            yield unfinished
        return
    if makes_folder:
        place.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        place.stat()  # a loop of links is no place for a file; it would be put in the place of one of them
    if place.exists() and not place.is_file():
        with _find_reader(place):
            yield place
        return
    real = Path(os.path.realpath(place))  # a link stays one, to a new file
    unfinished = real.with_name(f".{real.stem[:100]}.{uuid.uuid4().hex[:8]}{real.suffix}")
    try:
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        if real.exists():
            unfinished.chmod(real.stat().st_mode & 0o7777)
        unfinished.replace(real)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _find_reader(place: Path) -> Iterator[None]:
    """Refuse a pipe that nobody reads: who writes to it would wait for ever; others stay open until all is written."""
    if not place.is_fifo():
        yield
        return
    try:
        held = os.open(place, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        raise ConfigError(f"{place} is a pipe that no process reads; start its reader first, or name a file") from error
    try:
        yield
    finally:
        os.close(held)


def check_output(path: str | os.PathLike[str]) -> Path | str:
    """Look at the name of a file to write, before any work; a bucket is asked whether it is there.

    Returns
    -------
    Path or str
        A path of this machine, or the URL of an object in one form.

    Raises
    ------
    ConfigError
        When it is a URL of something that is not written to, or its bucket cannot be reached.
    """
    place = _find_place(path)
    if isinstance(place, Path):
        return place
    place.check()
    return str(place)


def check_page(path: str | os.PathLike[str]) -> Path | str:
    """Look at the name of a page to write, as `check_output` does; a page by another ending opens as something else.

    Raises
    ------
    ConfigError
        When the name does not end in .html or .htm, and is of no device or pipe; or as `check_output` does.
    """
    place = check_output(path)
    name = PurePath(place)
    is_stream = isinstance(place, Path) and place.exists() and not place.is_file() and not place.is_dir()
    if name.suffix.lower() not in (_PAGE, ".htm") and not is_stream:
        what = f"ends in {name.suffix!r}" if name.suffix else "has no ending"
        raise ConfigError(f"the name of the page to write, {path}, {what}; one that ends in {_PAGE} was expected")
    return place


def refuse_overwriting(path: str | os.PathLike[str], inputs: Iterable[object]) -> None:
    """Refuse to write over a file that was read: its rows would be lost.

    Parameters
    ----------
    path
        The file to write.
    inputs
        Files that were read, and folders of such; what is no path of this machine is passed over.

    Raises
    ------
    ConfigError
        When the file is there, and is one of them or lies in one; pages may lie beside a source's files.
    """
    place = Path(os.path.realpath(read_path(path)))
    for one in inputs:
        if isinstance(one, str | os.PathLike) and os.fspath(one) and place.is_file():
            read = Path(os.path.realpath(os.fspath(one)))
            if place == read or (read in place.parents and place.suffix.lower() != _PAGE):
                raise ConfigError(f"{path} would be written over what is read ({one}); name another file to write")


def read_path(path: str | os.PathLike[str]) -> str:
    """Read the path or URL of a file to write.

    Raises
    ------
    ConfigError
        When it is neither.
    """
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str):
        raise ConfigError(f"the file to write is {path!r}; a path or URL was expected, as text or a Path")
    if "\0" in text:
        raise ConfigError(f"the file to write is {text!r}; no path or URL holds a zero character: leave it out")
    return text


def _find_place(path: str | os.PathLike[str]) -> Path | OutputObject:
    scheme = _URL.match(read_path(path))
    if scheme is None:
        return Path(path)
    from driftmap.pipeline.store.disk.output_objects import OutputObject  # late: loads obstore

    return OutputObject(path, scheme[1].lower())
