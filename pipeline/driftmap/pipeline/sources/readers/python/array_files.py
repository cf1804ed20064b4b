"""Files of arrays that were given from Python: one for each column, and a manifest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.pipeline.sources.columns.texts import PackedTexts
from driftmap.pipeline.store.create import SOURCE_FOLDER
from driftmap.pipeline.store.log.growth import INBOX_FOLDER

if TYPE_CHECKING:
    from driftmap.engine.types import Float32Array, Int64Array
    from driftmap.pipeline.config.source_spec import SourceSpec

    Column = np.ndarray[Any, Any]

MANIFEST = "arrays.json"
"""File of a spilled source that says which files hold what; written last."""

VERSION, SPARSE_VERSION = 1, 2
"""Of the files: of dense vectors, and of sparse ones."""

MISSING_IDS = ""
"""Among the keys: which rows have no id, where some have none. No column has this name."""


class Table(NamedTuple):
    """The columns of an array source, as numpy arrays."""

    values: Float32Array
    """All vectors, one after the other."""
    offsets: Int64Array
    """(n + 1,) where each vector begins in `values`."""
    keys: dict[str, Column]
    """Columns of time, id and by."""
    labels: dict[str, Column | PackedTexts]
    window_names: list[str] | None = None
    features: np.ndarray[Any, np.dtype[np.int32]] | None = None
    """Of sparse rows, which feature each of `values` is."""
    widths: Int64Array | None = None
    """Of sparse rows (n,): how many features they have, stored or not."""

    @property
    def sparse_files(self) -> dict[str, Column]:
        """Columns that only sparse rows have, by the names of their files."""
        if self.features is None or self.widths is None:
            return {}
        return {"features.npy": self.features, "widths.npy": self.widths}


def digest_table(table: Table) -> str:
    """Tell arrays apart: the same for the same columns."""
    digest = hashlib.sha256(json.dumps([list(table.keys), list(table.labels), table.window_names]).encode())
    labels = [part for column in table.labels.values() for part in _list_parts(column)]
    beside = (*table.keys.values(), *labels, *table.sparse_files.values())
    everything: tuple[Column, ...] = (table.values, table.offsets, *beside)
    for array in everything:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()[:32]


def write_table(folder: Path, table: Table, digest: str) -> None:
    """Write arrays to a folder; the manifest comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)  # of other arrays: none of its files counts any more
    version = SPARSE_VERSION if table.sparse_files else VERSION
    manifest: dict[str, Any] = {"version": version, "digest": digest, "window_names": table.window_names}
    files: dict[str, Column] = {"values.npy": table.values, "offsets.npy": table.offsets, **table.sparse_files}
    for kind, columns in (("keys", table.keys), ("labels", table.labels)):
        manifest[kind] = {name: f"{kind}-{number}.npy" for number, name in enumerate(columns)}
        for name, column in columns.items():
            names = [manifest[kind][name], name_offsets(manifest[kind][name])]
            files |= dict(zip(names, _list_parts(column), strict=False))
    manifest["texts"] = [name for name, column in table.labels.items() if isinstance(column, PackedTexts)]
    for file, array in files.items():
        np.save(folder / file, array, allow_pickle=False)
    unfinished = folder / f"{MANIFEST}.part"
    unfinished.write_text(json.dumps(manifest), encoding="utf-8")
    unfinished.replace(folder / MANIFEST)


def name_offsets(file: str) -> str:
    """Name the file of the offsets of texts beside that of their bytes."""
    return file.replace(".npy", "-offsets.npy")


def _list_parts(column: Column | PackedTexts) -> tuple[Column, ...]:
    return (column.data, column.offsets) if isinstance(column, PackedTexts) else (column,)


def holds_arrays(folder: Path) -> bool:
    """Whether a folder holds arrays that were written whole."""
    return (folder / MANIFEST).is_file()


def list_batches(store: Path) -> list[Path]:
    """List the folders of rows that were given from Python to ingests, in the order in which they came.

    Parameters
    ----------
    store
        Folder of the store, which keeps them.
    """
    inbox = store / INBOX_FOLDER
    return sorted(folder for folder in inbox.iterdir() if holds_arrays(folder)) if inbox.is_dir() else []


def refer_to_batch(spec: SourceSpec, folder: Path) -> SourceSpec:
    """Say how rows that were given from Python to an ingest are read: by the columns of the run's source."""
    return spec.model_copy(update={"format": "arrays", "vectors": None, "path": str(folder)})


def find_own(store: Path | None, path: str) -> Path:
    """Find the arrays that a run kept in its store, which may have been moved since.

    Parameters
    ----------
    store
        Folder of the store; None where it is none.
    path
        Where they were written.
    """
    own = None if store is None else store / SOURCE_FOLDER
    return own if own is not None and holds_arrays(own) else Path(path)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a folder; empty where there is none."""
    try:
        read = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
