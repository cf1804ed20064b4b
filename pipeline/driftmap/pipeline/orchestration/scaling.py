"""Scaling of columns, fitted once on the rows of all windows: on the workers where there are many, in one pass."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.engine import ColumnMoments, ColumnScaling
from driftmap.pipeline.config.run_config import ScalingPin
from driftmap.pipeline.executors.base import Task
from driftmap.pipeline.sources.row_ranges import join_runs, runs_to_rows, split_runs
from driftmap.pipeline.sources.rows.bad_rows import RANGE_BYTES
from driftmap.pipeline.sources.rows.column_reads import measure_columns, measure_columns_task, pick_rows, pick_rows_task
from driftmap.pipeline.store.shared_rows import digest_scaling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.executors.choice import Workplace
    from driftmap.pipeline.planning.plan import Plan
    from driftmap.pipeline.sources import Source

STAGE = "scaling"
"""What Dask's dashboard calls these tasks."""

SAMPLE_BYTES = 64 * 2**20
"""Vectors that quartiles are taken of (`robust`): all where they are no more, else of a random sample of rows. With
100,000 rows a quartile is then known to about .14 % of the rows (one standard deviation)."""
_SAMPLE_STREAM = 0x5CA1E


class Fitted(NamedTuple):
    """Columns' centres and spreads, and what the settings keep of them."""

    scaling: ColumnScaling
    pin: ScalingPin


def fit_scaling(source: Source, planned: Plan, place: Workplace) -> Fitted | None:
    """Fit the scaling that a run asks for; None where it asks for none that is fitted.

    Every row of a window counts once, however many windows have it; rows of one id that become their mean count each.

    Parameters
    ----------
    source, planned
        Of the run.
    place
        Where rows are read. Ranges of rows, and the order in which they are joined, do not depend on it.
    """
    kind = planned.config.scale
    if kind in ("none", "unit"):
        return None
    runs = join_runs([window.runs for window in planned.windows])
    width = max(1, 4 * source.estimate_read(1).n_features)
    parts = split_runs(runs, max(1, RANGE_BYTES // width))
    n_rows = n_fitted = int((runs[:, 1] - runs[:, 0]).sum())
    if kind == "standard":
        moments: list[ColumnMoments] = _map(
            source, place, measure_columns, measure_columns_task, parts, [()] * len(parts)
        )
        scaling = ColumnScaling.standard(reduce(ColumnMoments.join, moments))
    else:
        wanted = _choose_rows(runs, max(2, SAMPLE_BYTES // width), planned.config.random_state)
        n_fitted = len(wanted)
        own = [(wanted[np.searchsorted(wanted, part[0, 0]) : np.searchsorted(wanted, part[-1, 1])],) for part in parts]
        scaling = ColumnScaling.robust(np.concatenate(_map(source, place, pick_rows, pick_rows_task, parts, own)))
    return Fitted(scaling, ScalingPin(digest=digest_scaling(scaling), n_rows=n_rows, n_fitted=n_fitted))


def _choose_rows(runs: Int64Array, n_most: int, seed: int) -> Int64Array:
    rows = runs_to_rows(runs)
    if len(rows) <= n_most:
        return rows
    chosen = np.random.default_rng([seed, _SAMPLE_STREAM]).choice(len(rows), n_most, replace=False)
    return rows[np.sort(chosen)]


def _map(
    source: Source,
    place: Workplace,
    function: Callable[..., Any],
    task: Callable[..., Any],
    parts: Sequence[Int64Array],
    more: Sequence[tuple[Any, ...]],
) -> list[Any]:
    """Call a function for parts of the rows, here or on the workers; results in the order of the parts."""
    if len(parts) == 1 or place.scheduler == "serial" or not source.spec.path:
        return [function(source, part, *own) for part, own in zip(parts, more, strict=True)]
    tasks = [
        Task(f"rows {part[0, 0]}-{part[-1, 1] - 1}", (source.spec, part, *own, number))
        for number, (part, own) in enumerate(zip(parts, more, strict=True))
    ]
    with place.start_aside(len(tasks)) as executor:
        found = dict(executor.map_unordered(task, tasks, STAGE))
    return [found[number] for number in range(len(parts))]
