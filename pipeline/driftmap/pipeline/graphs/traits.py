"""Traits of a window's rows, as its graph task takes them: words of texts, and rounded numbers of named columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine import count_terms
from driftmap.pipeline.store.row_traits import MAX_COLUMNS, NUMBER_ARRAYS, SCALE_ROWS, NumberCoder, pack_terms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from driftmap.pipeline.config.source_spec import SourceSpec

    Array = npt.NDArray[Any]

_ROWS_AT_ONCE = 4096


def name_number_columns(spec: SourceSpec) -> tuple[str, ...]:
    """Name the columns of numbers that vectors are made of; none where they are one column, or too many."""
    pin = spec.pin
    is_named = pin is not None and not pin.is_list and pin.dimension in (None, len(pin.names))
    return pin.names if pin is not None and is_named and len(pin.names) <= MAX_COLUMNS else ()


class NumberTaker:
    """Takes numbers of rows as they are read for a graph, whole or block by block, each row once.

    Parameters
    ----------
    spec
        Of the source.
    n_rows
        Of the window.
    """

    def __init__(self, spec: SourceSpec, n_rows: int) -> None:
        self.columns = name_number_columns(spec)
        self._coder: NumberCoder | None = None
        self._codes = np.zeros((n_rows if self.columns else 0, len(self.columns)), dtype=np.uint8)
        self._is_taken = np.zeros(len(self._codes), dtype=np.bool_)

    def start(self, first: Array) -> None:
        """Choose the steps by the window's first rows, at least SCALE_ROWS of them where there are as many."""
        if self.columns and first.shape[1] == len(self.columns):
            self._coder = NumberCoder(first)
        else:
            self.columns = ()

    def take(self, begin: int, vectors: Array) -> None:
        """Take rows from `begin` on, before they are scaled."""
        here = slice(begin, begin + len(vectors)) if self.columns else slice(0)
        if self._coder is None or self._is_taken[here].all():
            return
        for at in range(0, len(vectors), _ROWS_AT_ONCE):
            part = vectors[at : at + _ROWS_AT_ONCE]
            self._codes[begin + at : begin + at + len(part)] = self._coder.encode(part)
        self._is_taken[here] = True

    def find_rest(self) -> list[tuple[int, int]]:
        """Find row ranges that were not taken."""
        rest = np.flatnonzero(~self._is_taken) if self.columns else np.zeros(0, dtype=np.int64)
        parts = np.split(rest, np.flatnonzero(np.diff(rest) > 1) + 1)
        return [(int(part[0]), int(part[-1]) + 1) for part in parts if len(part)]

    def finish(self) -> dict[str, Array]:
        """Give the arrays to write."""
        if self._coder is None:
            return {}
        return dict(zip(NUMBER_ARRAYS, (self._codes, self._coder.scale), strict=True))


def take_words(spec: SourceSpec, labels: Mapping[str, Array]) -> dict[str, Array]:
    """Find the words of a window's texts; no arrays where the source names no texts."""
    if spec.text is None:
        return {}
    return pack_terms(count_terms(_read_texts(labels[spec.text])))


def describe_traits(spec: SourceSpec, columns: Sequence[str], prose_digest: str | None) -> dict[str, Any]:
    """Say what the group of a graph holds besides, and which texts that was made of."""
    found = {"has_terms": spec.text is not None, "columns": list(columns), "text": spec.text}
    return found if prose_digest is None else {**found, "prose_digest": prose_digest}


def has_all_traits(traits: Mapping[str, Any] | None, spec: SourceSpec, prose_digest: str | None) -> bool:
    """Whether the group of a graph holds all that is asked for besides, made of these texts.

    Parameters
    ----------
    traits
        As `describe_traits` gave them; None where there are none.
    spec
        Of the source, with the columns that are asked for.
    prose_digest
        Of the texts as they are. Those that are labels too are not in it: there the name of their column counts.
    """
    if traits is None or traits.get("prose_digest") != prose_digest:
        return False
    return spec.text is None or spec.text not in spec.label or traits.get("text") == spec.text


def has_prose(traits: Mapping[str, Any]) -> bool:
    """Whether the group of a graph holds words, or what is only shown, beside numbers."""
    return bool(traits.get("has_terms")) or traits.get("prose_digest") is not None


def exchange_texts(spec: SourceSpec, labels: dict[str, Array]) -> dict[str, Array]:
    """Find the words of a window's texts, and let go of texts that the store does not keep."""
    words = take_words(spec, labels)
    if spec.text is not None and not spec.is_kept(spec.text):
        del labels[spec.text]
    return words


def _read_texts(values: Array) -> Iterator[str]:
    for begin in range(0, len(values), _ROWS_AT_ONCE):
        for value in values[begin : begin + _ROWS_AT_ONCE].tolist():
            yield value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


__all__ = [
    "SCALE_ROWS",
    "NumberTaker",
    "describe_traits",
    "exchange_texts",
    "has_all_traits",
    "has_prose",
    "name_number_columns",
    "take_words",
]
