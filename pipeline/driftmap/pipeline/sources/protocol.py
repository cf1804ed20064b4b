"""What every source offers."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from driftmap.pipeline.sources.row_ranges import name_some

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.source_spec import SourceSpec

Rows = Any
"""Vectors of n rows: float32 (n, d), or scipy's csr_array of float32 (`sparse_rows`)."""


class WindowRows(NamedTuple):
    """The rows of one window."""

    vectors: Rows | None
    """(n, d), finite; None where they were not asked for."""
    ids: np.ndarray[Any, Any] | None
    """(n,) int64 or fixed-width bytes; None where the source has no ids."""
    labels: dict[str, np.ndarray[Any, Any]]
    """Per label column (n,): numbers, dates, or text as UTF-8 in fixed-width bytes; what is only shown, and texts, as
    bytes objects."""


class KeyFacts(NamedTuple):
    """What the type of a key column says of its values."""

    zone: str | None = None
    """Time zone of its times, as the column names it; of text the one offset that all of them have, such as +02:00."""
    categories: np.ndarray[Any, Any] | None = None
    """Values of an ordered categorical column that windows are made by, in their order; as `key_columns` has them."""
    note: str | None = None
    """How its values are read, where its type does not say."""
    offsets: tuple[str, ...] = ()
    """The different offsets from UTC of times that are text."""
    clocks: tuple[tuple[str, str | None], ...] = ()
    """Where files have times of several zones: the first file of each, and the zone, None where it names none."""
    has_days: bool = False
    """Whether some values are dates, months or years, without a time of day."""

    def show_clocks(self) -> str:
        """Name the zones of files, and a file of each."""
        return name_some([f"{zone or 'none, which is UTC,'} in {name}" for name, zone in self.clocks])


class ReadEstimate(NamedTuple):
    """What reading some rows takes."""

    n_features: int
    """Of the longest vectors, as far as is known without reading them."""
    row_bytes: int
    """Of a row's id and labels, decoded."""
    peak_bytes: int
    """Memory at most, what is read included."""
    n_stored: int | None = None
    """Of sparse rows: numbers that are stored at most in as many as were asked for; None for others."""
    left_bytes: int = 0
    """What its threads may keep after that, while neighbours are searched."""
    text_bytes: int = 0
    """Of a row's text, of which words are found; in `row_bytes` too."""
    label_bytes: int = 0
    """Of all of a row but its id, as far as that is known; in `row_bytes` too. No layout reads it."""

    def count_vector_bytes(self, n_rows: int) -> int:
        """Count what the vectors of as many rows as were asked for take, as they are passed on."""
        return 4 * n_rows * self.n_features if self.n_stored is None else 8 * (self.n_stored + n_rows)


class HeldRows(Protocol):
    """Rows that were read, some of which can be given at a time."""

    @property
    def rows(self) -> Int64Array:
        """Their numbers in the source, ascending."""

    def pick(self, places: Int64Array) -> WindowRows:
        """Give those at some places (ascending) among them, as `Source.read_rows` would."""


class ReadCost(NamedTuple):
    """What reading window by window passes over: a block of rows is read whole."""

    n_bytes: int
    """Of all windows together."""
    source_bytes: int
    """Of the source."""
    opening_bytes: int = 0
    """What every process passes over that opens the source: text says nothing of itself."""
    planning_bytes: int = 0
    """What a run passes over until it stands which windows there are."""


class ValueRanges(NamedTuple):
    """Least and largest value of each column of the vectors; or of all numbers of a column of lists."""

    lows: tuple[float, ...]
    highs: tuple[float, ...]


class ColumnFacts(NamedTuple):
    """What metadata, and where these tell no ranges some rows, say of the vectors' columns."""

    nulls: Mapping[str, int] = MappingProxyType({})
    """Missing values of the columns that have some."""
    spreads: Mapping[str, float] = MappingProxyType({})
    """Of columns of single numbers: largest less least value, where it is known."""
    ranges: ValueRanges | None = None
    """Of the numbers, where they are known and of types that float32 rounds."""


class ReadableRows(Protocol):
    """Rows that are read by their numbers: a source, or what was staged of it."""

    def read_rows(self, runs: Int64Array, *, with_vectors: bool = True) -> WindowRows:
        """Read some rows; see `Source`."""

    def estimate_read(self, n_rows: int) -> ReadEstimate:
        """Estimate what reading so many takes; see `Source`."""


@runtime_checkable
class Source(Protocol):
    """Rows in an order of their own, numbered from 0, of which any part can be read."""

    @property
    def spec(self) -> SourceSpec:
        """What `open_source` needs to open the same source again, in any process."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""

    @property
    def window_names(self) -> Sequence[str] | None:
        """Names of the windows, where the source came cut into windows: the column `spec.by` holds their numbers."""

    def key_columns(self, names: Sequence[str], runs: Int64Array | None = None) -> dict[str, np.ndarray[Any, Any]]:
        """Read columns that windows are planned by; no vectors are read.

        Parameters
        ----------
        names
            Any of the columns that the spec names for time, id and by.
        runs
            int64 (r, 2): the row ranges to read, ascending and apart; None: all rows.

        Returns
        -------
        Per column (n,): times as datetime64[us] (UTC; dates begin by `SourceSpec.clock`), ids as int64 or bytes, others
        as numbers, dates or bytes.

        Raises
        ------
        SourceError
            When a column has missing values, or a type that cannot be used.
        """

    def describe_key(self, name: str) -> KeyFacts:
        """Say what the type of a key column tells of its values; other rows than those of its type are not read."""

    def read_rows(self, runs: Int64Array, *, with_vectors: bool = True) -> WindowRows:
        """Read some rows.

        Parameters
        ----------
        runs
            int64 (r, 2): [start, stop) row ranges, ascending and apart.
        with_vectors
            Read the vectors too.

        Raises
        ------
        SourceError
            When vectors are missing, of unequal length or not finite; the rows of the source are named.
        """

    def find_bad_rows(self, runs: Int64Array) -> Int64Array:
        """Find rows that have no id, or whose vectors are missing or not finite; read a few at a time.

        Parameters
        ----------
        runs
            int64 (r, 2): the row ranges to look at, ascending and apart.

        Returns
        -------
        int64 (b,) their numbers, ascending.
        """

    def estimate_read(self, n_rows: int) -> ReadEstimate:
        """Estimate what `read_rows` takes for a window of so many rows; no rows are read."""

    def column_facts(self) -> ColumnFacts:
        """Tell of the vectors' columns what is known without reading them."""

    def count_bytes(self, windows: Sequence[Int64Array]) -> ReadCost | None:
        """Count what reading some windows (the row ranges of each) passes over; None: about what they have."""

    def list_starts(self) -> Int64Array:
        """List the rows, from 0, at which reading can begin without passing over those before them."""

    def hold_rows(self, runs: Int64Array, n_rows: int) -> Iterator[HeldRows]:
        """Read some rows in one pass, of which about so many are held at a time.

        Parameters
        ----------
        runs
            int64 (r, 2): [start, stop) row ranges, ascending and apart.
        n_rows
            To hold at a time, or a few more.

        Raises
        ------
        SourceError
            As `read_rows`, when rows are picked from what is held.
        """

    def fingerprint(self) -> dict[str, Any]:
        """Tell sources apart: JSON that is the same until the data change."""

    def spill(self, folder: str | Path) -> Source:
        """Write what is in memory only to a folder, and give the source that reads it there; others give themselves."""
