"""Lines that say what is done to the rows of a source: dropped, settled where an id comes again, and scaled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from driftmap.engine import pick_repulsion
from driftmap.engine.settings import AUTO, pick_value
from driftmap.pipeline.config.source_spec import SchemaChange
from driftmap.pipeline.planning.cuts import LEAST_ROWS
from driftmap.pipeline.sources.row_ranges import name_some

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_RULES = {
    "first": "the first row stands for each",
    "last": "the last row stands for each",
    "mean": "the mean of its rows stands for each",
}


_SCALES = {
    "standard": "columns to mean 0 and standard deviation 1",
    "robust": "columns to median 0 and interquartile range 1",
    "unit": "each row to length 1",
}


class FittedRows(Protocol):
    """What a scaling was fitted on."""

    @property
    def n_rows(self) -> int:
        """Rows of all windows."""

    @property
    def n_fitted(self) -> int:
        """Those of them that it was fitted on."""


class BuiltRows(Protocol):
    """A window of a store."""

    @property
    def label(self) -> str:
        """Its label."""

    @property
    def schema(self) -> int:
        """Which schema of the source its rows have."""


class WindowRows(Protocol):
    """A window, planned or of a store."""

    @property
    def n_rows(self) -> int:
        """Its rows."""


class CountedRows(Protocol):
    """A window, planned or of a store."""

    @property
    def label(self) -> str:
        """Its label."""

    @property
    def n_dropped(self) -> int:
        """Rows that were dropped."""

    @property
    def n_repeated(self) -> int:
        """Rows of an id that another row, or the mean of all, stands for."""


def describe_rows(on_bad_rows: str, duplicates: str, has_ids: bool, windows: Sequence[CountedRows]) -> list[str]:  # noqa: FBT001
    """Say by window how many rows do not count, and why.

    Parameters
    ----------
    on_bad_rows, duplicates
        The rules of the source.
    has_ids
        Whether rows have ids.
    windows
        Of a plan, or of a store.

    Returns
    -------
    A line for each rule that is not to refuse such rows.
    """
    lines = []
    if on_bad_rows == "drop":
        dropped = [(window.label, window.n_dropped) for window in windows if window.n_dropped]
        what = "without an id, or with missing or infinite numbers" if has_ids else ("with missing or infinite numbers")
        lines.append(f"dropped rows: {_count(dropped)} {what} (on_bad_rows){_name(dropped)}")
    if duplicates in _RULES:
        repeated = [(window.label, window.n_repeated) for window in windows if window.n_repeated]
        more = f"{_count(repeated)} more of an id of the same window; {_RULES[duplicates]}"
        lines.append(f"repeated rows: {more} (duplicates){_name(repeated)}")
    return lines


def describe_target(column: str | None, settings: Mapping[str, Any] | None) -> list[str]:
    """Say which column draws the graphs towards its values, and how: a line, or none."""
    if column is None or settings is None:
        return []
    return [f"target: {column} ({settings['target_metric']}, weight {settings['target_weight']:g})"]


def describe_reasons(text: str | None, shown: Sequence[str]) -> list[str]:
    """Say whose words are counted, and what is kept to be shown: a line for each, or none."""
    lines = [] if text is None else [f"text: {text}, of which the words of each row are kept"]
    return [*lines, f"shown: {', '.join(shown)}"] if shown else lines


def describe_scale(scale: str, fitted: FittedRows | None) -> list[str]:
    """Say how vectors are scaled, and by what; nothing where they are not.

    Parameters
    ----------
    scale
        As the run has it.
    fitted
        What it was fitted on; None before the run, and for rows.
    """
    if scale not in _SCALES:
        return []
    if scale == "unit":
        return [f"scale: unit, {_SCALES[scale]}"]
    if fitted is None:
        return [f"scale: {scale}, {_SCALES[scale]}; fitted on the rows of all windows when the run begins"]
    of = "" if fitted.n_fitted == fitted.n_rows else f"a sample of {fitted.n_fitted:,} of "
    return [f"scale: {scale}, {_SCALES[scale]}; fitted on {of}the {fitted.n_rows:,} rows of the run's windows"]


def describe_repulsion(given: Any, windows: Sequence[WindowRows]) -> list[str]:
    """Say how strong the repulsion is where it goes by the rows of the windows; nothing where it is 1 in all.

    Parameters
    ----------
    given
        `repulsion_strength` of the run; None, or empty, where a damaged log has none.
    windows
        Of a plan, or of a store, in their order.
    """
    own = [pick_value(given, t) for t in range(len(windows))] if given else []
    weights = [pick_repulsion(window.n_rows) for window, value in zip(windows, own, strict=False) if value == AUTO]
    if not weights or max(weights) == 1:
        return []
    low, high = (f"{weight:.2g}" for weight in (min(weights), max(weights)))
    return [f"repulsion: {low if low == high else f'{low} to {high}'}, by the rows of each window (repulsion_strength)"]


def describe_left_out(labels: Sequence[str]) -> list[str]:
    """Say which windows a run has not, since they have too few rows; nothing where it has all."""
    if not labels:
        return []
    return [f"windows left out, with fewer than {LEAST_ROWS} rows (on_empty): {name_some(list(map(repr, labels)))}"]


def describe_schemas(config: Mapping[str, Any], windows: Sequence[BuiltRows]) -> list[str]:
    """Say which other schemas of the source were taken in on purpose, and which windows have rows of them.

    Parameters
    ----------
    config
        Of a store.
    windows
        Of the store.
    """
    lines = []
    for number, saved in enumerate(config.get("schemas") or (), start=1):
        change = SchemaChange.model_validate(saved)
        there = [place for place, window in enumerate(windows) if window.schema == number]
        if not there:
            where = f"in no window yet, first in {change.part}"
        elif len(there) == len(windows) - there[0]:
            where = f"from window {windows[there[0]].label!r} on"
        else:
            where = f"in {len(there):,} windows, {name_some([repr(windows[place].label) for place in there])}"
        left = f"; not in the vectors: {name_some(list(change.exclude))}" if change.exclude else ""
        lines.append(f"schema accepted {where}: {change.pin}{left}")
    return lines


def _count(counted: list[tuple[str, int]]) -> str:
    return f"{sum(count for _, count in counted):,}" if counted else "none"


def _name(counted: list[tuple[str, int]]) -> str:
    return f": {name_some([f'{count:,} of {label!r}' for label, count in counted])}" if counted else ""
