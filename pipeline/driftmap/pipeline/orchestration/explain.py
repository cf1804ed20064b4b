"""Fills a store that has no words, numbers or details of its rows, from the source that it was made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.pipeline.config.run_config import RunConfig
from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.executors.base import Task
from driftmap.pipeline.executors.choice import Workplace
from driftmap.pipeline.executors.worker_process import refuse_unguarded_call
from driftmap.pipeline.graphs.explain_task import explain_task
from driftmap.pipeline.graphs.orders import GraphOrder
from driftmap.pipeline.graphs.stage import STAGE
from driftmap.pipeline.orchestration.run import plan
from driftmap.pipeline.sources.rows.pieces import Piece
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.log.lock import hold_lock
from driftmap.pipeline.store.verify import remove_orphans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from driftmap.pipeline.planning.plan import Plan
    from driftmap.pipeline.store.log.windows import WindowState


class Explained(NamedTuple):
    """What `explain` did."""

    filled: list[str]
    """Labels of windows that have words, numbers and details now."""
    left_out: list[str]
    """Labels of windows that the source does not have any more."""

    def __str__(self) -> str:
        left = f"; {len(self.left_out):,} are not in the source and have none" if self.left_out else ""
        return f"words, numbers and what is shown of {len(self.filled):,} windows were filled in{left}"


def explain(
    store: str | Path,
    source: object = None,
    *,
    text: str | None = None,
    show: str | Sequence[str] | None = None,
    scheduler: str | None = None,
) -> Explained:
    """Fill in what says why: words of texts, numbers of named columns, and what is shown of rows.

    The source is read again, and no map changes; windows that have all of it already are not read. Later ingests go on
    with the same columns.

    Parameters
    ----------
    store
        The store, made by `run`.
    source
        The source it was made of; None: where the run found it.
    text, show
        Columns as for `run`; what the store has already when left out.
    scheduler
        Where rows are read, as for `run`: None, "serial" or an address.

    Returns
    -------
    Explained
        The windows that were filled, and those that the source has not any more.

    Raises
    ------
    DriftmapError
        When rows of a window are others in the source than its map was made of, or a column is missing.
    """
    if scheduler is None:
        refuse_unguarded_call()
    opened = Store.open(store)
    config = RunConfig.from_json(opened.config)
    if config.schemas:
        raise ConfigError(f"the store {opened.path} has windows of several schemas; explain knows one. Give it another")
    shown = (show,) if isinstance(show, str) else tuple(show or config.source.show)
    roles = config.source.model_copy(update={"text": text or config.source.text, "show": shown})
    given = config.source.path if source is None else source
    planned = plan(given, config=config.model_copy(update={"source": roles, "relations": ()}), scheduler="serial")
    with hold_lock(opened.location) as lock:
        written = Store.open(opened.location, read_only=False)
        written.lock = lock
        orders, left_out = _make_orders(written, planned)
        place = Workplace.of(scheduler)
        with place.start_for_few(max(1, len(orders)), _do_nothing) as executor:
            tasks = _make_tasks(written, orders)
            for receipt in executor.map_unordered(explain_task, tasks, STAGE):
                replaced = {str(receipt["index"]): written.state()[receipt["index"]].graph_attempt}
                written.commit_repair("rebuilt", {"receipt": receipt, "replaces": replaced})
        _commit_columns(written, planned)
        remove_orphans(written)
    return Explained([order.label for order, _ in orders], left_out)


def _make_orders(store: Store, planned: Plan) -> tuple[list[tuple[GraphOrder, WindowState]], list[str]]:
    """Find the rows of windows that lack something, by the windows' labels."""
    spec, orders, left_out = planned.config.source, [], []
    there = {window.label: window for window in planned.windows}
    for window in store.state():
        traits = window.traits or {}
        is_full = (spec.text is None or traits.get("has_terms")) and {*spec.show} <= {*window.label_columns}
        if window.graph_attempt is None or window.pruned == "map" or (window.traits is not None and is_full):
            continue
        rows = there.get(window.label)
        if rows is None:
            left_out.append(window.label)
            continue
        piece = Piece(spec, rows.runs)
        orders.append((GraphOrder(window.index, window.label, (piece,), rows.n_rows, may_pack=store.may_pack), window))
    return orders, left_out


def _make_tasks(store: Store, orders: list[tuple[GraphOrder, WindowState]]) -> Iterator[Task]:
    for order, window in orders:
        yield Task(f"window {order.label!r}", (store.location, order, window), priority=-order.index)


def _commit_columns(store: Store, planned: Plan) -> None:
    """Have later ingests read the same columns."""
    spec = planned.config.source.model_dump(mode="json")
    source: dict[str, Any] = dict(store.config["source"])
    source |= {name: spec[name] for name in ("text", "show", "text_types")}
    if source != store.config["source"]:
        store.commit_config({**store.config, "source": source})


def _do_nothing() -> None:
    """Load nothing: no kernel is needed."""
