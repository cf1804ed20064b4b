"""Output files in a bucket: written on this machine, then sent as one object, which is there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import obstore

from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.disk.remote import BUCKETS, is_bucket

if TYPE_CHECKING:
    from collections.abc import Iterator


class OutputObject:
    """An object to write.

    Parameters
    ----------
    given
        Its URL, as text: a path has lost a slash of it.
    scheme
        That of the URL.

    Raises
    ------
    ConfigError
        When it is a URL of something that is not written to, or of a whole bucket. A URL of another kind is not shown:
        it may hold a password.
    """

    def __init__(self, given: str | os.PathLike[str], scheme: str) -> None:
        if scheme not in BUCKETS or isinstance(given, PurePath):
            forms = ", ".join(f"{one}://BUCKET/FILE" for one in BUCKETS)
            raise ConfigError(
                f"a URL ({scheme}) was given as the file to write; a file of this machine was expected, or one in a "
                f"bucket, as text: {forms}"
            )
        whole = str(_OutputLocation(os.fspath(given)))
        if is_bucket(whole):
            raise ConfigError(f"{whole} names a whole bucket; a file to write in it was expected: {whole}/NAME")
        folder, _, self._name = whole.rpartition("/")
        self._folder = _OutputLocation(folder)

    def __str__(self) -> str:
        return self._folder.name(self._name)

    def check(self) -> None:
        """Ask the bucket whether it is there and may be read, with one request."""
        self._folder.check()

    @contextmanager
    def send_whole(self) -> Iterator[Path]:
        """Give a path of this machine to write to; what is written is sent at the end."""
        with tempfile.TemporaryDirectory(prefix="driftmap-") as room:
            unfinished = Path(room) / f"unfinished{PurePath(self._name).suffix}"
            yield unfinished
            self._folder.upload(self._name, unfinished)


class _OutputLocation(Location):
    noun = "output"
    error = ConfigError

    def check(self) -> None:
        with self._explain("read"):
            next(iter(obstore.list(self.files, chunk_size=1)), None)
