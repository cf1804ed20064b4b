"""Store -> one HTML file that shows its maps, anywhere, without a network."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from driftmap.pipeline.look.page_data import encode_maps, read_maps
from driftmap.pipeline.look.quality import measure_windows

if TYPE_CHECKING:
    from driftmap.pipeline.look.quality import WindowQuality
    from driftmap.pipeline.store import Store

MAX_ROWS = 200_000
"""Rows that a page draws; above, a share of the entities stands for all (about 15 bytes of page per row)."""

_TEMPLATES = Path(__file__).parent / "templates"
_SCRIPTS = ("data.js", "frames.js", "draw.js", "names.js", "page.js")


def write_report(
    store: Store,
    path: str | Path,
    *,
    title: str | None = None,
    max_rows: int = MAX_ROWS,
    quality: list[WindowQuality] | None = None,
) -> Path:
    """Write the page of a store.

    Parameters
    ----------
    store
        An opened store with at least one map.
    path
        The HTML file to write; one that is there is replaced.
    title
        Heading of the page; by default the store's name.
    max_rows
        Rows that the page draws.
    quality
        What `measure_windows` gave, where it is at hand already.

    Returns
    -------
    The path of the file.
    """
    maps = read_maps(store, max_rows)
    data = encode_maps(maps)
    n_drawn, n_rows = sum(len(one.ids) for one in maps), sum(one.n_rows for one in maps)
    facts = [f"{len(maps)} windows", f"{n_rows:,} rows", *_describe(store.config)]
    if n_drawn < n_rows:
        facts.append(f"{n_drawn:,} rows drawn, of a sample of the ids")
    n_components = maps[0].places.shape[1]
    if n_components > 2:
        facts.append(f"first 2 of {n_components} components")
    page = _render(
        title=title or Path(store.path).name,
        facts=facts,
        quality=measure_windows(store) if quality is None else quality,
        data=embed_json(data),
    )
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8", newline="\n")
    return target


def embed_json(data: object) -> str:
    """Write JSON that can stand inside a script element: nothing in it can end the element or be read as markup."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=True)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _render(**values: object) -> str:
    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
    script = '"use strict";\n(() => {\n' + "\n".join(_read(name) for name in _SCRIPTS) + "})();\n"
    style = _read("report.css")
    return environment.get_template("report.html.j2").render(
        script=script, style=style, script_hash=_hash(script), style_hash=_hash(style), **values
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
    return facts
