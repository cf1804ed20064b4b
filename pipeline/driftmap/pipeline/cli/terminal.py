"""What the command line shows: tables and errors, with rich."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from driftmap.pipeline.cli.lines import as_message, as_shown, describe_blocks, say
from driftmap.pipeline.errors import hide_credentials_within
from driftmap.pipeline.executors.machine import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.pipeline.cli.progress import RunProgress
    from driftmap.pipeline.look.quality import WindowQuality
    from driftmap.pipeline.planning.plan import Plan
    from driftmap.pipeline.planning.row_lines import CountedRows
    from driftmap.pipeline.store import Store

MAX_LINES = 40
"""Windows that a table shows in a terminal; of more, the first and the last ones."""


def show_error(message: str) -> None:
    """Print a user's error on stderr."""
    _show_on_stderr(("Error: ", "bold red"), message)


def show_warning(message: str) -> None:
    """Print on stderr what a user should know, and need not stop for."""
    _show_on_stderr(("Warning: ", "bold yellow"), message)


def show_run(store: Store, progress: RunProgress) -> None:
    """Print the line that ends a run."""
    n_rows = sum(fact.n_rows for fact in store.state())
    seconds = ", ".join(f"{stage} {state.seconds:.1f} s" for stage, state in progress.last.items())
    line = f"{store.n_windows} windows, {n_rows:,} rows in {store.path}: {_count(store)}"
    say(f"{line} ({seconds})" if seconds else line)
    _show_columns(store)


def show_plan(plan: Plan) -> None:
    """Print the windows of a plan, and what it takes."""
    left_out = _name_left_out(plan.windows)
    table = _table("Window", "Rows", *left_out, "Shared", "From", "To")
    for window in _elide(plan.windows):
        if window is None:
            _add_row(table, "…")
        else:
            _add_row(
                table,
                window.label,
                f"{window.n_rows:,}",
                *_count_left_out(window, left_out),
                f"{window.n_shared:,}",
                str(window.start or ""),
                str(window.end or ""),
            )
    _print_table(table)
    blocks = "1 block" if len(plan.blocks) == 1 else f"{len(plan.blocks)} blocks"
    say(
        f"{len(plan.windows)} windows, {plan.n_rows:,} rows, {plan.n_shared:,} of them shared with the window before, "
        f"{blocks}"
    )
    layout = describe_layout(plan.config.layout.layout)
    for line in [plan.rule, *plan.columns, layout, *plan.repulsion, *plan.notes, *_describe_estimate(plan)]:
        say(line)


def describe_layout(layout: str) -> str:
    """Say how blocks are laid out, as it was given or chosen."""
    return f"layout: {layout}, blocks {'in parallel on the workers' if layout == 'exchange' else 'one after the other'}"


def _describe_estimate(plan: Plan) -> list[str]:
    estimate, duration = plan.estimate, plan.duration
    lines = [
        f"Largest graph task: {format_size(estimate.task_bytes)} (window {estimate.task_window!r}), with its worker "
        + format_size(estimate.worker_bytes),
        f"Coordinator: {format_size(estimate.coordinator_bytes)}; store: {format_size(estimate.store_bytes)}",
    ]
    if estimate.block_bytes:
        name = (
            "Largest block, which a worker lays out"
            if estimate.n_parts == 1
            else "A worker's part of the largest block"
        )
        lines.insert(1, f"{name}: {format_size(estimate.block_bytes)}")
    if estimate.windows_in_blocks:
        lines.insert(0, describe_blocks(estimate.windows_in_blocks, estimate.row_blocks))
    if duration is not None:
        lines.append(f"Roughly {duration.graphs:,.0f} s for the graphs, and {duration.layout:,.0f} s for the layout")
    return lines


