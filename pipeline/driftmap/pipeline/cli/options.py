"""The options that `plan` and `run` share, and how they meet those of a TOML file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from driftmap.engine.settings import AUTO, GraphSettings, LayoutSettings
from driftmap.pipeline.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable


class Option(NamedTuple):
    """One option; its name with underscores is its name in TOML and in Python."""

    name: str
    type: Any
    help: str
    metavar: str | None = None
    is_many: bool = False


def _read_strength(text: str) -> float | str:
    if text == AUTO:
        return text
    try:
        return float(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is neither a number nor {AUTO}") from error


def _read_json_object(text: str) -> dict[str, Any]:
    try:
        read = json.loads(text)
    except json.JSONDecodeError as error:
        raise click.BadParameter(f"{text!r} is not JSON ({error})") from error
    if not isinstance(read, dict):
        raise click.BadParameter(f'{text!r} is not a JSON object such as {{"p": 3}}')
    return read


SOURCE_OPTIONS = (
    Option("time", str, "Column with the time of a row.", "COLUMN"),
    Option(
        "id",
        str,
        "Column that says what a row is about; the same id in two windows ties those rows. Once in a window.",
        "COLUMN",
    ),
    Option(
        "label",
        str,
        "Column to colour by and to keep in the store; give it several times for several.",
        metavar="COLUMN",
        is_many=True,
    ),
    Option("vectors", str, "List column with the vectors; else all numeric columns but time, id and labels.", "COLUMN"),
)
WINDOW_OPTIONS = (
    Option("by", str, "One window for each value of this column.", "COLUMN"),
    Option("window", str, "Length of a window in time, such as 30D.", "DURATION"),
    Option("stride", str, "Time from the start of a window to that of the next, such as 7D.", "DURATION"),
    Option("rows", int, "Length of a window in rows."),
    Option("row_stride", int, "Rows from the start of a window to that of the next."),
    Option(
        "timezone",
        str,
        "Time zone whose clock says when days and months begin, such as Europe/Berlin; else that of the time column, "
        "or UTC where it has none. Times without a zone are in UTC.",
        "ZONE",
    ),
    Option(
        "order",
        str,
        "Order of the windows of --by: its values, with commas between; natural (v2 before v10, months as in the year) "
        "or text. Else that of its categories, or natural.",
        "VALUES",
    ),
    Option(
        "on_empty",
        click.Choice(["skip", "refuse"]),
        "Leave out windows of fewer than two rows, and say so, or refuse them.  [default: skip]",
    ),
    Option("allow_unrelated", bool, "Allow windows that share no ids, so that nothing ties their maps."),
)
RUN_OPTIONS = (
    Option(
        "layout",
        click.Choice(["carry", "exchange"]),
        "Lay blocks out one after the other in this process, or side by side on the workers.  [default: carry]",
    ),
    Option("lookahead", int, "Windows after a block that are laid out with it and again by the next."),
    Option("block_windows", int, "Windows in a block; chosen from --memory-limit when left out."),
    Option("random_state", int, "Seed: the same seed gives the same bytes."),
    Option("memory_limit", str, "Memory that a block may take, such as 2GB.", "SIZE"),
)
ENGINE_OPTIONS = {
    "n_neighbors": Option("n_neighbors", int, "Neighbours of a row, the row itself included."),
    "metric": Option("metric", str, "Distance between rows: euclidean, cosine, manhattan, ..."),
    "metric_kwds": Option("metric_kwds", _read_json_object, "Further arguments of the metric, as JSON.", "JSON"),
    "set_op_mix_ratio": Option("set_op_mix_ratio", float, "1: union of both directions of the graph; 0: intersection."),
    "local_connectivity": Option("local_connectivity", float, "Nearest neighbours that count as fully connected."),
    "n_components": Option("n_components", int, "Dimensions of the maps."),
    "n_epochs": Option("n_epochs", int, "Epochs of the layout."),
    "min_dist": Option("min_dist", float, "How close neighbours may lie on the map."),
    "spread": Option("spread", float, "Scale of the map, with min_dist."),
    "a": Option("a", float, "Parameter of the curve; fitted to min_dist and spread when left out."),
    "b": Option("b", float, "Parameter of the curve; fitted to min_dist and spread when left out."),
    "learning_rate": Option("learning_rate", float, "Step size at the first epoch."),
    "repulsion_strength": Option("repulsion_strength", float, "Weight of repulsion."),
    "negative_sample_rate": Option("negative_sample_rate", int, "Negative samples for each attraction."),
    "alignment_window_size": Option("alignment_window_size", int, "The alignment reach: windows tied on either side."),
    "alignment_regularisation": Option(
        "alignment_regularisation",
        _read_strength,
        "Weight of the pull between windows; auto: as the data allow, row by row.",
        "NUMBER",
    ),
}
"""Help for every field of the engine's settings."""

