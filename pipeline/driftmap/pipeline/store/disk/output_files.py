"""Output files that are whole or not there: written beside the target, then renamed."""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    OSError
        When the file cannot be written or renamed.
    """
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