def describe_plan(plan: Plan) -> dict[str, Any]:
    """Say what a plan does and takes, as `plan --json` prints it."""
    return {
        "n_windows": len(plan.windows),
        "n_rows": plan.n_rows,
        "n_shared_rows": plan.n_shared,
        "n_dropped_rows": sum(window.n_dropped for window in plan.windows),
        "n_repeated_rows": sum(window.n_repeated for window in plan.windows),
        "n_blocks": len(plan.blocks),
        "rule": plan.rule,
        "timezone": plan.config.windows.timezone,
        "order": plan.config.windows.order,
        "skipped_windows": list(plan.skipped),
        "vectors": None if plan.config.source.pin is None else plan.config.source.pin.model_dump(mode="json"),
        "columns": plan.columns,
        "scale": plan.config.scale,
        "layout": plan.config.layout.layout,
        "reading": None if plan.reading is None else plan.reading.to_json(),
        "repulsion": plan.repulsion,
        "notes": plan.notes,
        **asdict(plan.estimate),
        "seconds": None if plan.duration is None else plan.duration._asdict(),
        "windows": [
            {
                "index": window.index,
                "label": window.label,
                "n_rows": window.n_rows,
                "n_shared_rows": window.n_shared,
                "n_dropped_rows": window.n_dropped,
                "n_repeated_rows": window.n_repeated,
                "start": window.start,
                "end": window.end,
            }
            for window in plan.windows
        ],
        "blocks": [
            {part: [span.start, span.stop] for part, span in zip(("halo", "core", "lookahead"), block[:3], strict=True)}
            for block in plan.blocks
        ],
    }


def describe_store(store: Store) -> dict[str, Any]:
    """Say what a store holds, as `status --json` prints it."""
    from driftmap.pipeline.ingestion.watch.monitoring import describe_growth  # late: other commands need none of it

    _check_settings(store)
    return {
        "store": str(store.path),
        "n_windows": store.n_windows,
        "is_complete": store.is_complete,
        "counts": dict(Counter(fact.status for fact in store.state())),
        "vectors": store.config["source"].get("pin"),
        "skipped_windows": store.left_out,
        "config": hide_credentials_within(store.config),
        "windows": [asdict(fact) for fact in store.state()],
        "growth": describe_growth(store),
        "staged_bytes": store.n_staged_bytes,
    }


def show_status(store: Store) -> None:
    """Print how far each window has come."""
    _check_settings(store)
    left_out = _name_left_out(store.state())
    table = _table("Window", "Rows", *left_out, "State", "Since", "Moved", "Strength", "Clusters", "Edges", "MB")
    for fact in _elide(store.state()):
        if fact is None:
            _add_row(table, "…")
        else:
            edges = f"{fact.n_edges:,}" if fact.n_edges else ""
            size = f"{fact.bytes / 1e6:.2f}" if fact.bytes else ""
            since = (fact.since or "").replace("+00:00", "Z")
            moved = "" if fact.moved is None else f"{fact.moved:.3f}"
            strength = "" if fact.strength is None else f"{fact.strength:.3f}"
            clusters = "" if fact.clusters is None else str(fact.clusters["n_clusters"])
            counts = f"{fact.n_rows:,}", *_count_left_out(fact, left_out)
            _add_row(table, fact.label, *counts, fact.status, since, moved, strength, clusters, edges, size)
    _print_table(table)
    say(f"{store.path}: {store.n_windows} windows, {_count(store)}")
    _show_columns(store)
    if (layout := store.config.get("layout", {}).get("layout")) == "exchange":
        say(describe_layout(layout))
    if store.n_staged_bytes:
        size = format_size(store.n_staged_bytes)
        say(f"rows sorted by window for graphs that are being built: {size}; they go when the graphs are there")
    if store.growth.parts:
        _show_growth(store)


def _check_settings(store: Store) -> None:
    """Refuse settings that are none: a damaged log without checksums may hold any."""
    from driftmap.pipeline.config.run_config import RunConfig  # late: pydantic costs more than the rest of `--help`

    RunConfig.from_json(store.config)


def _show_columns(store: Store) -> None:
    for line in _describe_columns(store):
        say(line)


