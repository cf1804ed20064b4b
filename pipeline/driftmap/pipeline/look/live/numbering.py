"""Numbers of ids and of labels, given as windows are read and kept from then on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.look.run_codes import MAX_CATEGORIES, MAX_PALETTE, NUMBER_STEPS, as_text, name_label

Array = npt.NDArray[Any]

HEADROOM = 2.0
"""Of a scale, below and above the first window's, in its ranges: what later windows may add; beyond, it is clipped."""


class EntityNumbers:
    """Gives each id a number of its own, the next free one at first sight."""

    def __init__(self) -> None:
        self._marks = np.zeros(0, dtype=np.uint64)
        self._numbers = np.zeros(0, dtype=np.int64)
        self._names: list[str | None] = []

    def __len__(self) -> int:
        """Count the numbers given."""
        return len(self._marks)

    def number(self, marks: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Give ids numbers by their marks (`RowReader.list_marks`); new ones in their order, which says nothing."""
        new = np.setdiff1d(marks, self._marks)
        at = np.searchsorted(self._marks, new)
        self._numbers = np.insert(self._numbers, at, len(self._marks) + np.arange(len(new)))
        self._marks = np.insert(self._marks, at, new)
        found: npt.NDArray[np.int64] = self._numbers[np.searchsorted(self._marks, marks)]
        return found

    def name(self, entities: npt.NDArray[np.int64], ids: Array) -> list[str]:
        """Give numbered ids as the page shows them; an id has one text, whatever windows it is in."""
        self._names.extend([None] * (len(self) - len(self._names)))
        names = []
        for entity, value in zip(entities.tolist(), ids.tolist(), strict=True):
            name = self._names[entity]
            if name is None:
                name = self._names[entity] = name_label(as_text(value))
            names.append(name)
        return names


class ColumnCodes:
    """Codes of one label column: of categories the order in which they came, or steps of a scale.

    Parameters
    ----------
    name
        Of the column.
    values
        Of rows of the window that was read first: they decide what kind it is.
    most, rest
        Categories that have codes of their own, and what all others are called; None: all have.
    """

    def __init__(self, name: str, values: Array, most: int | None = None, rest: str = "") -> None:
        self.name = name
        self.values: list[str] = []
        self._known: dict[Any, int] = {}
        self._low = self._step = 0.0
        self._most, self._rest = most, rest
        is_number = values.dtype.kind == "f"
        if not is_number:
            different, counts = np.unique(_as_plain(values), return_counts=True)
            is_number = different.dtype.kind in "iu" and len(different) > MAX_CATEGORIES
            if not is_number:  # of many, the most frequent come first: the page has colours for those
                order = (
                    np.argsort(-counts, kind="stable") if len(different) > MAX_PALETTE else np.arange(len(different))
                )
                self._add(different[order].tolist())
        self.kind = "number" if is_number else "category"
        if is_number:
            self._make_scale(values)

    def encode(self, values: Array) -> npt.NDArray[np.int64]:
        """Give the codes of values; -1 where a number is missing."""
        if self.kind == "number":
            wide = values.astype(np.float64) if values.dtype.kind in "iufb" else np.full(len(values), np.nan)
            is_known = np.isfinite(wide)
            steps = np.rint((np.where(is_known, wide, self._low) - self._low) / self._step)
            return np.where(is_known, np.clip(steps, 0, NUMBER_STEPS), -1).astype(np.int64)
        different, inverse = np.unique(_as_plain(values), return_inverse=True)
        self._add([value for value in different.tolist() if value not in self._known])
        table = np.array([self._known[value] for value in different.tolist()], dtype=np.int64)
        codes: npt.NDArray[np.int64] = table[inverse.reshape(-1)]
        return codes

    def describe(self) -> dict[str, Any]:
        """Say what the codes mean."""
        if self.kind == "category":
            return {"name": self.name, "kind": self.kind, "values": self.values}
        return {"name": self.name, "kind": self.kind, "low": self._low, "step": self._step, "range": self._range}

    def _add(self, values: list[Any]) -> None:
        for value in values:
            if self._most is not None and len(self.values) >= self._most and value != self._rest:
                if self._rest not in self._known:
                    self._add([self._rest])
                self._known[value] = self._known[self._rest]
                continue
            self._known[value] = len(self.values)
            self.values.append(name_label(as_text(value)))

    def _make_scale(self, values: Array) -> None:
        finite = values[np.isfinite(values)].astype(np.float64)
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        width = (high - low) or 1.0
        self._range = [low, high]
        self._low, self._step = low - HEADROOM * width, (1 + 2 * HEADROOM) * width / NUMBER_STEPS


def _as_plain(values: Array) -> Array:
    """Take texts that numpy keeps as objects as its own: these sort."""
    return values.astype(np.str_) if values.dtype.kind == "O" else values
