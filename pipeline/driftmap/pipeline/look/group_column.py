"""The groups of a picture: a label column of a run, or the clusters of its windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftmap.pipeline.errors import PictureError
from driftmap.pipeline.look.clusters import make_column, read_clusters

if TYPE_CHECKING:
    from driftmap.pipeline.look.run_codes import Column, Run
    from driftmap.pipeline.store import Store


def choose_column(store: Store, run: Run, label: str | None) -> Column:
    """Choose the column whose groups are drawn.

    Parameters
    ----------
    store, run
        An opened store, and its ids and label columns.
    label
        Name of a column of categories, or "cluster"; None for the first one, or the clusters where there is none.

    Raises
    ------
    PictureError
        When there is no such column, or no cluster.
    """
    given = [column for column in run.columns if column.kind == "category"]
    chosen = next((column for column in given if label in (None, column.name)), None)
    if chosen is not None:
        return chosen
    found = make_column(run, read_clusters(store, run)) if label in (None, "cluster") else None
    if found is not None:
        return found
    if label in (None, "cluster"):
        raise PictureError(f"the store {store.path} has no clusters: its windows have too few rows, or no graphs")
    known = ", ".join(repr(column.name) for column in given) or "none"
    raise PictureError(
        f'the store {store.path} has no column of labels {label!r}; it has {known}, and "cluster" for its clusters'
    )
