"""Label columns -> colours: categories with a legend, numbers on a scale; the page's palette."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.look.run_codes import MAX_CATEGORIES, as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

PALETTE = (
    "#006590", "#fe4116", "#c860e7", "#099a4b", "#694f01", "#7f37d4", "#b00c66", "#0000a8", "#6a0009", "#4b166a",
)  # fmt: skip
"""The page's, in light. Any two differ by at least 0.1 in OKLab, with full colour vision and with each of the
dichromacies, and each stands out from white by 3:1."""

RAMP = ("#440154", "#3b528b", "#147486", "#2e8c46", "#8e8e00")
"""Of numbers, from low to high: the page's, in light. Every step stands out from white by 3:1."""

OTHER = "#858d98"
"""Rows whose category has no colour of its own, whose number is missing, or that stand back."""

INK, SOFT, LINE = "#1b1f24", "#5d6673", "#dfe3e8"

Array = npt.NDArray[Any]


class Colouring(NamedTuple):
    """The colour of every row of every window."""

    column: str | None
    """Name of the label column."""
    kind: str
    """`none`, `category` or `number`."""
    codes: list[Array]
    """Per window, (n,): the number of a category's colour, or a number in [0, 1]; -1, or NaN, for OTHER."""
    names: list[str]
    """Of the categories that have a colour."""
    other: str
    """What the legend calls OTHER; empty where it has no entry."""
    low: float
    high: float

    @property
    def colours(self) -> list[str]:
        """Colours of the categories, then OTHER; code -1 is the last."""
        return [*PALETTE[: max(1, len(self.names))], OTHER]

    def list_paints(self) -> npt.NDArray[np.float32]:
        """Colours that `paint` may give, (c, 3); of a scale, steps of it."""
        if self.kind == "number":
            return blend_ramp(np.array([*np.linspace(0, 1, 23), np.nan]))
        return read_colours(self.colours)

    def paint(self, window: int) -> npt.NDArray[np.float32]:
        """Colours of a window's rows, (n, 3) in [0, 1]."""
        codes = self.codes[window]
        if self.kind != "number":
            return read_colours(self.colours)[codes]
        return blend_ramp(codes)


def colour_rows(values: Sequence[Array] | None, sizes: Sequence[int], column: str | None = None) -> Colouring:
    """Give every row a colour.

    Few categories keep their own order; of more than the palette has colours for, the most frequent ones get one, and
    the others share a grey.

    Parameters
    ----------
    values
        One array per window; None for no labels: one colour for all.
    sizes
        Rows of each window.
    column
        Name of the column.
    """
    if values is None:
        return Colouring(None, "none", [np.zeros(size, dtype=np.intp) for size in sizes], [], "", 0.0, 0.0)
    flat = join_windows(values)
    cuts = np.cumsum([len(one) for one in values])[:-1]
    is_number = flat.dtype.kind in "iuf"
    if is_number and (flat.dtype.kind == "f" or len(np.unique(flat)) > MAX_CATEGORIES):
        return _scale(flat.astype(np.float64), cuts, column)
    kinds, codes, counts = np.unique(flat, return_inverse=True, return_counts=True)
    is_many = len(kinds) > len(PALETTE)
    order = np.argsort(-counts, kind="stable") if is_many else np.arange(len(kinds))
    n_shown = min(len(PALETTE), len(kinds))
    rank = np.full(len(kinds), -1)
    rank[order[:n_shown]] = np.arange(n_shown)
    names = [as_text(kinds[kind]) for kind in order[:n_shown]]
    other = f"{len(kinds) - n_shown} others" if is_many else ""
    return Colouring(column, "category", np.split(rank[codes], cuts), names, other, 0.0, 0.0)


def join_windows(values: Sequence[Array]) -> Array:
    """Put the ids or labels of all windows into one array, as text where they have no common order."""
    kinds = {one.dtype.kind for one in values if len(one)}
    if (kinds <= set("iufb") and kinds != {"b"}) or kinds in ({"U"}, {"M"}):
        return np.concatenate(list(values))
    # Bytes that are no text in one window may be text in another; objects need not have an order.
    return np.array([as_text(value) for one in values for value in one.tolist()], dtype=str)


def read_colours(names: Sequence[str]) -> npt.NDArray[np.float32]:
    """Colours such as `#2c8686` as numbers, (n, 3) in [0, 1]."""
    parts = [[int(name[at : at + 2], 16) for at in (1, 3, 5)] for name in names]
    return np.array(parts, dtype=np.float32) / np.float32(255)


def blend_ramp(values: Array) -> npt.NDArray[np.float32]:
    """Colours of numbers in [0, 1], (n, 3); OTHER where they are NaN."""
    stops = read_colours(RAMP)
    at = np.nan_to_num(values) * (len(stops) - 1)
    blended = np.column_stack([np.interp(at, np.arange(len(stops)), stops[:, axis]) for axis in range(3)])
    blended[np.isnan(values)] = read_colours([OTHER])[0]
    return blended.astype(np.float32)


def _scale(flat: Array, cuts: Array, column: str | None) -> Colouring:
    finite = flat[np.isfinite(flat)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    scaled = np.where(np.isfinite(flat), (flat - low) / ((high - low) or 1.0), np.nan)
    return Colouring(column, "number", np.split(scaled, cuts), [], "", low, high)
