"""The options that `plan` and `run` share, and how they meet those of a TOML file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from driftmap.engine.settings import GRAPH_NAMES, TARGET_NAMES
from driftmap.pipeline.cli.groups import COMMON, GroupedOption
from driftmap.pipeline.cli.option import Option
from driftmap.pipeline.config.run_settings import ENGINE_SETTINGS, OWN_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from driftmap.engine.settings import Setting


def _read_json_object(text: str) -> dict[str, Any]:
    try:
        read = json.loads(text)
    except json.JSONDecodeError as error:
        raise click.BadParameter(f"{text!r} is not JSON ({error})") from error
    if not isinstance(read, dict):
        raise click.BadParameter(f'{text!r} is not a JSON object such as {{"p": 3}}')
    return read


DURATION_HELP = "a whole number and s, min, h, D (days), W (weeks), M (months) or Y (years), such as 30D"
"""What a length of time is, said once in the help of each command that takes one."""
_COMMON_SETTINGS = ("n_neighbors", "alignment_regularisation")

SOURCE_OPTIONS = (
    Option(
        "time",
        str,
        "Column with the time of a row: dates, time stamps, ISO text or years. Times of day without a zone are in "
        "UTC; dates without a time of day are days by the clock of --timezone.",
        "COLUMN",
        is_common=True,
    ),
    Option(
        "id",
        str,
        "Column that says what a row is about; the same id in two windows relates those rows. Once in a window, unless "
        "--duplicates says otherwise.",
        "COLUMN",
        is_common=True,
    ),
    Option(
        "label",
        str,
        "Column to colour by and to keep in the store; give it several times for several.",
        metavar="COLUMN",
        is_many=True,
        is_common=True,
    ),
    Option(
        "target",
        str,
        "Column of labels, or of numbers with --target-metric, that draws rows with equal or near values together, as "
        "umap-learn's y does; kept as a label too. Rows without a label, or with -1, are of unknown ones.",
        "COLUMN",
    ),
    Option(
        "text",
        str,
        "Column of texts: its words name the clusters, and say what is more and less between two windows. Only the "
        "words of each row are kept; give --show too to keep the text.",
        "COLUMN",
    ),
    Option(
        "show",
        str,
        "Column that says what a row is, such as a title, text, address of a page or picture; kept in the store and "
        "shown on the page; give it several times for several.",
        metavar="COLUMN",
        is_many=True,
    ),
    Option(
        "vectors",
        str,
        "Column of lists with the vectors, or columns of numbers: names, globs such as 'e*', ranges such as e0:e9; "
        "give it several times. Else the only column of lists, or all columns of numbers without another role.",
        metavar="COLUMN",
        is_many=True,
    ),
    Option(
        "exclude",
        str,
        "Column that is no part of the vectors: a name, glob or range; give it several times.",
        metavar="COLUMN",
        is_many=True,
    ),
    Option(
        "duplicates",
        click.Choice(["refuse", "first", "last", "mean"]),
        "Ids that come more than once in a window: refuse them, take the first or last row (by --time where it is "
        "given, else as the source has them), or the mean of their vectors.  [default: refuse]",
    ),
    Option(
        "on_bad_rows",
        click.Choice(["refuse", "drop"]),
        "Rows without an id, or whose vectors are missing, NaN or infinite: refuse them, or drop and count them, for "
        "which all vectors are read once more.  [default: refuse]",
    ),
    Option(
        "vectors_file",
        str,
        "The vectors, where they are not in the table: a .npy file with a row for each of its rows, in the same order; "
        "or a folder of one for each file of the table, of the same name.",
        "FILE.npy",
    ),
)
WINDOW_OPTIONS = (
    Option("by", str, "One window for each value of this column.", "COLUMN", is_common=True),
    Option("window", str, f"Length of a window in time: {DURATION_HELP}.", "DURATION", is_common=True),
    Option(
        "stride",
        str,
        "Time from the start of a window to that of the next, such as 7D; as long as --window when left out.",
        "DURATION",
        is_common=True,
    ),
    Option("rows", int, "Length of a window in rows."),
    Option("row_stride", int, "Rows from the start of a window to that of the next."),
    Option(
        "timezone",
        str,
        "Time zone whose clock says when days and months begin, such as Europe/Berlin; else that of the time column "
        "(of text: its one offset, such as +02:00), or UTC where it has none. Times of day without a zone are in UTC; "
        "dates, months and years have no zone and are not moved by it. Needed where files have different zones.",
        "ZONE",
    ),
    Option(
        "order",
        str,
        "Order of the windows of --by: its values, with commas between; natural (v2 before v10; months, quarters and "
        "days as in the year) or text. Else that of its categories, or natural.",
        "VALUES",
        also=(list,),
    ),
    Option(
        "on_empty",
        click.Choice(["skip", "refuse"]),
        "Leave out windows of fewer than two rows, and say so, or refuse them.  [default: skip]",
    ),
    Option(
        "relations",
        str,
        "Table of related rows, beside equal ids: Parquet, CSV, TSV, JSON lines or Arrow with the columns window, "
        "id, other_window, other_id and perhaps weight.",
        "FILE",
    ),
    Option("relations_only", bool, "Relate rows by --relations alone: equal ids relate none."),
    Option("allow_unrelated", bool, "Allow windows that share no ids, so that nothing relates their maps."),
)


def _from_setting(setting: Setting) -> Option:
    kind: Any
    if setting.kind == "choice":
        kind = click.Choice(list(setting.words))
    elif setting.kind == "arguments":
        kind = _read_json_object
    elif setting.kind == "metric":
        kind = str
    elif setting.words:
        kind = _number_or_word(setting)
    else:
        kind = int if setting.kind == "integer" else float
    shown = "" if setting.default is None else f"  [default: {setting.default}]"
    metavar = "JSON" if setting.kind == "arguments" else None
    if setting.words and setting.kind in ("integer", "number"):
        metavar = "|".join(["INTEGER" if setting.kind == "integer" else "FLOAT", *setting.words])
    return Option(setting.name, kind, setting.help + shown, metavar, is_common=setting.name in _COMMON_SETTINGS)


def _number_or_word(setting: Setting) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if text in setting.words:
            return text
        try:
            return (int if setting.kind == "integer" else float)(text)
        except ValueError:  # click names the option in what this raises
            what = "an integer" if setting.kind == "integer" else "a number"
            msg = f"{text!r} is neither {what} nor {' or '.join(map(repr, setting.words))}."
            raise ValueError(msg) from None

    return read


ENGINE_OPTIONS = {name: _from_setting(setting) for name, setting in ENGINE_SETTINGS.items()}
"""The engine's settings, from its table."""
RUN_OPTIONS = (
    *(
        _from_setting(setting)._replace(group="What goes in" if setting.name == "scale" else None)
        for setting in OWN_SETTINGS.values()
    ),
    Option("memory_limit", str, "Memory that a block may take, such as 2GB.", "SIZE", also=(int,)),
)

