"""The command `driftmap`: parse, call, print.

Everything that is slow to import is imported by the command that needs it, so that `--help` is quick.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from driftmap.engine.errors import DriftmapError
from driftmap.pipeline.cli.commands.watch_options import alarm_option, check_alarms, watch, write_event
from driftmap.pipeline.cli.groups import DrawnGroup, DrawnHelp, GroupedCommand
from driftmap.pipeline.cli.lines import say, say_on_stderr
from driftmap.pipeline.cli.options import OUTPUT_OPTIONS, collect_options, run_options
from driftmap.pipeline.executors.address_space import check_for_loading

if TYPE_CHECKING:
    from driftmap.pipeline.store import Store

EXIT_USER_ERROR = 2
EXIT_SIGNAL = 128
"""Added to the number of the signal that ended a command."""

_NO_THREAD = "can't start new thread"
"""What Python says where the system starts no more."""

_MORE_COMMANDS: dict[str, str] = {
    "certs": "certs",
    "explain": "explain",
    "ingest": "ingest",
    "migrate": "migrate",
    "place": "place",
    "plan": "plan",
    "plot": "plot",
    "prune": "prune",
    "verify": "verify",
    "view": "view",
}
"""Commands that have a file of their own in `commands`: their names, and the file's."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    if "DRIFTMAP_KERNELS" in os.environ and (folder := os.environ.get("NUMBA_CACHE_DIR")):
        from driftmap.pipeline.executors.worker_process import seed_kernels

        seed_kernels(Path(folder))
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _stop)
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command.

    Returns
    -------
    The exit code: 0; 2 for anything the user can mend, with one message on stderr; 128 and the signal's number
    when interrupted by Ctrl-C (130), SIGTERM (143) or SIGHUP (129).
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            check_for_loading()
            _refuse_other_bytes(arguments)
            return cli.main(args=arguments, prog_name="driftmap", standalone_mode=False) or 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        click.echo("Interrupted. What was committed stays; the same command goes on from there.", err=True)
        cause = error.__cause__ or error.__context__ or error
        return EXIT_SIGNAL + (cause.number if isinstance(cause, _StoppedError) else signal.SIGINT)
    except click.ClickException as error:
        _show_refusal(error)
        return EXIT_USER_ERROR
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer goes nowhere
        return EXIT_SIGNAL + getattr(signal, "SIGPIPE", 13)
    except (DriftmapError, OSError, MemoryError, RuntimeError) as error:
        is_known = not isinstance(error, RuntimeError) or isinstance(error, (DriftmapError, RecursionError))
        if not is_known and _NO_THREAD not in str(error):
            raise
        from driftmap.pipeline.cli.terminal import show_error

        show_error(_describe_error(error))
        return EXIT_USER_ERROR


def _refuse_other_bytes(arguments: list[str]) -> None:
    """Refuse arguments that are no text: neither the store's paths and log nor the page can hold them."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise click.UsageError(f"{argument!r} holds bytes that are not UTF-8; rename the file or folder") from error


def _show_refusal(error: click.ClickException) -> None:
    """Print what click itself refuses, with what was given in it, as safely as our own errors."""
    said = io.StringIO()
    error.show(file=said)
    say_on_stderr(said.getvalue().rstrip("\n"))


class _StoppedError(KeyboardInterrupt):
    """A signal that ends a command, as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _stop(number: int, _: object) -> None:
    raise _StoppedError(number)


def _describe_error(error: BaseException) -> str:
    """Say in one line what stopped a command."""
    if isinstance(error, DriftmapError):
        return str(error)
    if isinstance(error, MemoryError):
        return "the memory that this process may take is used up; give it more, or make blocks or windows smaller"
    if _NO_THREAD in str(error):
        return (
            "the system lets this process start no more threads, for want of memory or by a limit; give it more "
            "(`ulimit -v`, `ulimit -u`)"
        )
    if isinstance(error, RecursionError):
        return "a file is nested too deeply to be read; look at the TOML or JSON files that were given"
    named = getattr(error, "filename", None)
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"{named}: {said}; look at the path, its permissions and the room on its disk" if named else said


