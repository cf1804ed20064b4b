"""Files with rows that cannot be used: which they are, and where they are set aside."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from driftmap.pipeline.errors import ConfigError, SourceError
from driftmap.pipeline.sources.locations import SourcePlace
from driftmap.pipeline.sources.rows.pieces import find_usual, name_kind, read_pieces
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.disk.output_files import whole_file
from driftmap.pipeline.store.disk.remote import WEB
from driftmap.pipeline.store.log.growth import INBOX_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.ingestion.parts.source_parts import PartRef, Selection


class _QuarantinePlace(Location):
    noun = "quarantine"
    error = ConfigError


class Quarantine:
    """A folder, here or in a bucket, to which files are moved, each with its reason beside it.

    Parameters
    ----------
    folder
        Path or URL; made when a first file comes.
    source
        The source; the folder must not lie where its files are looked for.

    Raises
    ------
    ConfigError
        When it would be read as a part of the source, or the source is on a web server.
    """

    def __init__(self, folder: str | Path, source: SourceSpec) -> None:
        self.place = _QuarantinePlace(folder)
        root = str(SourcePlace(source.path))
        if root.startswith(WEB):
            raise ConfigError(
                f"quarantine is {self.place}, but files of the source {root} cannot be moved there; leave it out, and "
                "skip windows that cannot be used (on_bad)"
            )
        inside = str(self.place).removeprefix(root).replace(os.sep, "/")
        is_inside = str(self.place).startswith(root) and (not inside or inside.startswith("/"))
        if source.is_files and is_inside and not any(part.startswith((".", "_")) for part in inside.split("/")):
            raise ConfigError(
                f"quarantine is {self.place}, inside the source {root}, where its files would be read again; name a "
                "folder elsewhere, or one that begins with _"
            )

    def can_move(self, ref: PartRef) -> bool:
        """Whether a part is a file, or a batch that was given from Python; a range of an array cannot be moved."""
        return bool(ref.spec.files) or ref.name.startswith(f"{INBOX_FOLDER}/")

    def move(self, ref: PartRef, reason: str) -> None:
        """Move a part, its reason first: a kill between the two leaves a file that is found bad again.

        Raises
        ------
        ConfigError
            When it cannot be moved, as out of a folder that is only read; it is where it was then.
        """
        try:
            self._move(ref, f"{reason}\n".encode())
        except (OSError, SourceError) as error:
            raise ConfigError(
                f"{ref.name} cannot be moved to the quarantine {self.place}: {error}; have it moved by a user who may "
                "write to both, or leave quarantine out"
            ) from error

    def _move(self, ref: PartRef, reason: bytes) -> None:
        source = SourcePlace(ref.spec.path)
        if self.place.is_local:
            moved = self.place.folder / ref.name
            moved.parent.mkdir(parents=True, exist_ok=True)
            moved.with_name(f"{moved.name}.reason.txt").write_bytes(reason)
            if source.is_local:
                _move_here(source.folder.joinpath(*ref.spec.files), moved)
                return
            with whole_file(moved) as unfinished:
                source.download(ref.spec.files[0], unfinished)
        else:
            self.place.replace(f"{ref.name}.reason.txt", reason)
            self._send(source, ref)
        source.remove(ref.spec.files)

    def _send(self, source: SourcePlace, ref: PartRef) -> None:
        if source.is_local:
            path = source.folder.joinpath(*ref.spec.files)
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file():
                    self.place.upload("/".join([ref.name, *file.relative_to(path).parts]), file)
            return
        with tempfile.TemporaryDirectory(prefix="driftmap-") as room:
            held = Path(room) / "held"
            source.download(ref.spec.files[0], held)
            self.place.upload(ref.name, held)


def _move_here(path: Path, target: Path) -> None:
    """Move a file or a folder; where it cannot go, nothing of it stays at the target."""
    try:
        shutil.move(path, target)
    except OSError:  # between file systems it is copied, and then cannot be removed where it was
        if path.exists() and target.is_file():
            target.unlink()
        raise


def find_bad_parts(selected: Selection, label_kinds: Mapping[str, str]) -> tuple[str, ...]:
    """Find the parts of a window whose rows cannot be used. All pieces are read, one at a time.

    Parameters
    ----------
    selected
        The rows of the window.
    label_kinds
        Kinds of label columns in the windows before, as `name_kind` gives them.

    Returns
    -------
    Parts that cannot be read alone, that have labels of another kind, or vectors of another length than most rows.
    """
    bad = []
    widths: dict[str, int] = {}
    n_rows = []
    for piece in selected.pieces:
        try:
            vectors, _, labels = read_pieces([piece])
        except SourceError:
            bad.append(piece.part)
            continue
        if any(name_kind(values) != label_kinds.get(name, name_kind(values)) for name, values in labels.items()):
            bad.append(piece.part)
            continue
        widths[piece.part] = vectors.shape[1]
        n_rows.append(vectors.shape[0])
    if widths:
        usual = find_usual(list(widths.values()), n_rows)
        bad += [part for part, width in widths.items() if width != usual]
    return tuple(bad)
