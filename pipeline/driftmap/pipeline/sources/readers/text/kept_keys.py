"""Key columns of files of text, kept from the pass that finds their types: planning need not read the files again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.types as pt

from driftmap.pipeline.sources.readers.text.text_types import KINDS, read_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

KEPT_BYTES = 256 * 2**20
"""Keys of all files of a source that are kept; those of a file for which nothing is left are read when they are asked
for."""


class KeyBudget:
    """Bytes of keys that the files of a source may still keep."""

    def __init__(self) -> None:
        self.left = KEPT_BYTES


class KeptKeys:
    """Key columns of one file.

    Parameters
    ----------
    names
        The columns; none: nothing is kept.
    budget
        Shared by all files of the source.
    is_text
        Whether values come as text, as in CSV.
    """

    def __init__(self, names: Sequence[str], budget: KeyBudget, *, is_text: bool) -> None:
        self._parts: dict[str, list[pa.Array]] = {name: [] for name in names}
        self._budget = budget
        self._is_text = is_text
        self._n_bytes = 0

    @property
    def is_kept(self) -> bool:
        """Whether keys are there."""
        return bool(self._parts)

    def add(self, table: pa.Table, read_text: Callable[[str], pa.ChunkedArray]) -> None:
        """Keep the columns of the next rows.

        Parameters
        ----------
        table
            The rows, as they were read to find types.
        read_text
            Reads one of their columns as text: what looks like a date comes as one, whose text is lost.
        """
        for name, parts in self._parts.items():
            column = table.column(name) if name in table.schema.names else pa.chunked_array([pa.nulls(len(table))])
            if pt.is_temporal(column.type):
                column = read_text(name)
            parts.append(column.combine_chunks())
            self._n_bytes += column.nbytes
            self._budget.left -= column.nbytes
        if self._budget.left < 0:
            self.forget()

    def read(self, names: Sequence[str], kinds: Mapping[str, str]) -> dict[str, pa.ChunkedArray] | None:
        """Give some columns as what they are read as, by name; None where they are not there, or not as exactly."""
        found = {}
        for name in names:
            if name not in kinds or not self._parts.get(name):
                return None
            kind = KINDS[kinds[name]]
            if self._is_text:
                found[name] = read_texts(pa.chunked_array(self._parts[name]), kinds[name])
            elif all(part.type == kind or pt.is_null(part.type) for part in self._parts[name]):
                found[name] = pa.chunked_array([part.cast(kind) for part in self._parts[name]], kind)
            else:
                return None
        return found

    def forget(self) -> None:
        """Keep nothing from now on."""
        self._parts = {}
        self._budget.left += self._n_bytes
        self._n_bytes = 0