def _describe_columns(store: Store) -> list[str]:
    from driftmap.pipeline.config.run_config import ScalingPin
    from driftmap.pipeline.config.vector_pin import VectorPin  # late: pydantic costs more than the rest of `--help`
    from driftmap.pipeline.planning.row_lines import (
        describe_left_out,
        describe_reasons,
        describe_repulsion,
        describe_rows,
        describe_scale,
        describe_schemas,
        describe_target,
    )

    source = store.config["source"]
    if source.get("pin") is None:
        return ["vectors: not named; the store was made before 0.2 and goes on with all integer and float columns"]
    rules = source.get("on_bad_rows", "refuse"), source.get("duplicates", "refuse"), source.get("id") is not None
    pin = store.config.get("scaling")
    scale = describe_scale(store.config.get("scale", "none"), None if pin is None else ScalingPin.model_validate(pin))
    reasons = describe_reasons(source.get("text"), source.get("show") or ())
    target = describe_target(source.get("target"), store.config.get("target"))
    rows = [*describe_rows(*rules, store.state()), *describe_left_out(store.left_out)]
    schemas = describe_schemas(store.config, store.state())
    repulsion = describe_repulsion(store.config.get("layout", {}).get("repulsion_strength"), store.state())
    columns = VectorPin.model_validate(source["pin"]).describe()
    return [*columns, *schemas, *target, *reasons, *scale, *rows, *repulsion]


def _name_left_out(windows: Sequence[CountedRows]) -> list[str]:
    """Name the columns of rows that do not count, those of which a window has some."""
    columns = {"Dropped": "n_dropped", "Repeated": "n_repeated"}
    return [title for title, name in columns.items() if any(getattr(window, name) for window in windows)]


def _count_left_out(window: CountedRows, columns: list[str]) -> list[str]:
    counts = {"Dropped": window.n_dropped, "Repeated": window.n_repeated}
    return [f"{counts[title]:,}" for title in columns]


def _show_growth(store: Store) -> None:
    from driftmap.pipeline.ingestion.watch.monitoring import describe_growth

    facts = describe_growth(store)
    parts = [f"last ingest {facts['last_ingest'] or 'never'}", f"{facts['rows_pending']:,} rows wait"]
    parts += [f"{facts['rows_late']:,} rows too late"] if facts["rows_late"] else []
    parts += [f"rows of {facts['windows_altered']:,} final windows changed"] if facts["windows_altered"] else []
    parts += [f"{facts['windows_skipped']:,} windows skipped"] if facts["windows_skipped"] else []
    parts += [f"{facts['windows_empty']:,} empty windows left out"] if facts["windows_empty"] else []
    parts += [f"generation {facts['generation']}"] if facts["generation"] else []
    say(", ".join(parts))
    outcome = facts["outcome"]
    if outcome is not None and outcome["exit_code"]:
        at, blocked = outcome["attempted"].replace("+00:00", "Z"), outcome["blocked"]
        where = f" at {blocked}" if blocked else ""
        say(f"last attempt failed, {at}{where}: {outcome['reason']}")


def show_quality(quality: list[WindowQuality]) -> None:
    """Print the quality of each window."""
    table = _table("Window", "Rows", "State", "Neighbours kept", "Related rows", "Drift", "Strength")
    for row in _elide(quality):
        if row is None:
            _add_row(table, "…")
        else:
            figures = (row.neighbours, row.related, row.drift, row.strength)
            cells = ("" if value is None else f"{value:.3f}" for value in figures)
            _add_row(table, row.label, f"{row.n_rows:,}", row.status, *cells)
    _print_table(table)


def _show_on_stderr(head: tuple[str, str], message: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text.assemble(head, as_message(message)))


def _plain() -> Console:
    return Console(highlight=False, soft_wrap=True)


def _count(store: Store) -> str:
    counts = Counter(fact.status for fact in store.state())
    return ", ".join(
        f"{counts[status]} {status}" for status in ("final", "provisional", "graph", "planned") if counts[status]
    )


def _table(first: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _add_row(table: Table, *cells: str) -> None:
    table.add_row(*(Text(as_shown(cell)) for cell in cells))


def _print_table(table: Table) -> None:
    console = _plain()
    if not console.is_terminal:
        console.width = 200
    console.print(table, soft_wrap=False)


def _elide(rows: list[Any]) -> list[Any]:
    if len(rows) <= MAX_LINES or not sys.stdout.isatty():
        return rows
    half = MAX_LINES // 2
    return [*rows[:half], None, *rows[-half:]]
