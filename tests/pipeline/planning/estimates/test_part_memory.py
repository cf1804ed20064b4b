"""What a plan says a worker's part of a block takes, against its steps: never less, and at most twice as much."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.memory import AS_IN_WORKERS, needs_proc, run_python

BUILD_GRAPHS = """
from contextlib import suppress
from driftmap.pipeline import run

class LayoutBegins(Exception):
    pass

def stop(progress):
    if progress.stage == "layout" and progress.epochs_done:
        raise LayoutBegins

with suppress(LayoutBegins):
    run({source!r}, {store!r}, by="w", id="id", n_epochs=2, scheduler="serial", progress=stop)
print("built")
"""

MEASURE_PARTS = """
import json
import distributed  # as a worker has it
from driftmap.pipeline import plan
from driftmap.pipeline.executors.base import SerialExecutor
from driftmap.pipeline.executors.machine import release_memory
from driftmap.pipeline.layout.in_parts import part_task, share_out
from driftmap.pipeline.layout.job import LayoutJob
from driftmap.pipeline.planning.estimates.memory import size_largest_block
from driftmap.pipeline.sources import as_source
from driftmap.pipeline.store import Store
from tests.memory import peak_bytes_of

roles = dict(by="w", id="id")

def lay_out(source, path, n_parts):
    planned = plan(source, **roles, n_epochs=4)
    config, (block,) = planned.config, planned.blocks
    job = LayoutJob(planned.blocks, config.layout_settings(), config.lookahead, config.random_state)
    share_out.lay_out_in_parts(Store.open(path), job, SerialExecutor(), n_parts, 0)(block, lambda *_: None)
    read = as_source(source, id="id", by="w").estimate_read(0)
    return size_largest_block(read, config, planned.windows, planned.blocks, n_parts)

lay_out({source!r}, {store!r}, 2)  # compiles what there is to compile
peaks, real = {{}}, part_task.run_part_step

def measure(job, step, *needed):
    release_memory()
    found = []
    peak = peak_bytes_of(lambda: found.append(real(job, step, *needed)))
    peaks[step.kind] = max(peaks.get(step.kind, 0), peak)
    return found[0]

part_task.run_part_step = measure
estimate = lay_out({source!r}, {store!r}, 2)
print(json.dumps([peaks, estimate]))
"""


def write_windows(path, n_rows, n_features):
    """Write two windows of groups; a fifth of the ids is replaced, and all rows move a little."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 20, n_rows)
    first = (rng.normal(size=(20, n_features)) * 4)[kinds] + rng.normal(size=(n_rows, n_features))
    ids = np.arange(n_rows)
    later = np.where(rng.random(n_rows) < 0.2, ids + n_rows, ids)
    rows = np.concatenate([first, first + 0.1 * rng.normal(size=first.shape)]).astype(np.float32)
    columns = {f"f{k}": rows[:, k] for k in range(n_features)}
    pq.write_table(pa.table({"w": np.repeat([0, 1], n_rows), "id": np.concatenate([ids, later]), **columns}), path)


@needs_proc
@pytest.mark.slow
def test_a_part_takes_at_most_what_is_said_and_at_least_half(tmp_path):
    source, store = str(tmp_path / "rows.parquet"), str(tmp_path / "store.zarr")
    write_windows(source, 120_000, 8)
    run_python(BUILD_GRAPHS.format(source=source, store=store))
    code = MEASURE_PARTS.format(source=source, store=store)
    peaks, estimate = json.loads(run_python(code, **AS_IN_WORKERS))
    assert set(peaks) == {"start", "carry", "move", "cluster", "write"}
    assert max(peaks.values()) <= estimate <= 2 * max(peaks.values())
