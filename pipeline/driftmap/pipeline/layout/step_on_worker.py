"""A step of an ingest on a worker of a cluster: it reads graphs from the store and writes maps there.

The process that ingests then holds no graph and no map; it commits what comes back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftmap.pipeline.layout.on_worker import do_on_worker
from driftmap.pipeline.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.pipeline.executors.base import Executor
    from driftmap.pipeline.layout.step import StepSettings
    from driftmap.pipeline.store.disk.location import Location
    from driftmap.pipeline.store.log.layouts import BuiltWindow, StepCommit


def make_step_task(location: Location, settings: StepSettings, built: Sequence[BuiltWindow]) -> StepCommit:
    """Do one step in a worker's process; what came before it is committed."""
    from driftmap.pipeline.layout.extend import Stepper  # late: the coordinator loads no kernels

    return Stepper(Store.open(location), settings).make_step(built)


def make_step_on_worker(
    store: Store, settings: StepSettings, built: Sequence[BuiltWindow], executor: Executor
) -> StepCommit:
    """Have one of the executor's workers do a step, with the threads of all its slots.

    Parameters
    ----------
    store, settings, built
        As for `size_step`.
    executor
        Where it is done, before graphs that wait.

    Returns
    -------
    StepCommit
        What to commit; the maps are written.
    """
    names = ", ".join(repr(window["receipt"]["label"]) for window in built)
    return do_on_worker(executor, f"maps of {names}", make_step_task, store.location, settings, list(built))