def _show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    from driftmap.pipeline.cli.terminal import show_warning

    show_warning(str(message) if category.__module__.startswith("driftmap.") else f"{category.__name__}: {message}")


class _Commands(DrawnGroup):
    """The commands of this file, and those of `commands`, which are imported when they are looked at."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_MORE_COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        file = _MORE_COMMANDS.get(cmd_name)
        if file is None:
            return super().get_command(ctx, cmd_name)
        found: click.Command = getattr(import_module(f"driftmap.pipeline.cli.commands.{file}"), cmd_name)
        return found


_CONTEXT: dict[str, Any] = {
    "auto_envvar_prefix": "DRIFTMAP",
    "help_option_names": ["-h", "--help"],
    "max_content_width": 110,
}


@click.group(cls=_Commands, context_settings=_CONTEXT)
@click.version_option(package_name="driftmap", message="%(prog)s %(version)s")
def cli() -> None:
    """Aligned UMAP maps of data that changes over time.

    Start with `driftmap demo`, or with a Parquet file of your own:

    \b
      driftmap run posts.parquet --time date --id post --window 30D --stride 7D
      driftmap report posts-maps.zarr -o posts.html

    Every option is also read from a variable named by command and option, such as DRIFTMAP_RUN_N_NEIGHBORS or
    DRIFTMAP_INGEST_GRACE (spaces between several values); the command line wins over it, and it over a TOML file.

    Completion by the Tab key: eval "$(_DRIFTMAP_COMPLETE=bash_source driftmap)" in ~/.bashrc; zsh_source in ~/.zshrc.
    """  # noqa: D301 - click reads the backspace: lines as they stand


@cli.command(cls=GroupedCommand, short_help="Make the maps, or go on where an earlier run stopped.")
@run_options(*OUTPUT_OPTIONS)
def run(source: str, **options: object) -> None:
    """Make the maps of SOURCE, or go on where an earlier run stopped.

    SOURCE is a file or folder of Parquet, CSV, JSON lines or Arrow IPC, a folder that datasets.save_to_disk wrote, a
    Zarr array or group, an AnnData (.h5ad or Zarr), one of these at s3://, gs:// or az://BUCKET/..., a file at https://,
    or a TOML file with these options.
    """
    from driftmap.pipeline import run as make_maps
    from driftmap.pipeline.cli.progress import RunProgress
    from driftmap.pipeline.cli.terminal import show_run
    from driftmap.pipeline.store.disk.output_files import check_output, check_page, refuse_overwriting

    chosen = collect_options(source, options)
    report = chosen.pop("report", None)
    if chosen.pop("dashboard", False):
        chosen["on_dashboard"] = lambda address: say_on_stderr(f"Dashboard: {address}")
    if report is not None:
        check_output(report)
        refuse_overwriting(report, (chosen["source"], chosen.get("vectors_file")))
        check_page(report)
    kind = chosen.pop("progress", "auto")
    if log_json := chosen.pop("log_json", False):
        chosen["on_event"] = write_event
    with RunProgress("none" if chosen.pop("quiet", False) or log_json else kind) as progress:
        store = make_maps(chosen.pop("source"), chosen.pop("store"), progress=progress, **chosen)
    show_run(store, progress)
    if report is not None:
        _write_report(store, report)


@cli.command(cls=DrawnHelp, short_help="Show how far each window has come.")
@click.argument("store")
@click.option("--json", "as_json", is_flag=True, envvar="DRIFTMAP_STATUS_JSON", help="Print JSON, for programs.")
@click.option("--prometheus", is_flag=True, help="Print what is to be watched in Prometheus's text format.")
@alarm_option
def status(store: str, alarm: tuple[str, ...], *, as_json: bool, prometheus: bool) -> None:
    """Show what is in STORE: how far each window has come, and since when it is what it is.

    `Moved` is how far the rows of a window moved when it was last laid out again, over the spread of its map.
    """
    from driftmap.pipeline import open_store
    from driftmap.pipeline.cli.terminal import describe_store, show_status

    check_alarms(alarm)
    opened = open_store(store)
    if as_json:
        import json

        click.echo(json.dumps(describe_store(opened), indent=2))
    elif not prometheus:
        show_status(opened)
    watch(opened, alarm, "-" if prometheus else None, None)


@cli.command(cls=DrawnHelp, short_help="Write all maps to one table.")
@click.argument("store")
@click.option(
    "-o", "--output", required=True, metavar="FILE", help="The file to write: .parquet, .csv, .arrow or .feather."
)
def export(store: str, output: str) -> None:
    """Write all maps of STORE to one table: window, id, x, y, status and label columns; times are of UTC."""
    from driftmap.pipeline import open_store
    from driftmap.pipeline.look.run_codes import list_laid_out
    from driftmap.pipeline.store.disk.output_files import refuse_overwriting
    from driftmap.pipeline.store.tables.table_files import find_table_writer, write_table

    find_table_writer(output)
    opened = open_store(store)
    list_laid_out(opened)  # an empty table would look like one of maps
    refuse_overwriting(output, _list_read(opened))
    table = opened.to_table()
    try:
        write_table(table, output)
    except OSError as error:
        raise click.FileError(output, str(error)) from error
    say(f"{table.num_rows:,} rows to {output}")


@cli.command(cls=DrawnHelp, short_help="Write a page that shows the maps.")
@click.argument("store")
@click.option("-o", "--output", required=True, metavar="FILE.html", help="The file to write.")
@click.option("--title", help="Heading of the page; the store's name when left out.")
def report(store: str, output: str, title: str | None) -> None:
    """Write one HTML file that shows the maps of STORE; it needs no network."""
    from driftmap.pipeline import open_store
    from driftmap.pipeline.store.disk.output_files import check_output

    check_output(output)
    _write_report(open_store(store), output, title)


@cli.command(cls=DrawnHelp, short_help="Try it on handwritten digits.")
@click.option(
    "--out", default="driftmap-demo", metavar="DIR", help="Folder for data, store and page.", show_default=True
)
@click.option(
    "--open/--no-open",
    "is_opened",
    default=True,
    envvar="DRIFTMAP_DEMO_OPEN",
    help="Open the page in the browser, where there is one.",
)
@click.option("--scheduler", help="Dask scheduler, as for `run`.")
@click.option("--workers", type=int, help="Worker processes, as for `run`.")
def demo(out: str, scheduler: str | None, workers: int | None, *, is_opened: bool) -> None:
    """Map handwritten digits in ten overlapping windows, and show the page."""
    from driftmap.pipeline.cli.demo import run_demo
    from driftmap.pipeline.cli.progress import RunProgress
    from driftmap.pipeline.cli.terminal import show_quality, show_run
    from driftmap.pipeline.look.notebook import open_page

    with RunProgress() as progress:
        made = run_demo(out, scheduler=scheduler, workers=workers, progress=progress)
    show_run(made.store, progress)
    show_quality(made.quality)
    say(f"Page: {made.page}")
    if is_opened:
        open_page(made.page)


def _list_read(store: Store) -> tuple[object, ...]:
    """List what the maps of a store were made of, and the store itself."""
    source = store.config.get("source") or {}
    return source.get("path"), source.get("vectors_file"), store.path


def _write_report(store: Store, path: str, title: str | None = None) -> None:
    from driftmap.pipeline.look.report import write_report
    from driftmap.pipeline.store.disk.output_files import refuse_overwriting

    refuse_overwriting(path, _list_read(store))
    try:
        page = write_report(store, path, title=title)
    except OSError as error:
        raise click.FileError(path, str(error)) from error
    say(f"Page: {page}")


if __name__ == "__main__":
    main()
