"""A store in a notebook: what it holds, and small maps; and its page in the browser."""

from __future__ import annotations

import html
import os
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine import choose_maps, draw_thumbnails
from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.look.colours import OTHER, Colouring, blend_ramp
from driftmap.pipeline.look.report import write_report
from driftmap.pipeline.look.run_codes import EMPTY, is_laid_out
from driftmap.pipeline.look.sequence import read_sequence
from driftmap.pipeline.look.text import shorten

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.pipeline.store import Store

N_STEPS = 16
"""Steps of a colour scale."""


def describe_store(store: Store) -> str:
    """Show a store as HTML: what it holds, and the maps of up to a dozen windows, coloured by the first label column.

    A store that cannot be read is shown with what is wrong, so that looking at it never ends in a traceback.
    """
    facts = [fact for fact in store.state() if is_laid_out(fact)]
    head = f"<div>{html.escape(repr(store))}</div>"
    if not facts:
        return f"{head}<div>No window has a map{'' if store.is_complete else ' yet'}.</div>"
    chosen = [facts[number].index for number in choose_maps(len(facts))]
    try:
        sequence = read_sequence(store, windows=chosen)
    except StoreError as error:
        return f"{head}<div>{html.escape(str(error))}</div>"
    colouring = sequence.colouring()
    drawn = f"{len(chosen)} of {len(facts)} maps" if len(chosen) < len(facts) else f"{len(facts)} maps"
    codes, colours = _count_colours(colouring)
    picture = draw_thumbnails(sequence.planes(), sequence.names, codes, colours)
    return f"{head}{picture}<div>{drawn}{_list_labels(colouring)}</div>"


def open_report(store: Store, path: str | Path | None, title: str | None) -> Path | str:
    """Write the page of a store, and open it in the browser where there is one.

    Parameters
    ----------
    store
        An opened store with at least one map.
    path
        The HTML file; the store's name in this folder when left out.
    title
        Heading of the page.
    """
    page = write_report(store, path or f"{Path(str(store.path)).stem}.html", title=title)
    if isinstance(page, Path):
        open_page(page)
    return page


def open_page(page: Path) -> bool:
    """Open a page in the browser, where there is a screen to show it on; returns whether that was tried."""
    return open_url(page.resolve().as_uri())


def open_url(url: str) -> bool:
    """Open an address in the browser, as `open_page` does."""
    has_screen = sys.platform in ("darwin", "win32") or any(os.environ.get(v) for v in ("DISPLAY", "WAYLAND_DISPLAY"))
    return has_screen and webbrowser.open(url)


def _count_colours(colouring: Colouring) -> tuple[list[npt.NDArray[np.intp]], list[str]]:
    """Give every row the number of its colour, on a scale that of a step; -1 is the last one."""
    if colouring.kind != "number":
        return colouring.codes, colouring.colours
    steps = np.rint(255 * blend_ramp(np.linspace(0, 1, N_STEPS))).astype(int)
    colours = ["#{:02x}{:02x}{:02x}".format(*step) for step in steps.tolist()]
    codes = [np.where(np.isnan(one), -1, np.rint(np.nan_to_num(one) * (N_STEPS - 1))) for one in colouring.codes]
    return [one.astype(np.intp) for one in codes], [*colours, OTHER]


def _list_labels(colouring: Colouring) -> str:
    column = f", {html.escape(colouring.column)}:" if colouring.column else ""
    if colouring.kind == "number":
        return f"{column} {colouring.low:g} (dark) to {colouring.high:g}"
    entries = list(zip(colouring.names, colouring.colours, strict=False))
    if colouring.other:
        entries.append((colouring.other, OTHER))
    dots = (
        f' <span style="color:{colour}">●</span>&nbsp;{html.escape(shorten(name, 24) or EMPTY)}'
        for name, colour in entries
    )
    return f"{column}{''.join(dots)}"
