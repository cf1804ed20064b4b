"""Relations from outside: read for the windows of a run, checked against its ids before any work."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.pipeline.errors import ConfigError, PlanError
from driftmap.pipeline.orchestration.other_settings import advise_on_settings
from driftmap.pipeline.sources.relation_table import is_by_rows, read_relation_rows, read_relation_table
from driftmap.pipeline.sources.row_ranges import name_some, runs_to_rows
from driftmap.pipeline.store.relation_book import OutsideRelations, relate_given

if TYPE_CHECKING:
    from driftmap.pipeline.planning.plan import Plan
    from driftmap.pipeline.sources import Source
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.relation_book import RelationBook

UNREAD = ("unread",)
"""In place of the digest, in the settings of a run whose relations are not read yet."""


def settle_relations(planned: Plan, source: Source, given: object) -> tuple[Plan, RelationBook | None]:
    """Read the relations of a run, and keep their digest in its settings.

    Parameters
    ----------
    planned
        The run's windows.
    source
        Its source.
    given
        As `run` takes it; None for none.

    Raises
    ------
    DriftmapError
        When they cannot be read, contradict the ids, or relate no two windows within reach.
    """
    is_alone = planned.config.windows.relations_only
    if given is None:
        if is_alone:
            raise ConfigError("relations_only is given, but no relations are: give relations too, or leave it out")
        return planned, None
    ids = _Ids(source, planned)
    labels = [window.label for window in planned.windows]
    by_rows = is_by_rows(given)
    odd = [window.label for window in planned.windows if window.n_dropped or window.n_repeated]
    if by_rows and odd:
        raise ConfigError(
            f"relations by the numbers of rows were given, and window {odd[0]!r} has rows left out (on_bad_rows, "
            "duplicates): numbers would shift; give a table with the columns window, id, other_window, other_id"
        )
    book = read_relation_rows(given, labels, ids.of) if by_rows else read_relation_table(given, source.spec, ids.of(0))
    n_used, n_related = _check(OutsideRelations((book,), with_ids=not is_alone), planned, ids)
    n_pairs = len(book.weights)
    if not n_used:
        raise PlanError(
            f"relations: none of {n_pairs:,} pairs relates rows of two windows at most "
            f"{planned.config.layout.alignment_window_size} apart (alignment_window_size); "
            f"{_name_windows(book, labels)}"
        )
    note = f"relations: {n_pairs:,} pairs of rows, {'in place of' if is_alone else 'beside'} equal ids"
    if n_used < n_pairs:
        note += f", of which {n_used:,} are used; the others name windows out of reach, or windows or ids not there"
    config = planned.config.model_copy(update={"relations": (book.digest,)})
    windows = [replace(window, n_shared=n) for window, n in zip(planned.windows, n_related, strict=True)]
    return replace(planned, config=config, windows=windows, doubts=(*planned.doubts, note)), book


def refuse_other_relations(store: Store, planned: Plan, source: Source, given: object) -> None:
    """Refuse to go on with a store that was made with other relations; without any, its own hold.

    Raises
    ------
    ConfigError
        When they differ.
    """
    if given is None:
        return
    unread = replace(planned, config=planned.config.model_copy(update={"relations": UNREAD}))
    settled, _ = settle_relations(unread, source, given)
    if settled.config.relations != planned.config.relations:
        had = "other relations" if planned.config.relations else "no relations"
        raise ConfigError(f"the store {store.path} was made with {had}; {advise_on_settings(store, {'relations'})}")


class _Ids:
    """Ids of a run's windows; row numbers where the source has none."""

    def __init__(self, source: Source, planned: Plan) -> None:
        self._windows = planned.windows
        name = source.spec.id
        self._ids = None if name is None else source.key_columns([name])[name]

    def of(self, index: int) -> np.ndarray[Any, Any]:
        window = self._windows[index]
        rows = runs_to_rows(window.runs)
        if self._ids is None:
            return rows
        ids = self._ids[rows]
        return ids if window.n_read == window.n_rows else np.unique(ids)


def _check(outside: OutsideRelations, planned: Plan, ids: _Ids) -> tuple[int, list[int]]:
    """Refuse what contradicts the ids, window by window.

    Returns
    -------
    The pairs that relate rows within reach, and for each window its rows that are related to the one before.
    """
    # late: kernels, which no fork server may load
    from driftmap.pipeline.layout.figures import count_related
    from driftmap.pipeline.layout.relate import relate_windows

    reach, n_used, n_related = planned.config.layout.alignment_window_size, 0, [0] * len(planned.windows)
    for newer in range(1, len(planned.windows)):
        near = range(max(0, newer - reach), newer + 1)
        labels, keys = [planned.windows[index].label for index in near], [ids.of(index) for index in near]
        last = len(near) - 1
        pairs = [(older, last) for older in range(last)]
        for relation in relate_given(outside.books, list(zip(labels, keys, strict=True)), pairs).values():
            n_used += len(relation.weights) if isinstance(relation, tuple) else int(np.count_nonzero(relation >= 0))
        related = relate_windows(keys, reach, range(last, last + 1), labels, outside)
        n_related[newer] = count_related(related[last - 1, last]) if last else 0
    return n_used, n_related


def _name_windows(book: RelationBook, labels: list[str]) -> str:
    """Say which windows relations name, beside those of the run."""
    unknown = [repr(label) for label in book.labels if label not in labels]
    of_run = f"those of the run are {name_some(list(map(repr, labels)))}"
    if unknown:
        return f"they name windows that the run has not: {name_some(unknown)}; {of_run}"
    return (
        f"their windows are {name_some(list(map(repr, book.labels)))}; look at their ids, and at how far apart they are"
    )