PLACE_OPTIONS = (
    Option(
        "scheduler",
        str,
        'Dask scheduler: an address such as tls://host:8786, or "serial" for this process alone.',
        "ADDRESS",
    ),
    Option(
        "tls",
        str,
        "Folder with the certificates for a tls:// scheduler (`driftmap certs`).",
        "DIR",
        also=(bool,),
    ),
    Option("require_tls", bool, "Refuse a scheduler on a network that is reached without TLS."),
    Option("workers", int, "Worker processes on this machine, without --scheduler; one per core when left out."),
    Option("worker_memory", str, "Memory limit per worker process, such as 2GB.", "SIZE", also=(int,)),
    Option(
        "workers_on",
        str,
        "Worker of the cluster that is used, by name, address or host; give it several times for several.",
        metavar="NAME",
        is_many=True,
    ),
    Option(
        "resource",
        str,
        "Resource that a task takes of a worker that was started with it (dask worker --resources), such as GPU=1.",
        metavar="KEY=N",
        is_many=True,
        also=(dict,),
    ),
)
STORE_OPTION = Option(
    "store",
    str,
    "Folder of the store, or s3://BUCKET/PREFIX (or gs://, az://); NAME-maps.zarr here when left out.",
    "STORE",
    is_common=True,
)


OUTPUT_OPTIONS = (
    Option("report", str, "Write the page with the maps too.", "FILE.html", is_common=True),
    Option(
        "progress",
        click.Choice(["auto", "lines", "none"]),
        "Progress on stderr: a line every ten seconds (lines), or bars in a terminal and lines elsewhere (auto).  "
        "[default: auto]",
    ),
    Option("quiet", bool, "Show no progress, as --progress none does."),
    Option("log_json", bool, "Write what happens as lines of JSON to stderr, and no progress."),
    Option("dashboard", bool, "Print the address of Dask's dashboard."),
    Option("performance_report", str, "Write Dask's performance report.", "FILE.html"),
)
"""Options of `run` alone."""
PLAN_OPTIONS = (
    Option("timed", bool, "Also measure a little, and say roughly how long the run takes."),
    Option("json", bool, "Print JSON, for programs."),
)
"""Options of `plan` alone."""
SHARED_OPTIONS = (
    *SOURCE_OPTIONS,
    *WINDOW_OPTIONS,
    STORE_OPTION,
    *ENGINE_OPTIONS.values(),
    *RUN_OPTIONS,
    *PLACE_OPTIONS,
)


