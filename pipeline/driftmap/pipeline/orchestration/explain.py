"""Fills a store that has no words, numbers or details of its rows, or older ones, from the source it was made of."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.pipeline.config.models import validate
from driftmap.pipeline.config.run_config import RunConfig
from driftmap.pipeline.config.source_spec import SourceSpec
from driftmap.pipeline.errors import ConfigError, SourceError
from driftmap.pipeline.executors.base import Task
from driftmap.pipeline.executors.choice import Workplace
from driftmap.pipeline.executors.worker_process import refuse_unguarded_call
from driftmap.pipeline.graphs.explain_task import OTHER_ROWS, explain_task
from driftmap.pipeline.graphs.orders import GraphOrder, Refusal
from driftmap.pipeline.graphs.stage import STAGE
from driftmap.pipeline.graphs.traits import has_prose, name_number_columns
from driftmap.pipeline.orchestration.rows_again import find_rows, hold_rows
from driftmap.pipeline.planning.estimates.memory import share_task_bytes
from driftmap.pipeline.sources.rows.pieces import Piece
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.log.lock import hold_lock
from driftmap.pipeline.store.verify import remove_orphans

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from driftmap.pipeline.orchestration.rows_again import FoundRows, Rows
    from driftmap.pipeline.store.disk.location import Location
    from driftmap.pipeline.store.log.windows import WindowState


class Explained(NamedTuple):
    """What `explain` did."""

    filled: list[str]
    """Labels of windows that have words, numbers and details now, and had none or not all of them."""
    left_out: list[str]
    """Labels of windows that the source does not have any more."""
    changed: list[str]
    """Labels of windows whose texts, or columns of them, were others: what is kept of them was made again."""
    same: list[str]
    """Labels of windows that have all of it already."""
    columns: str
    """What is kept: the columns of texts, of what is shown, and of numbers."""
    refused: dict[str, str]
    """By label, windows whose rows are others in the source than their maps were made of, or cannot be used, and why:
    what is kept of them stays as it is. Rows that came after a window was final do not count."""

    def __str__(self) -> str:
        said = [f"words, numbers and what is shown of {_count_windows(self.filled)} were filled in"]
        if self.changed:
            said.append(f"those of {_count_windows(self.changed)} changed and were made again")
        if self.same:
            said.append(f"{_count_windows(self.same)} had all of it")
        if self.left_out:
            are, stay = ("is", "stays as it is") if len(self.left_out) == 1 else ("are", "stay as they are")
            said.append(f"{_count_windows(self.left_out)} {are} not in the source and {stay}")
        if self.refused:
            label, reason = next(iter(self.refused.items()))
            stays = "stays as it is" if len(self.refused) == 1 else "stay as they are"
            said.append(f"{_count_windows(list(self.refused))} {stays}, such as {label!r}: {reason}")
        return f"{'; '.join(said)} ({self.columns})"


def explain(
    store: str | Path,
    source: object = None,
    *,
    text: str | None = None,
    show: str | Sequence[str] | None = None,
    scheduler: str | None = None,
) -> Explained:
    """Fill in what says why: words of texts, numbers of named columns, and what is shown of rows.

    The source is read again, within the memory that workers have, and no map changes. Of windows that have all of it
    only texts and what is shown are read; where these are others now, or other columns are named, what was kept of the
    former ones is replaced. Rows that came after a window was final are left out, and files that the store does not
    know are not read; rows that were given to `ingest` from Python are. Later ingests go on with the same columns, but
    for those of rows that are given here.

    Parameters
    ----------
    store
        The store, made by `run`.
    source
        The source it was made of, or all of its rows from Python, as `run` takes them; None: where the run found it.
    text, show
        Columns as for `run`; what the store has already when left out.
    scheduler
        Where rows are read, as for `run`: None, "serial" or an address.

    Returns
    -------
    Explained
        The windows that were filled or changed, those that had all of it, and those that the source has not any more,
        or has other rows of.

    Raises
    ------
    DriftmapError
        When the source has none of the windows, the rows of all are others in it than their maps were made of, a column
        is missing, or none is named that says why.
    """
    if scheduler is None:
        refuse_unguarded_call()
    opened = Store.open(store)
    opened.refuse_unfinished()
    config = RunConfig.from_json(opened.config)
    shown = (show,) if isinstance(show, str) else tuple(show or config.source.show)
    asked = {"text": config.source.text if text is None else text, "show": shown}
    roles = validate(SourceSpec, {**dict(config.source), **asked})
    _refuse_numbers(config, roles)
    wanted = config.model_copy(update={"source": roles, "relations": ()})
    given = None if source is None or isinstance(source, str | os.PathLike) else source
    found = find_rows(opened, wanted, source) if given is None else hold_rows(opened, wanted, given)
    _refuse_nothing(opened, found)
    place = Workplace.of(scheduler)
    with hold_lock(opened.location) as lock:
        written = Store.open(opened.location, read_only=False)
        written.lock = lock
        outcome = _fill(written, config, found, place)
        if outcome.refused and not (outcome.filled or outcome.changed or outcome.same):
            raise SourceError(_explain_refused(outcome.refused))
        if given is None:
            _commit_columns(written, found.spec)
        remove_orphans(written)
    numbers: list[str] = next((window.traits["columns"] for window in written.state() if window.traits), [])
    return outcome._replace(columns=_describe_columns(found.spec, len(numbers)))


def _fill(store: Store, config: RunConfig, found: FoundRows, place: Workplace) -> Explained:
    """Have workers fill in what each window lacks, and commit it; windows come in the order of the store."""
    orders, left_out = _make_orders(store, found.spill(store.location))
    filled, changed, same = set[int](), set[int](), set[int]()
    refused: dict[int, str] = {}
    with _remove_staged(store.location), place.start_for_few(max(1, len(orders)), _do_nothing) as executor:
        tasks = _make_tasks(store, config, orders, share_task_bytes(place.find_limit()))
        for index, receipt in executor.map_unordered(explain_task, tasks, STAGE):
            window = store.state()[index]
            if receipt is None:
                same.add(index)
            elif isinstance(receipt, Refusal):
                refused[index] = receipt.reason
            else:
                had_any = window.traits is not None and has_prose(window.traits)
                (changed if had_any else filled).add(index)
                replaced = {str(index): window.graph_attempt}
                store.commit_repair("rebuilt", {"receipt": receipt, "replaces": replaced})
    named = [[store.labels[index] for index in sorted(indices)] for indices in (filled, changed, same)]
    why = {store.labels[index]: refused[index] for index in sorted(refused)}
    return Explained(named[0], left_out, named[1], named[2], "", why)


def _explain_refused(refused: Mapping[str, str]) -> str:
    label, reason = next(iter(refused.items()))
    more = _count_windows(list(refused)[1:]).replace(" ", " more ")
    others = f", and {more} {'is' if len(refused) == 2 else 'are'} like it" if len(refused) > 1 else ""
    remedy = (
        "give the source that the store was made of, or have it laid out again (`driftmap ingest --reopen`)"
        if reason == OTHER_ROWS
        else "mend the source, or name other columns (text, show)"
    )
    return f"window {label!r}: {reason}{others}; {remedy}"


def _refuse_numbers(config: RunConfig, roles: SourceSpec) -> None:
    """Refuse columns of the vectors as texts, or to be shown: their numbers are kept by their names."""
    numbers = {name for pin in (config.source.pin, *(one.pin for one in config.schemas)) if pin for name in pin.names}
    for role, names in (("text", (roles.text,)), ("show", roles.show)):
        for name in names:
            if name in numbers:
                raise ConfigError(f"{role} is {name!r}, which vectors are made of; name a column beside them")


def _refuse_nothing(store: Store, found: FoundRows) -> None:
    """Refuse a source of which nothing would be kept."""
    named = found.spec.path or "the source"
    if not any(window.label in found.rows for window in store.state()):
        raise SourceError(
            f"{named} has none of the windows of the store {store.path}, such as {store.labels[0]!r}; give the source "
            "that it was made of"
        )
    pieces = (spec for rows in found.rows.values() for spec, _ in rows)
    if found.spec.text or found.spec.show or any(name_number_columns(spec) for spec in pieces):
        return
    raise ConfigError(
        f"there is nothing to fill in from {named}: its numbers have no column names, and neither a column of texts "
        "nor one to show is named; give text (--text COLUMN) or show (--show COLUMN)"
    )


def _make_orders(store: Store, rows: Rows) -> tuple[list[tuple[GraphOrder, WindowState]], list[str]]:
    """Make the orders of all windows that have rows, by the windows' labels."""
    orders, left_out = [], []
    for window in store.state():
        if window.graph_attempt is None or window.pruned == "map":
            continue
        if window.label not in rows:
            left_out.append(window.label)
            continue
        pieces = tuple(Piece(spec, found.runs) for spec, found in rows[window.label])
        n_rows = sum(found.n_rows for _, found in rows[window.label])
        orders.append((GraphOrder(window.index, window.label, pieces, n_rows, may_pack=store.may_pack), window))
    return orders, left_out


