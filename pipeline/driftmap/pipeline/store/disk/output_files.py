"""Output files that are whole or not there: written beside the target, then renamed."""

from __future__ import annotations

import os
import re
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from driftmap.pipeline.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a path to write to, which becomes `path` when all is written; what fails or is stopped leaves the old file.

    Parameters
    ----------
    path
        The file to write. Its folder must exist; a device or a pipe is written to as it is.

    Yields
    ------
    Path
        Of the same ending, in the same folder.

    Raises
    ------
    ConfigError
        When the path is a URL.
    OSError
        When the file cannot be written or renamed.
    """
    refuse_url(path)
    target = Path(path)
    with suppress(FileNotFoundError):
        target.stat()  # a loop of links is no place for a file; it would be put in the place of one of them
    if target.exists() and not target.is_file():
        yield target
        return
    real = Path(os.path.realpath(target))  # a link stays one, to a new file
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


def refuse_url(path: str | os.PathLike[str]) -> None:
    """Refuse a URL where a file of this machine is to be written: as a path it would be a folder named after it.

    Raises
    ------
    ConfigError
        Without the URL, which may hold a password.
    """
    found = _URL.match(os.fspath(path))
    if found is not None:
        raise ConfigError(
            f"a URL ({found[1]}) was given as the file to write; a file of this machine was expected: write it here, "
            "then upload it"
        )
