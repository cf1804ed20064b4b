"""The page of a store, or of a fitted estimator, as a widget of a notebook that page and Python steer together."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from driftmap.pipeline.errors import PictureError
from driftmap.pipeline.look.extras import load_extra
from driftmap.pipeline.look.fitted_store import write_fitted
from driftmap.pipeline.look.report import render_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from driftmap.engine import AlignedUMAP
    from driftmap.pipeline.store import Store

HEIGHT = 760
_SCRIPT = Path(__file__).parent / "templates" / "widget.js"


def make_widget(
    maps: Store | AlignedUMAP,
    title: str | None = None,
    height: int = HEIGHT,
    *,
    label: Sequence[npt.ArrayLike] | None = None,
    names: Sequence[object] | None = None,
    text: Sequence[Sequence[str]] | None = None,
    columns: Sequence[Any] | None = None,
) -> Any:
    """Make the page a widget, for a cell's last line.

    Parameters
    ----------
    maps
        An opened store, as in `Store.widget`, or a fitted `AlignedUMAP`. The widget shows it as it is now.
    title
        Heading of the page.
    height
        In pixels.
    label
        Of an estimator: what rows are coloured by, one array of labels or numbers per window.
    names
        Of an estimator: names of the windows; 0, 1, 2 ... when left out.
    text
        Of an estimator: one list of texts per window, by whose words clusters are named and changes explained.
    columns
        Of an estimator: one table of numbers per window, by whose columns changes are explained: a frame, a mapping of
        names to (n,) numbers, or an (n, c) array, whose columns are called x0, x1 ... At most 64 columns, the same in
        every window; NaN where a number is missing.

    Returns
    -------
    anywidget.AnyWidget
        Its `window` (name), `selection` (ids as texts) and `hover` (an id, or "") are those of the page: set them, or
        `observe` them. Ids are those that the estimator was fitted with (`ids_`).

    Raises
    ------
    MissingExtraError
        When anywidget is not installed.
    PictureError
        When `maps` is neither, or `label`, `names`, `text` or `columns` do not fit it.
    StoreError
        When the store has no map.
    """
    made = _load_class()
    if hasattr(maps, "window_labels"):
        if any(given is not None for given in (label, names, text, columns)):
            raise PictureError("label, names, text and columns belong to an estimator; a store has its own")
        page = render_page(cast("Store", maps), title=title)
    elif hasattr(maps, "knn_graphs_"):
        with TemporaryDirectory() as folder:
            store = write_fitted(maps, Path(folder) / "fitted", label=label, names=names, text=text, columns=columns)
            page = render_page(store, title=title or type(maps).__name__)
    else:
        raise PictureError(
            f"a widget shows an opened store or a fitted AlignedUMAP, got {_describe(maps)}; of plain lists of maps "
            "there are pictures: plot_grid, plot_points"
        )
    return made(page.html, page.windows, page.ids, height=height)


def _describe(given: object) -> str:
    name = type(given).__name__
    return f"{name} that is not fitted" if hasattr(type(given), "knn_graphs_") else name


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