def _make_tasks(
    store: Store, config: RunConfig, orders: list[tuple[GraphOrder, WindowState]], max_bytes: int | None
) -> Iterator[Task]:
    settings = config.graph_settings()
    for order, window in orders:
        given = (store.location, order, window, settings, max_bytes)
        yield Task(f"window {order.label!r}", given, priority=-order.index)


def _commit_columns(store: Store, read: SourceSpec) -> None:
    """Have later ingests read the same columns."""
    spec = read.model_dump(mode="json")
    source: dict[str, Any] = dict(store.config["source"])
    source |= {name: spec[name] for name in ("text", "show", "text_types")}
    if source != store.config["source"]:
        store.commit_config({**store.config, "source": source})


def _describe_columns(spec: SourceSpec, n_numbers: int) -> str:
    """Say what is kept of which columns."""
    kept = [f"words of {spec.text}"] if spec.text else []
    kept += [f"shown: {', '.join(spec.show)}"] if spec.show else []
    kept += [f"numbers of {n_numbers:,} columns"] if n_numbers else []
    return "; ".join(kept)


def _count_windows(labels: Sequence[str]) -> str:
    return f"{len(labels):,} window{'s' if len(labels) != 1 else ''}"


@contextmanager
def _remove_staged(location: Location) -> Iterator[None]:
    """Remove rows that were written into the store for the workers."""
    from driftmap.pipeline.graphs.staging import remove_staged  # late: loads Arrow's readers

    try:
        yield
    finally:
        remove_staged(location)


def _do_nothing() -> None:
    """Load nothing: no kernel is needed."""
