"""`driftmap plan`: the windows of a run, and what it will take."""

from __future__ import annotations

import json

import click

from driftmap.pipeline.cli.options import collect_options, shared_options


@click.command(short_help="Show the windows of a run, and what it will take.")
@shared_options
@click.option("--timed", is_flag=True, help="Also measure a little, and say roughly how long the run takes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def plan(source: str, *, timed: bool, as_json: bool, **options: object) -> None:
    """Show the windows that SOURCE would be cut into, and what a run will take.

    Reads no vectors, unless --timed is given. Windows that do not fit the workers' memory are searched in blocks of
    rows, or refused where the metric does not allow it. SOURCE is a Parquet file or folder, a Zarr array or group, one
    of these at s3://BUCKET/..., or a TOML file with these options.
    """
    from driftmap.pipeline import plan as make_plan
    from driftmap.pipeline.cli.terminal import describe_plan, show_plan

    chosen = collect_options(source, options)
    chosen.pop("store", None)
    planned = make_plan(chosen.pop("source"), timed=timed, **chosen)
    if as_json:
        click.echo(json.dumps(describe_plan(planned), indent=2))
    else:
        show_plan(planned)
