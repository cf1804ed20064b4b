"""`driftmap plan`: the windows of a run, and what it will take."""

from __future__ import annotations

import json

import click

from driftmap.pipeline.cli.groups import GroupedCommand
from driftmap.pipeline.cli.options import PLAN_OPTIONS, collect_options, run_options


@click.command(cls=GroupedCommand, short_help="Show the windows of a run, and what it will take.")
@run_options(*PLAN_OPTIONS)
def plan(source: str, **options: object) -> None:
    """Show the windows that SOURCE would be cut into, and what a run will take.

    Reads no vectors but a few rows that show how large their numbers are, unless --timed or --on-bad-rows drop is
    given. Windows that do not fit the workers' memory are searched in blocks of rows, or refused where the metric does
    not allow it. SOURCE is what `driftmap run` takes.
    """
    from driftmap.pipeline import plan as make_plan
    from driftmap.pipeline.cli.terminal import describe_plan, show_plan

    chosen = collect_options(source, options)
    chosen.pop("store", None)
    as_json = chosen.pop("json", False)
    planned = make_plan(chosen.pop("source"), **chosen)
    if as_json:
        click.echo(json.dumps(describe_plan(planned), indent=2))
    else:
        show_plan(planned)
