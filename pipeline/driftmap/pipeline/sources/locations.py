"""Where a source lies: on this machine, in a bucket, or on a web server. Who reads it knows no difference."""

from __future__ import annotations

import io
import shutil
from typing import TYPE_CHECKING, Any, Literal

import obstore
import pyarrow as pa
from pyarrow import fs

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.stamps import FileStamp
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.disk.remote import BUCKETS, WEB, is_bucket

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from typing import Self

    from obstore import ObjectMeta
    from typing_extensions import Buffer


class SourcePlace(Location):
    """A file or folder, of this machine, of object storage or (files only) of a web server.

    It is read; only files that cannot be used are moved away.
    """

    noun = "source"
    error = SourceError
    schemes = (*BUCKETS, *WEB)

    def find_kind(self) -> Literal["file", "folder"] | None:
        """Say what is there; None for nothing. A pipe, which can be read only once, is refused, and so is a device."""
        if self.is_local:
            if self.folder.exists() and not (self.folder.is_dir() or self.folder.is_file()):
                raise SourceError(f"{self} is a pipe, socket or device; a file or folder was expected: write it to one")
            return "folder" if self.folder.is_dir() else "file" if self.folder.exists() else None
        if not is_bucket(self._text) and self.above().has(self.file_name):
            return "file"
        if self._text.startswith(WEB):  # a web server lists nothing
            return None
        with self._explain("read"):
            batches = obstore.list(self.files, chunk_size=1)
            return "folder" if any(len(batch) for batch in batches) else None

    def above(self) -> Self:
        """Give the folder that it lies in."""
        return type(self)(self._text.rpartition("/")[0] or "/")

    @property
    def file_name(self) -> str:
        """The last part of its name."""
        return self._text.rpartition("/")[2]

    def list_stamps(self) -> list[FileStamp]:
        """List the files below a folder, in the order of their names, relative to it."""
        if self.is_local:
            names = [file.relative_to(self.folder).as_posix() for file in self.folder.rglob("*") if file.is_file()]
            return self.stamp_files(sorted(names))
        with self._explain("read"):
            found = [entry for batch in obstore.list(self.files) for entry in batch]
        return sorted(map(_as_stamp, found))

    def stamp_all(self) -> list[FileStamp]:
        """Look at a file, or at all files below a folder."""
        return self.list_stamps() if self.find_kind() == "folder" else self.above().stamp_files([self.file_name])

    def stamp_files(self, names: Iterable[str]) -> list[FileStamp]:
        """Look at some files below a folder.

        Raises
        ------
        SourceError
            When one of them is gone.
        """
        return [self._stamp(name) for name in names]

    def open_filesystem(self, stamps: Iterable[FileStamp]) -> fs.FileSystem:
        """Give the folder as Arrow has it, for reading these files."""
        if self.is_local:
            return fs.SubTreeFileSystem(str(self.folder), fs.LocalFileSystem())
        return fs.PyFileSystem(_RemoteFiles(self, {stamp.path: stamp.size for stamp in stamps}))

    def read_head(self, name: str, n_bytes: int) -> bytes:
        """Read the first bytes of a file."""
        with self._explain("read"):
            if not self.is_local:
                return bytes(self.read_range(name, 0, n_bytes)) if n_bytes else b""
            with (self.folder / name).open("rb") as file:
                return file.read(n_bytes)

    def download(self, name: str, file: Path) -> None:
        """Copy a file of object storage to this machine."""
        with self._explain("read"), file.open("wb") as opened:
            for piece in obstore.get(self.files, name).stream():
                opened.write(piece)

    def remove(self, names: Sequence[str]) -> None:
        """Remove files below a folder; none named: a folder of this machine itself."""
        if not self.is_local:
            self.delete(names)
        elif names:
            self.folder.joinpath(*names).unlink()
        else:
            shutil.rmtree(self.folder)

    def _stamp(self, name: str) -> FileStamp:
        with self._explain("read"):
            try:
                if not self.is_local:
                    return _as_stamp(obstore.head(self.files, name))
                stat = (self.folder / name).stat()
            except FileNotFoundError as error:
                said = f"{self.name(name)} is gone; it was there when the files of {self} were listed"
                raise SourceError(said) from error
        return FileStamp(name, stat.st_size, stat.st_mtime_ns)


class _RemoteFiles(fs.FileSystemHandler):  # type: ignore[misc]
    """Objects below a place, by their names, for Arrow; it opens those that were listed, and does nothing else."""

    def __init__(self, place: SourcePlace, sizes: dict[str, int]) -> None:
        self._place = place
        self._sizes = sizes

    def get_type_name(self) -> str:
        return "objects"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[fs.FileInfo]:
        return [
            fs.FileInfo(path, fs.FileType.File, size=self._sizes[path])
            if path in self._sizes
            else fs.FileInfo(path, fs.FileType.NotFound)
            for path in paths
        ]

    def open_input_file(self, path: str) -> pa.NativeFile:
        return pa.PythonFile(_RemoteFile(self._place, path, self._sizes[path]), mode="r")

    open_input_stream = open_input_file

    def _refuse(self, *_: object) -> Any:
        raise io.UnsupportedOperation("a source is only read")

    get_file_info_selector = create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = _refuse
    delete_file = move = copy_file = open_output_stream = open_append_stream = _refuse


class _RemoteFile(io.RawIOBase):
    """An object as a file: each read is one request, for just what is asked for."""

    def __init__(self, place: SourcePlace, name: str, size: int) -> None:
        self._place = place
        self._name = name
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Buffer) -> int:
        wanted = memoryview(buffer).cast("B")
        n_bytes = max(0, min(len(wanted), self._size - self._position))
        if n_bytes:
            wanted[:n_bytes] = self._place.read_range(self._name, self._position, n_bytes)
            self._position += n_bytes
        return n_bytes


def _as_stamp(entry: ObjectMeta) -> FileStamp:
    # S3 tells whole seconds; its tag tells contents apart that were written within one.
    seconds = entry["last_modified"].timestamp()
    return FileStamp(entry["path"], entry["size"], round(seconds * 1e9), entry["e_tag"] or "")
