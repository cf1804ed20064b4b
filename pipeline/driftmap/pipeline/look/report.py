"""Store -> one HTML file that shows its maps, anywhere, without a network."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from driftmap.pipeline.config.vector_pin import VectorPin
from driftmap.pipeline.look.page_data import MAX_ROWS, read_page
from driftmap.pipeline.look.quality import measure_windows
from driftmap.pipeline.planning.row_lines import describe_left_out, describe_rows, describe_schemas, describe_target
from driftmap.pipeline.sources.row_ranges import name_some
from driftmap.pipeline.store.disk.output_files import check_page, whole_file

if TYPE_CHECKING:
    from driftmap.pipeline.look.quality import WindowQuality
    from driftmap.pipeline.store import Store

_TEMPLATES = Path(__file__).parent / "templates"
_LIVE_SCRIPTS = ("live.js", "tiles.js", "pair.js", "page.js")
_SCRIPTS = (
    *("dom.js", "decode.js", "state.js", "frames.js", "colours.js", "points.js", "gl.js", "density.js", "overlay.js"),
    *("axis.js", "names.js", "thumbnails.js", "legend.js", "transport.js", "river.js", "strip.js", "compare.js"),
    *("traits.js", "details.js", "weigh.js", "reasons.js", "pointer.js", "lasso.js", "search.js", "follow.js"),
    *("host.js", "address.js", "save.js", "charts.js", "quarters.js", "answers.js", "changes.js"),
)


class Page(NamedTuple):
    """The page of a store."""

    html: str
    windows: list[str]
    """Labels of its windows."""
    ids: list[str]
    """Of the rows that it draws, as it shows them."""


def write_report(
    store: Store,
    path: str | Path,
    *,
    title: str | None = None,
    max_rows: int = MAX_ROWS,
    quality: list[WindowQuality] | None = None,
) -> Path | str:
    """Write the page of a store.

    Parameters
    ----------
    store
        An opened store with at least one map.
    path
        The HTML file to write, or the URL of one in a bucket; one that is there is replaced.
    title
        Heading of the page; by default the store's name.
    max_rows
        Rows that the page draws; a run with more is drawn as a sample, beside densities of all its rows.
    quality
        What `measure_windows` gave, where it is at hand already.

    Returns
    -------
    Path or str
        The path of the file, or its URL.

    Raises
    ------
    ConfigError
        When the name does not end in .html, or the URL cannot be written to.
    OSError
        When the file cannot be written.
    """
    target = check_page(path)
    page = render_page(store, title=title, max_rows=max_rows, quality=quality)
    with whole_file(target, makes_folder=True) as unfinished:
        unfinished.write_text(page.html, encoding="utf-8", newline="\n")
    return target


def render_page(
    store: Store,
    *,
    title: str | None = None,
    max_rows: int = MAX_ROWS,
    quality: list[WindowQuality] | None = None,
    poll_seconds: float | None = None,
) -> Page:
    """Make the page of a store; the parameters are those of `write_report`.

    With `poll_seconds` it looks as often whether the address that it came from has new maps: see `served.js`.
    """
    figures = measure_windows(store) if quality is None else quality
    data = read_page(store, figures, max_rows=max_rows)
    facts = [
        "1 window" if data.n_windows == 1 else f"{data.n_windows:,} windows",
        f"{data.n_rows:,} rows",
        *_describe(store.config),
        *_describe_left_out(store),
    ]
    if data.is_sample:
        facts.append(f"{data.n_drawn:,} rows drawn")
    if data.n_components > 2:
        facts.append(f"first 2 of {data.n_components} components")
    html = _render(
        title=title or Path(store.path).name,
        facts=facts,
        quality=figures,
        data=data.text,
        details=data.details,
        poll_seconds=poll_seconds,
    )
    return Page(html, data.windows, data.ids)


def render_live(store: Store, head: dict[str, Any], quality: list[WindowQuality], title: str | None = None) -> str:
    """Make the page of a large store that is served: what it shows comes from the address that it came from.

    Parameters
    ----------
    store
        An opened store with at least one map.
    head
        What `describe_head` gave.
    quality
        Figures of the windows.
    title
        Heading of the page; by default the store's name.
    """
    windows = head["windows"]
    facts = [
        "1 window" if len(windows) == 1 else f"{len(windows):,} windows",
        f"{sum(window['n_rows'] for window in windows):,} rows",
        *_describe(store.config),
        *_describe_left_out(store),
    ]
    text = json.dumps(head, allow_nan=False).replace("<", "\\u003c")
    return _render(
        title=title or Path(store.path).name, facts=facts, quality=quality, live=text, has_details=bool(head["shown"])
    )


def _render(
    *,
    live: str = "",
    data: str = "",
    details: str = "",
    has_details: bool = False,
    poll_seconds: float | None = None,
    **values: object,
) -> str:
    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
    names = (*_SCRIPTS, *(_LIVE_SCRIPTS if live else ("page.js",)), *(() if poll_seconds is None else ("served.js",)))
    script = '"use strict";\n(() => {\n' + "\n".join(_read(name) for name in names) + "})();\n"
    style = _read("report.css")
    return environment.get_template("report.html.j2").render(
        script=script,
        style=style,
        script_hash=_hash(script),
        style_hash=_hash(style),
        live=live,
        data=data,
        details=details,
        has_details=has_details or bool(details),
        poll_seconds=poll_seconds,
        **values,
    )


def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _describe(config: dict[str, Any]) -> list[str]:
    graph = config.get("graph", {})
    facts = []
    if "metric" in graph:
        facts.append(f"{graph['metric']} distance")
    if "n_neighbors" in graph:
        facts.append(f"{graph['n_neighbors']} neighbours")
    source = config.get("source", {})
    facts += describe_target(source.get("target"), config.get("target"))
    pin = source.get("pin")
    return facts if pin is None else [*facts, str(VectorPin.model_validate(pin))]


def _describe_left_out(store: Store) -> list[str]:
    """Say what of the source is on no map, as `status` does."""
    source = store.config.get("source", {})
    rules = source.get("on_bad_rows", "refuse"), source.get("duplicates", "refuse"), source.get("id") is not None
    facts = [*describe_rows(*rules, store.state()), *describe_left_out(store.left_out)]
    facts += describe_schemas(store.config, store.state())
    skipped = [f"{one.label!r} ({one.n_rows:,} rows: {one.reason})" for one in store.growth.skipped.values()]
    return [*facts, f"windows left out: {name_some(skipped)}"] if skipped else facts
