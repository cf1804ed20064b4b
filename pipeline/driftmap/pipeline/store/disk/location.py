"""Where a store lies: a folder, or a prefix of a bucket. Everything that knows the difference is here."""

from __future__ import annotations

import mimetypes
import os
import re
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import unquote

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore

from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store.disk.remote import BUCKETS, WEB, normalise_url, open_remote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from concurrent.futures import Future

    from driftmap.engine.errors import DriftmapError
    from driftmap.pipeline.store.disk.remote import Remote

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)

_MACHINE_ROLE = "://169.254.169.254/"
"""Where AWS's machines say what their role is, which is asked for credentials last of all."""

_N_REQUESTS = 16
"""Requests that are under way at once."""

_N_SYNCS = 8
"""Syncs that are under way at once."""


class Location:
    """A folder, or a URL of object storage, with the files below it; names of files have `/` between their parts.

    It is pickled as its text alone: credentials and open connections stay in the process that has them, and every
    process finds its own where AWS's tools do (environment, profile, the role of the machine).

    Parameters
    ----------
    given
        Path or URL; another location stands for itself.

    Raises
    ------
    StoreError
        When it is a URL of another kind.
    """

    noun: ClassVar[str] = "store"
    """What lies there, for messages."""
    error: ClassVar[type[DriftmapError]] = StoreError
    """What is raised."""
    schemes: ClassVar[tuple[str, ...]] = BUCKETS
    """What URLs may begin with, besides `file`."""

    def __init__(self, given: str | os.PathLike[str] | Location) -> None:
        self._text: str = str(given) if isinstance(given, Location) else self._normalise(given)

    @classmethod
    def of(cls, given: str | os.PathLike[str] | Location) -> Location:
        """Give a location itself, and that of a path."""
        return given if isinstance(given, Location) else cls(given)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Location({self._text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Location) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._text,)

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return "://" not in self._text  # a path has no two slashes in a row

    @property
    def path(self) -> Path | str:
        """As a user says it: a path, or the text of a URL."""
        return Path(self._text) if self.is_local else self._text

    @property
    def folder(self) -> Path:
        """The folder; only where `is_local`."""
        if not self.is_local:
            raise self.error(f"{self} is no folder of this machine")
        return Path(self._text)

    @cached_property
    def files(self) -> LocalStore | Remote:
        """The files as obstore has them; a local folder must exist."""
        return LocalStore(prefix=self.folder) if self.is_local else open_remote(self._text)

    def below(self, name: str) -> Self:
        """Give what has this name, below the location."""
        return type(self)(self.name(name))

    def name(self, file: str) -> str:
        """Give the whole path or URL of a file, for messages."""
        return str(self.folder / file) if self.is_local else f"{self}/{file}"

    def exists(self) -> bool:
        """Whether the folder is there; of a bucket only its files tell."""
        with self._explain("read"):
            return not self.is_local or self.folder.exists()

    def has(self, file: str) -> bool:
        """Whether a file is there."""
        with self._explain("read"):
            if self.is_local:
                return os.path.isfile(self._find_local(file))  # noqa: PTH113 - a Path costs as much again
            try:
                obstore.head(self.files, file)
            except FileNotFoundError:
                return False
        return True

    def read(self, file: str) -> bytes | None:
        """Read a whole file; None where there is none."""
        with self._explain("read"):
            if self.is_local:
                return self._read_local(file)
            try:
                return obstore.get(self.files, file).bytes().to_bytes()
            except FileNotFoundError:
                return None

    def read_range(self, file: str, start: int, n_bytes: int) -> memoryview:
        """Read a part of a file."""
        with self._explain("read"):
            if not self.is_local:
                return memoryview(obstore.get_range(self.files, file, start=start, length=n_bytes))
            with open(self._find_local(file), "rb", buffering=0) as opened:  # noqa: PTH123 - a Path costs as much again
                opened.seek(start)
                return memoryview(opened.read(n_bytes))

    def _read_local(self, file: str) -> bytes | None:
        # Through obstore a small file takes .3 ms of a core, ten times as much as here.
        try:
            with open(self._find_local(file), "rb", buffering=0) as opened:  # noqa: PTH123 - a Path costs as much again
                return opened.readall()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    def _find_local(self, file: str) -> str:
        """Give the path of a file below the folder; names come from a log that may be damaged, or of other hands."""
        if file.startswith("/") or ".." in file.split("/") or "\0" in file:
            raise self.error(f"the {self.noun} {self} names a file outside of itself, {file!r}: its log is damaged")
        return f"{self._text}{os.sep}{file}"

    def create(self, file: str, content: bytes) -> bool:
        """Write a new file, whole or not at all; returns False where one is there that this call did not write."""
        return self.create_all([(file, content)])

    def create_all(
        self,
        files: Iterable[tuple[str, bytes]],
        *,
        marks: Mapping[str, bytes] | None = None,
        unsynced: list[str] | None = None,
    ) -> bool:
        """Write new files, the last one after all others; False where one was there, and some may be written then.

        In a folder, they and the names of their folders are on the disk before this returns: each folder is synced
        once. Over a network they are written in parallel.

        Parameters
        ----------
        files
            Name and content of each, at least one; taken as they are written, so that they need not all be held.
        marks
            Files that are written first, over those that may be there: any writer writes the same.
        unsynced
            Takes the names of all files of a folder, which are on the disk only once `sync` was called with them.
        """
        with self._explain("written"):
            for name, content in (marks or {}).items():
                obstore.put(self.files, name, content)
            if self.is_local:
                names = list(marks or ())
                for name, content in files:
                    if not self._put_new(name, content):
                        return False
                    names.append(name)
                if unsynced is None:
                    self._sync(names)
                else:
                    unsynced += names
                return True
            return self._put_all(iter(files))

    def _put_all(self, files: Iterator[tuple[str, bytes]]) -> bool:
        """Put new files into a bucket, some at once; the last one when all others are there."""
        last = next(files)
        with ThreadPoolExecutor(_N_REQUESTS) as pool:
            under_way: deque[Future[bool]] = deque()
            for following in files:
                under_way.append(pool.submit(self._put_new, *last))
                last = following
                if len(under_way) == _N_REQUESTS and not under_way.popleft().result():
                    return False
            if not all(put.result() for put in list(under_way)):
                return False
        return self._put_new(*last)

    def _put_new(self, file: str, content: bytes) -> bool:
        try:
            obstore.put(self.files, file, content, mode="create")
        except AlreadyExistsError:
            # A put whose answer was lost is sent again, and then finds what it wrote itself.
            return not self.is_local and self.read(file) == content
        return True

    def replace(self, file: str, content: bytes) -> None:
        """Write a file, whole or not at all, over one that may be there."""
        with self._explain("written"):
            obstore.put(self.files, file, content)
            if self.is_local:
                self._sync([file])

    def upload(self, name: str, file: Path) -> None:
        """Write a file of this machine over one that may be there, in pieces where it is large."""
        media_type = mimetypes.guess_type(name)[0]
        with self._explain("written"):
            obstore.put(self.files, name, file, attributes={"Content-Type": media_type} if media_type else None)

    def sync(self, files: Iterable[str]) -> None:
        """Have files of `create_all` on the disk, in a folder, before anything that rests on them is written."""
        if self.is_local:
            with self._explain("written"):
                self._sync(files)

    def _sync(self, files: Iterable[str]) -> None:
        names = dict.fromkeys(files)
        if os.name == "posix":  # elsewhere folders cannot be opened
            names |= dict.fromkeys(_list_folders(names))
        folder = self.folder
        paths = [folder / name for name in names]
        if len(paths) <= _N_SYNCS:
            for path in paths:
                _sync_path(path)
            return
        with ThreadPoolExecutor(_N_SYNCS) as pool:  # the file system writes its journal once for several
            list(pool.map(_sync_path, paths))

    def delete(self, files: Iterable[str]) -> None:
        """Delete files; those that are gone already do not matter."""
        with self._explain("written"):
            for file in files:
                try:
                    obstore.delete(self.files, file)
                except FileNotFoundError:
                    continue

    def list(self, prefix: str = "") -> dict[str, int]:
        """List the files below a prefix (a whole part of a path), with their sizes in bytes."""
        with self._explain("read"):
            return {
                entry["path"]: entry["size"]
                for batch in obstore.list(self.files, prefix=prefix or None)
                for entry in batch
            }

    def list_top(self) -> set[str]:
        """List the names right below the location, of files and of folders; empty where it does not exist."""
        if self.is_local:
            with self._explain("read"):
                return {entry.name for entry in self.folder.iterdir()} if self.folder.exists() else set()
        with self._explain("read"):
            found = obstore.list_with_delimiter(self.files)
        return {*found["common_prefixes"], *(entry["path"] for entry in found["objects"])}

    def list_folders(self) -> tuple[str, ...]:
        """List the names of the folders right below the location, in order."""
        with self._explain("read"):
            if self.is_local:
                return tuple(sorted(entry.name for entry in self.folder.iterdir() if entry.is_dir()))
            return tuple(sorted(obstore.list_with_delimiter(self.files)["common_prefixes"]))

    @contextmanager
    def _explain(self, what: str) -> Iterator[None]:
        """Raise what files raise as an error that says what to do; `what` could not be done: read, written."""
        if what == "written" and self._is_gone():  # which would be made again, with this file alone
            raise self.explain_gone()
        try:
            yield
        except (BaseError, OSError) as error:
            if self._is_gone():
                raise self.explain_gone() from error
            said = shorten_error(error)
            if self.is_local:
                advice = f"{'look at its disk, or at' if what == 'read' else 'make room, or look at'} its permissions"
            elif "NoSuchBucket" in said:
                said, advice = "there is no such bucket", "make it, or name another"
            elif _MACHINE_ROLE in said:
                said = "no credentials are in the environment or a profile, and this machine has no role"
                advice = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            else:
                advice = "look at the network and the credentials"
            raise self.error(f"the {self.noun} {self} cannot be {what}: {said}; {advice}") from error

    def _is_gone(self) -> bool:
        if self.is_local:
            try:
                os.stat(self._text)  # noqa: PTH116 - a Path costs as much again
            except (FileNotFoundError, NotADirectoryError):
                return True
            except OSError:  # such as a name that is too long
                return False
        return False

    def explain_gone(self) -> DriftmapError:
        """Make the error of a folder that was there when it was opened."""
        return self.error(
            f"the {self.noun} {self} is not there any more: it was moved, renamed or deleted meanwhile; put it back, "
            "or name where it is now, and run the same command again"
        )

    @classmethod
    def _normalise(cls, given: str | os.PathLike[str]) -> str:
        try:
            text = os.fspath(given)
        except TypeError as error:
            raise cls.error(f"the {cls.noun} is {given!r}; a path or URL was expected, as text or a Path") from error
        if not isinstance(text, str):
            raise cls.error(f"the {cls.noun} is {given!r}, which is bytes; a path or URL as text was expected")
        if not text:
            raise cls.error(f"the {cls.noun} is an empty text; a path or URL was expected, such as . for this folder")
        if "\0" in text:
            raise cls.error(f"the {cls.noun} is {text!r}; no path or URL holds a zero character: leave it out")
        match = _SCHEME.fullmatch(text)
        if match is None:
            return str(Path(text).expanduser().absolute())
        scheme, rest = match[1].lower(), match[2]
        if "@" in rest:  # not shown: it may be a password
            raise cls.error(
                f"a {scheme} URL with '@' in it was given; leave credentials out, they come from the environment"
            )
        if scheme == "file":
            return str(Path(unquote(f"/{rest.removeprefix('localhost/')}")).absolute())
        after = text[len(scheme) :].removeprefix("://")  # a third slash would leave the bucket out
        url = normalise_url(scheme, after) if scheme in cls.schemes else None
        if url is None:
            others = ", ".join(f"{one}://" for one in (*cls.schemes, "file") if one not in (scheme, "s3"))
            form = f"{scheme}://{'HOST/FILE' if scheme in WEB else 'BUCKET/PREFIX'}"
            advice = f"{form}, as text" if scheme in cls.schemes else f"a folder, or s3://BUCKET/PREFIX (also {others})"
            raise cls.error(f"{text!r} is no place for a {cls.noun}; give {advice}")
        return url


def _list_folders(files: Iterable[str]) -> set[str]:
    """List the folders that name files, and those that name these; empty: the location itself."""
    folders = {""} if files else set()
    for file in files:
        folder = file.rpartition("/")[0]
        while folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return folders


def _sync_path(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def shorten_error(error: BaseException) -> str:
    """Say what an error of obstore says, without the inner state that it prints with it."""
    text = str(error).partition("\n\nDebug source")[0]
    code = re.search(r"<Code>([^<]*)</Code>", text)
    text = text.partition("<?xml")[0].strip().rstrip(":")
    return f"{text} ({code[1]})" if code else text
