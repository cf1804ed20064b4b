"""How a store shows itself: in a notebook, and as a page. What draws it is given from above."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store.log_view import LogView

if TYPE_CHECKING:
    from pathlib import Path


class Viewer(Protocol):
    """What shows a store: in a notebook, and as a page."""

    def describe(self, store: Any) -> str:
        """Show a store as HTML."""

    def open_report(self, store: Any, path: str | Path | None, title: str | None) -> Path | str:
        """Write the page of a store, and open it in the browser where there is one."""

    def make_widget(self, store: Any, title: str | None, height: int) -> Any:
        """Make the page of a store a widget."""


class ShownStore(LogView):
    """A store that can be looked at."""

    viewer: ClassVar[Viewer | None] = None
    """Given by `driftmap.pipeline` to every store: the store itself knows no page."""

    def _repr_html_(self) -> str:
        return html.escape(repr(self)) if self.viewer is None else self.viewer.describe(self)

    def report(self, path: str | Path | None = None, *, title: str | None = None) -> Path | str:
        """Write the page with the maps, and open it in the browser where there is one.

        Parameters
        ----------
        path
            The HTML file, or the URL of one in a bucket; the store's name in this folder when left out.
        title
            Heading of the page; by default the store's name.

        Returns
        -------
        The path of the file, or its URL.
        """
        return self._find_viewer().open_report(self, path, title)

    def widget(self, *, title: str | None = None, height: int = 760) -> Any:
        """Show the page in a notebook, as its cell's last line; needs `pip install 'driftmap[widget]'`.

        Parameters
        ----------
        title
            As for `report`.
        height
            In pixels.

        Returns
        -------
        A widget whose `window` (label), `selection` (ids as texts) and `hover` (an id, or "") are those of the page:
        set them, or `observe` them.
        """
        return self._find_viewer().make_widget(self, title, height)

    def _find_viewer(self) -> Viewer:
        if self.viewer is None:
            raise StoreError("no viewer is at hand for the page; open the store with `driftmap.open_store`")
        return self.viewer
