"""Rows that are given from Python: kept in the store, batch by batch, where workers and later ingests read them."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from driftmap.engine import is_sparse
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.opening import open_given
from driftmap.pipeline.sources.readers.python.array_files import holds_arrays
from driftmap.pipeline.store.log.growth import INBOX_FOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.store import Store

_N_DIGITS = 8


def put_rows(store: Store, spec: SourceSpec, given: object) -> bool:
    """Keep a batch of rows in the inbox of a store; returns False where there were none, or the same are there.

    Parameters
    ----------
    store
        Held by this process, and in a folder.
    spec
        Of the run's source: the rows must have columns of the same names.
    given
        A table, a data frame, or arrays, as `run` takes them; None, or no rows, for nothing new.

    Raises
    ------
    SourceError
        When the rows cannot be used, or the store is no folder.
    """
    if given is None or _is_empty(given):
        return False
    if not store.location.is_local:
        raise SourceError(
            f"rows from Python are kept in the store for the workers, and the store {store.location} is no folder; "
            "write them as Parquet files where all workers see them"
        )
    rows = open_given(given, spec)
    digest = str(rows.fingerprint()["digest"])[:12]
    inbox = store.location.folder / INBOX_FOLDER
    names = _tidy(inbox)
    if any(name.endswith(f"-{digest}") for name in names):
        return False
    number = max((int(name.partition("-")[0]) for name in names), default=-1) + 1
    rows.spill(inbox / f"{number:0{_N_DIGITS}d}-{digest}")
    return True


def find_since(store: Store) -> datetime | str | None:
    """Find what a callable source is asked for rows after: the newest time seen, or the last value; None at first."""
    growth = store.growth
    if growth.newest is not None:
        return datetime.fromisoformat(growth.newest).replace(tzinfo=UTC)
    windows = store.state()
    return windows[-1].label if windows and windows[-1].end is None else None


def _tidy(inbox: Path) -> list[str]:
    """List the batches that are whole, and remove what a kill left half written."""
    if not inbox.is_dir():
        return []
    whole = []
    for folder in inbox.iterdir():
        if holds_arrays(folder):
            whole.append(folder.name)
        else:
            shutil.rmtree(folder)
    return whole


def _is_empty(given: Any) -> bool:
    if hasattr(given, "__dask_graph__"):  # it does not know, and is refused
        return False
    n_rows = getattr(given, "num_rows", None)
    if n_rows is None and isinstance(given, dict):
        n_rows = min((_count(values) for values in given.values()), default=0)
    if n_rows is None and hasattr(given, "shape"):
        n_rows = given.shape[0]
    return isinstance(n_rows, int) and n_rows == 0  # of Dask it is a promise, which is not to be asked


def _count(values: Any) -> int:
    return int(values.shape[0]) if is_sparse(values) else len(values)
