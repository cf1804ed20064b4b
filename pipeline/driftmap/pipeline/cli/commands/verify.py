"""The command `driftmap verify`: whether everything that the log names is there, as it was written."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import click

from driftmap.pipeline.cli.groups import DrawnHelp
from driftmap.pipeline.cli.lines import say

if TYPE_CHECKING:
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.verify import Damage

EXIT_DAMAGED = 1


@click.command(cls=DrawnHelp, short_help="Check every array of a store.")
@click.argument("store")
@click.option("--clean", is_flag=True, help="Delete files that no commit names, such as a killed run leaves.")
@click.option("--json", "as_json", is_flag=True, envvar="DRIFTMAP_VERIFY_JSON", help="Print JSON, for programs.")
@click.pass_context
def verify(context: click.Context, store: str, *, clean: bool, as_json: bool) -> None:
    """Read every array that the log of STORE names, and name each that is missing, cut short or changed.

    Ends with exit code 0 when all is well, 1 when something is damaged, 2 when STORE cannot be looked at at all. What
    is damaged is made again, and only that, by the command that made the store (`driftmap run ...`). A store that has
    grown since is laid out again from the first damaged window on: `driftmap ingest STORE --reopen-from LABEL`.
    """
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.verify import check_log, check_shared, count_arrays, find_damage, find_orphans

    opened = Store.open(store)
    log, shared, damaged = check_log(opened), check_shared(opened), find_damage(opened)
    removed = _clean(opened) if clean else {}
    orphans = {} if log else find_orphans(opened)
    report = {
        "store": str(opened.path),
        "n_commits": opened.n_commits,
        "n_arrays": count_arrays(opened),
        "damaged": [damage._asdict() for damage in damaged],
        "damaged_commits": log,
        "damaged_shared": shared,
        "orphans": _sum(orphans),
        "removed": _sum(removed),
        "remedy": _find_remedy(opened, damaged, shared),
    }
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        for line in [*log, *shared, *map(str, damaged)]:
            say(line)
        say(_summarise(report))
        if report["remedy"] is not None:
            say(str(report["remedy"]))
    context.exit(EXIT_DAMAGED if log or shared or damaged else 0)


def _find_remedy(opened: Store, damaged: list[Damage], shared: list[str]) -> str | None:
    """Say what makes good what is damaged."""
    from driftmap.pipeline.store.pruning import find_return

    if shared:
        return "what all windows share is not made again: restore it from a copy, or make the store again elsewhere"
    if not damaged:
        return None
    first = min((damage for damage in damaged if damage.is_current), key=lambda damage: damage.number, default=None)
    if first is None:
        return "only an earlier generation is damaged; `driftmap prune` removes it"
    label = shlex.quote(opened.labels[find_return(opened, first.number)])
    reopening = f"driftmap ingest {shlex.quote(str(opened.path))} --reopen-from {label}"
    if opened.growth.n_ingests or opened.generation:
        return f"to make it good: {reopening}"
    again = "to make it good: run the command that made the store again"
    return f"{again}; where its source has changed since: {reopening}" if opened.is_complete else again


def _clean(opened: Store) -> dict[str, int]:
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.log.lock import hold_lock
    from driftmap.pipeline.store.verify import remove_orphans

    with hold_lock(opened.location) as lock:
        store = Store.open(opened.location, read_only=False)
        store.lock = lock
        return remove_orphans(store)


def _sum(files: dict[str, int]) -> dict[str, int]:
    return {"files": len(files), "bytes": sum(files.values())}


def _summarise(report: dict[str, Any]) -> str:
    n_damaged = sum(len(report[name]) for name in ("damaged", "damaged_commits", "damaged_shared"))
    said = [f"{report['n_arrays']:,} arrays, {report['n_commits']:,} commits, {n_damaged or 'nothing'} damaged"]
    for key, text in (("removed", "removed"), ("orphans", "that no commit names (--clean removes them)")):
        n_files, n_bytes = report[key]["files"], report[key]["bytes"]
        if n_files:
            said.append(f"{n_files:,} files of {n_bytes / 1e6:.2f} MB {text}")
    return f"{report['store']}: {'; '.join(said)}"