PLACE_OPTIONS = (
    Option(
        "scheduler",
        str,
        'Dask scheduler: an address such as tls://host:8786, or "serial" for this process alone.',
        "ADDRESS",
    ),
    Option("tls", str, "Folder with the certificates for a tls:// scheduler, as `driftmap certs` makes it.", "DIR"),
    Option("require_tls", bool, "Refuse a scheduler on a network that is reached without TLS."),
    Option("workers", int, "Worker processes on this machine; one per core when left out."),
    Option("worker_memory", str, "Memory that each of these may take, such as 2GB.", "SIZE"),
)
STORE_OPTION = Option(
    "store", str, "Folder of the store, or s3://BUCKET/PREFIX; NAME-maps.zarr here when left out.", "STORE"
)


def shared_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the source argument and every option of a run; each is None unless it was given."""
    defaults = {
        field.name: field.default for cls in (GraphSettings, LayoutSettings) for field in dataclasses.fields(cls)
    }
    engine = [_show_default(ENGINE_OPTIONS[name], default) for name, default in defaults.items()]
    options = (*SOURCE_OPTIONS, *WINDOW_OPTIONS, STORE_OPTION, *engine, *RUN_OPTIONS, *PLACE_OPTIONS)
    for option in reversed(options):
        command = _as_click(option)(command)
    return click.argument("source", required=True)(command)


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say where tasks run; each is None unless it was given."""
    for option in reversed(PLACE_OPTIONS):
        command = _as_click(option)(command)
    return command


def collect_place(given: dict[str, Any]) -> dict[str, Any]:
    """Take what `place_options` gave out of the options of a command, as `ingest` takes it."""
    chosen = {option.name: given.pop(option.name) for option in PLACE_OPTIONS}
    return _join_tls({name: value for name, value in chosen.items() if value is not None})


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
    Flat options with `source` and `store`, without those that nobody gave.
    """
    chosen = {name: _unpack(value) for name, value in given.items() if value is not None and value != ()}
    if Path(source).suffix != ".toml" or "://" in source:
        return _join_tls({"store": f"{Path(source).stem}-maps.zarr", **chosen, "source": source})
    from driftmap.pipeline.config.run_config import load_toml  # late: pydantic costs more than the rest of `--help`

    read = load_toml(Path(source))
    if "source" not in read:
        raise ConfigError(f'{source} names no source; add a line such as: source = "data.parquet"')
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


def _show_default(option: Option, default: object) -> Option:
    return option if default is None else option._replace(help=f"{option.help}  [default: {default}]")


def _as_click(option: Option) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    flag = f"--{option.name.replace('_', '-')}"
    if option.type is bool:
        return click.option(flag, option.name, is_flag=True, default=None, help=option.help)
    default = () if option.is_many else None
    return click.option(
        flag,
        option.name,
        type=option.type,
        default=default,
        multiple=option.is_many,
        metavar=option.metavar,
        help=option.help,
    )
