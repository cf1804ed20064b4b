"""Files with rows that cannot be used: which they are, and where they are set aside."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from driftmap.pipeline.errors import ConfigError, SourceError
from driftmap.pipeline.sources.rows.pieces import read_pieces
from driftmap.pipeline.store.log.growth import INBOX_FOLDER

if TYPE_CHECKING:
    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.ingestion.parts.source_parts import PartRef, Selection


class Quarantine:
    """A folder to which files are moved, each with its reason beside it.

    Parameters
    ----------
    folder
        Made when a first file comes.
    source
        The source; the folder must not lie where its files are looked for.

    Raises
    ------
    ConfigError
        When it would be read as a part of the source, or the source is on object storage.
    """

    def __init__(self, folder: str | Path, source: SourceSpec) -> None:
        self.folder = Path(folder).expanduser().absolute()
        if "://" in source.path:
            raise ConfigError(
                f"quarantine is {self.folder}, but files of the source {source.path} cannot be moved there; leave it "
                "out, and skip windows that cannot be used (on_bad)"
            )
        root = Path(source.path)
        if source.is_files and self.folder.is_relative_to(root):
            inside = self.folder.relative_to(root).parts
            if not any(part.startswith((".", "_")) for part in inside):
                raise ConfigError(
                    f"quarantine is {self.folder}, inside the source {root}, where its files would be read again; name "
                    "a folder elsewhere, or one that begins with _"
                )

    def can_move(self, ref: PartRef) -> bool:
        """Whether a part is a file, or a batch that was given from Python; a range of an array cannot be moved."""
        return bool(ref.spec.files) or ref.name.startswith(f"{INBOX_FOLDER}/")

    def move(self, ref: PartRef, reason: str) -> Path:
        """Move a part, its reason first: a kill between the two leaves a file that is found bad again."""
        place = self.folder / ref.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.with_name(f"{place.name}.reason.txt").write_text(f"{reason}\n", encoding="utf-8")
        path = Path(ref.spec.path)
        shutil.move(path / ref.spec.files[0] if ref.spec.files else path, place)
        return place


def find_bad_parts(selected: Selection) -> tuple[str, ...]:
    """Find the parts of a window whose rows cannot be used: alone, or since most others have vectors of another length.

    All pieces are read, one at a time.
    """
    bad = []
    widths: dict[str, int] = {}
    n_rows: dict[int, int] = {}
    for piece in selected.pieces:
        try:
            vectors, _, _ = read_pieces([piece])
        except SourceError:
            bad.append(piece.part)
            continue
        widths[piece.part] = vectors.shape[1]
        n_rows[vectors.shape[1]] = n_rows.get(vectors.shape[1], 0) + len(vectors)
    if n_rows:
        usual = max(n_rows, key=lambda width: n_rows[width])
        bad += [part for part, width in widths.items() if width != usual]
    return tuple(bad)