_OF_GRAPHS = {*GRAPH_NAMES, *TARGET_NAMES}

HEADINGS: dict[str, tuple[Option, ...]] = {
    "What goes in": SOURCE_OPTIONS,
    "Windows": WINDOW_OPTIONS,
    "Store": (STORE_OPTION,),
    "Neighbours": tuple(option for name, option in ENGINE_OPTIONS.items() if name in _OF_GRAPHS),
    "Layout": (
        *(option for name, option in ENGINE_OPTIONS.items() if name not in _OF_GRAPHS),
        *RUN_OPTIONS,
    ),
    "Where it runs": PLACE_OPTIONS,
    "Output": (*OUTPUT_OPTIONS, *PLAN_OPTIONS),
}
"""Headings of `--help`, and what stands under each."""


def give_options(*options: Option) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command these options; each is None, or its default, unless it was given."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = _as_click(option)(command)
        return command

    return decorate


def run_options(*more: Option) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the source argument, every option of a run, and `more`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        return click.argument("source", required=True)(give_options(*SHARED_OPTIONS, *more)(command))

    return decorate


place_options = give_options(*PLACE_OPTIONS)
"""Give a command the options that say where tasks run."""


def collect_place(given: dict[str, Any]) -> dict[str, Any]:
    """Take what `place_options` gave out of the options of a command, as `ingest` takes it."""
    chosen = {option.name: given.pop(option.name) for option in PLACE_OPTIONS}
    return _join_tls({name: _unpack(value) for name, value in chosen.items() if value is not None and value != ()})


def collect_options(source: str, given: dict[str, Any]) -> dict[str, Any]:
    """Join what the command line and a TOML file say; the command line wins.

    Parameters
    ----------
    source
        Path of the data, or of a TOML file that names them as `source`.
    given
        Options by name; None, or empty, where one was not given.

    Returns
    -------
    dict of str to Any
        Flat options with `source` and `store`, without those that nobody gave. What a TOML file says for other commands
        is left out.
    """
    chosen = {name: _unpack(value) for name, value in given.items() if value is not None and value != ()}
    if Path(source).suffix != ".toml" or "://" in source:
        return _join_tls({"store": f"{Path(source).stem}-maps.zarr", **chosen, "source": source})
    from driftmap.pipeline.cli.toml_options import read_toml  # late: only a TOML file needs it

    known = {option.name: option for option in (*SHARED_OPTIONS, *OUTPUT_OPTIONS, *PLAN_OPTIONS)}
    read = {name: value for name, value in read_toml(source, known).items() if name == "source" or name in given}
    return _join_tls({"store": f"{Path(source).stem}-maps.zarr", **read, **chosen})


def _join_tls(chosen: dict[str, Any]) -> dict[str, Any]:
    # A folder of certificates goes with a tls:// address alone, so it says already that TLS is wanted.
    if chosen.pop("require_tls", False):
        chosen.setdefault("tls", True)
    return chosen


def _unpack(value: object) -> object:
    if isinstance(value, tuple):
        return value[0] if len(value) == 1 else list(value)
    return value


def _as_click(option: Option) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    flag = f"--{option.name.replace('_', '-')}"
    heading = COMMON if option.is_common else option.group or _find_group(option)
    group: dict[str, Any] = {"cls": GroupedOption, "group": heading}
    if option.type is bool:
        return click.option(flag, option.name, is_flag=True, default=option.default, help=option.help, **group)
    default = () if option.is_many else option.default
    return click.option(
        flag,
        option.name,
        type=option.type,
        default=default,
        multiple=option.is_many,
        metavar=option.metavar,
        help=option.help,
        **group,
    )


def _find_group(option: Option) -> str | None:
    return next((heading for heading, options in HEADINGS.items() if option in options), None)
