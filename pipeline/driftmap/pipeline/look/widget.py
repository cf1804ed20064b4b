"""The page of a store as a widget of a notebook: window, selection and hover go in both directions."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from driftmap.pipeline.look.extras import load_extra
from driftmap.pipeline.look.report import render_page

if TYPE_CHECKING:
    from driftmap.pipeline.store import Store

HEIGHT = 760
_SCRIPT = Path(__file__).parent / "templates" / "widget.js"


def make_widget(store: Store, title: str | None = None, height: int = HEIGHT) -> Any:
    """Make the widget of a store; see `Store.widget`.

    Raises
    ------
    MissingExtraError
        When anywidget is not installed.
    StoreError
        When the store has no map.
    """
    made = _load_class()
    page = render_page(store, title=title)
    return made(page.html, page.windows, page.ids, height=height)


@cache
def _load_class() -> Any:
    base: Any = load_extra("anywidget", "a widget", extra="widget").AnyWidget
    traits = load_extra("traitlets", "a widget", extra="widget")

    class MapWidget(base):  # type: ignore[misc]
        """The page of a store in a notebook."""

        _esm = _SCRIPT
        _page = traits.Unicode().tag(sync=True)
        height = traits.Int(HEIGHT, min=100).tag(sync=True)
        window = traits.Unicode().tag(sync=True)
        selection = traits.List(traits.Unicode()).tag(sync=True)
        hover = traits.Unicode().tag(sync=True)

        def __init__(self, page: str, windows: list[str], ids: list[str], **given: Any) -> None:
            self._windows, self._ids = windows, frozenset(ids)
            super().__init__(_page=page, **given)

        @traits.validate("window")
        def _check_window(self, proposal: Any) -> Any:
            if proposal["value"] in self._windows:
                return proposal["value"]
            some = ", ".join(repr(label) for label in self._windows[-3:])
            raise traits.TraitError(
                f"window must be the label of one of the {len(self._windows):,} windows, such as {some}; "
                f"got {proposal['value']!r}"
            )

        @traits.validate("selection", "hover")
        def _check_ids(self, proposal: Any) -> Any:
            value = proposal["value"]
            asked = value if isinstance(value, list) else [value] * bool(value)
            unknown = next((one for one in asked if one not in self._ids), None)
            if unknown is None:
                return value
            raise traits.TraitError(
                f"{proposal['trait'].name} must be of ids that the page draws, as it shows them; got {unknown!r}"
            )

    return MapWidget
