"""What a plan says a run takes, against what it takes: never less, and at most twice as much."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from tests.memory import measure_task, needs_proc, run_python

from driftmap.pipeline import plan, run
from driftmap.pipeline.errors import ConfigError, PlanError
from driftmap.pipeline.executors.base import WorkerLimit
from driftmap.pipeline.executors.machine import format_size
from driftmap.pipeline.planning.estimates.memory import LAYOUT_WORKER_BYTES, WORKER_BYTES, Estimate, fit_tasks
from driftmap.pipeline.sources import as_source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MEASURE_TASK = """
import json
from dataclasses import replace
import numpy as np
import distributed  # as a worker has it
from numba.core.event import install_recorder
from types import SimpleNamespace
from driftmap.engine.graph.window_graph import build_window_graph_from_blocks
from driftmap.engine.settings import GraphSettings
from driftmap.pipeline import plan
from driftmap.pipeline.executors.machine import release_memory
from driftmap.pipeline.executors.process_settings import hold_settings
from driftmap.pipeline.graphs.stage import make_orders, make_tasks
from driftmap.pipeline.planning.estimates.task_size import WindowReads, size_task
from driftmap.pipeline.sources import as_source
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.graphs.build_graph import build_graph_task, warm_up
from driftmap.pipeline.planning.windows import WindowPlan
from tests.memory import peak_bytes_of, read_status

warm_up()
if {share}:  # kernels of blocks are compiled by the first task that needs them
    rows = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    build_window_graph_from_blocks(lambda first, last: rows[first:last], 64, GraphSettings(n_neighbors=4), 32)
roles = dict(id="id", vectors={vectors!r}, duplicates={duplicates!r}, target={target!r}, text={text!r})
more = dict(target_metric="euclidean") if {target!r} else dict()
planned = plan({source!r}, **roles, **more, rows={n_rows}, n_neighbors={n_neighbors})
window, source = planned.windows[0], as_source({source!r}, **roles)
reads = WindowReads(source, window.n_rows, window.n_read)
store = SimpleNamespace(location=Location({store!r}), fingerprint=source.fingerprint(), may_pack=True)
small = WindowPlan(0, "small", np.array([[0, 100]]), 100 * window.n_rows // window.n_read)
exact = replace(planned.config.graph_settings(), knn_recall=1.0)
max_bytes = {share} and int({share} * size_task(reads, window.n_rows, exact).n_bytes)
size = size_task(reads, window.n_rows, planned.config.graph_settings(), max_bytes, planned.config.target_settings())
orders = make_orders(store, planned.config, [small, window])
one, other = make_tasks(store, planned.config, orders, max_bytes)
release_memory()  # what planning read
held = hold_settings(1)  # as around the tasks of a worker
held.__enter__()
build_graph_task(*one.arguments)
release_memory()
at_rest = read_status("VmRSS")
with install_recorder("numba:compile") as compiled:
    peak = peak_bytes_of(lambda: build_graph_task(*other.arguments))
print(json.dumps([peak, at_rest, size.n_bytes, max_bytes, size.block_rows, len(compiled.buffer)]))
"""


def write_source(folder: Path, kind: str, n_rows: int, n_features: int, n_each: int = 1) -> tuple[Path, str]:
    """Write rows, of which so many each have one id."""
    path = folder / f"rows.{kind}"
    if kind == "h5ad":
        return write_sparse(path, n_rows + n_rows // 2, n_features, n_each), "X"
    rows = np.random.default_rng(0).normal(size=(n_rows + n_rows // 2, n_features)).astype(np.float32)
    ids = np.arange(len(rows)) // n_each
    if kind == "zarr":
        group = zarr.open_group(path, mode="w", zarr_format=3)
        chunk = max(1, 2**22 // rows[0].nbytes)
        group.create_array("vectors", data=rows, chunks=(min(chunk, len(rows)), n_features))
        group.create_array("id", data=ids)
        return path, "vectors"
    if kind == "columns":
        pq.write_table(pa.table({"id": ids, **{f"f{i}": rows[:, i] for i in range(n_features)}}), path)
        return path, ""
    column = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), n_features)
    pq.write_table(pa.table({"id": ids, "v": column}), path)
    return path, "v"


def write_sparse(path: Path, n_rows: int, n_features: int, n_each: int) -> Path:
    """Write rows of which each has N_STORED numbers, as AnnData does."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        matrix = file.create_group("X")
        matrix.attrs.update({"encoding-type": "csr_matrix", "shape": (n_rows, n_features)})
        matrix["data"] = rng.normal(size=n_rows * N_STORED).astype(np.float32)
        firsts = rng.integers(n_features - N_STORED, size=n_rows)
        matrix["indices"] = (firsts[:, None] + np.arange(N_STORED)).ravel().astype(np.int32)
        matrix["indptr"] = np.arange(n_rows + 1) * N_STORED
        file.create_group("obs").attrs["_index"] = "id"
        file["obs/id"] = np.arange(n_rows) // n_each
    return path


N_STORED = 100
"""Numbers of a sparse row."""

CASES = [
    ("parquet", 2_000, 16, 15),
    ("zarr", 10_000, 64, 15),
    ("columns", 4_000, 200, 15),
    ("h5ad", 6_000, 5_000, 15),
    *(
        pytest.param(*case, marks=pytest.mark.slow)
        for case in (
            ("zarr", 4_000, 1_000, 15),
            ("parquet", 10_000, 8, 60),
            ("parquet", 16_000, 256, 15),
            ("h5ad", 2_000, 30_000, 60),
        )
    ),
    *(
        pytest.param(*case, marks=pytest.mark.long)  # each reads and searches as one above does
        for case in (
            ("parquet", 4_000, 1_000, 15),
            ("parquet", 20_000, 64, 15),
            ("zarr", 30_000, 32, 15),
            ("h5ad", 9_000, 1_000, 5),
        )
    ),
]


@needs_proc
@pytest.mark.parametrize(("kind", "n_rows", "n_features", "n_neighbors"), CASES)
def test_a_graph_task_takes_at_most_what_is_said_and_at_least_half(tmp_path, kind, n_rows, n_features, n_neighbors):
    path, vectors = write_source(tmp_path, kind, n_rows, n_features)
    given = {"source": str(path), "vectors": vectors or None, "n_rows": n_rows, "n_neighbors": n_neighbors}
    code = MEASURE_TASK.format(**given, duplicates="refuse", target=None, share=None, text=None, store=str(tmp_path))
    peak, at_rest, estimate, *_ = measure_task(code)
    assert peak <= estimate <= 2 * peak
    assert at_rest <= WORKER_BYTES <= 2 * at_rest


MEAN_CASES = [
    ("parquet", 8_000, 64, None),
    *(
        pytest.param(*case, marks=pytest.mark.long)
        for case in (
            ("zarr", 12_000, 200, None),
            ("columns", 8_000, 200, None),
            ("h5ad", 8_000, 5_000, None),
            ("zarr", 16_000, 512, 0.7),
        )
    ),
]


@needs_proc
@pytest.mark.parametrize(("kind", "n_rows", "n_features", "share"), MEAN_CASES)
def test_means_of_rows_of_one_id_too(tmp_path, kind, n_rows, n_features, share):
    path, vectors = write_source(tmp_path, kind, n_rows, n_features, n_each=2)
    given = {"source": str(path), "vectors": vectors or None, "n_rows": n_rows, "n_neighbors": 15}
    code = MEASURE_TASK.format(**given, duplicates="mean", target=None, share=share, text=None, store=str(tmp_path))
    peak, _, estimate, _, block_rows = measure_task(code)
    assert (block_rows is None) == (share is None)
    assert peak <= estimate <= 2 * peak


@needs_proc
@pytest.mark.parametrize(("n_rows", "n_neighbors"), [pytest.param(20_000, 15, marks=pytest.mark.long), (8_000, 60)])
def test_targets_of_values_too(tmp_path, n_rows, n_neighbors):
    path, vectors = write_source(tmp_path, "parquet", n_rows, 16)
    rows = pq.read_table(path)
    pq.write_table(rows.append_column("age", pa.array(np.random.default_rng(1).normal(size=len(rows)))), path)
    given = {"source": str(path), "vectors": vectors, "n_rows": n_rows, "n_neighbors": n_neighbors}
    code = MEASURE_TASK.format(**given, duplicates="refuse", target="age", share=None, text=None, store=str(tmp_path))
    peak, _, estimate, *_ = measure_task(code)
    assert peak <= estimate <= 2 * peak


LETTERS = "abcdefghijklmnopqrstuvwxyzäöüß"
WORDS = [f"w{number:05d}" for number in range(8_000)]


def make_texts(kind: str, n_rows: int) -> list[str]:
    rng = np.random.default_rng(0)
    if kind == "short words":
        pairs = [first + second for first in LETTERS for second in LETTERS]
        return [" ".join(pairs[number] for number in rng.integers(len(pairs), size=340)) for _ in range(n_rows)]
    lowest, highest = {"one long": (2, 8), "all long": (140, 160), "repeated": (140, 160)}[kind]
    n_texts = 20 if kind == "repeated" else n_rows
    numbers = [rng.integers(len(WORDS), size=size) for size in rng.integers(lowest, highest, size=n_texts)]
    texts = [" ".join(WORDS[number] for number in row) for row in numbers]
    texts = [texts[row % n_texts] for row in range(n_rows)]
    return ["word " * 800, *texts[1:]] if kind == "one long" else texts


@needs_proc
@pytest.mark.long
@pytest.mark.parametrize(
    ("texts", "n_rows"), [("one long", 20_000), ("all long", 10_000), ("repeated", 10_000), ("short words", 10_000)]
)
def test_texts_too(tmp_path, texts, n_rows):
    path, vectors = write_source(tmp_path, "parquet", n_rows, 16)
    rows = pq.read_table(path)
    pq.write_table(rows.append_column("t", pa.array(make_texts(texts, len(rows)))), path)
    given = {"source": str(path), "vectors": vectors, "n_rows": n_rows, "n_neighbors": 15}
    code = MEASURE_TASK.format(**given, duplicates="refuse", target=None, share=None, text="t", store=str(tmp_path))
    peak, _, estimate, *_ = measure_task(code)
    assert peak <= estimate <= 2 * peak
    if texts == "one long":
        assert peak < n_rows * 4_000


BLOCKED_CASES = [
    ("zarr", 12_000, 512, 5, 0.6),
    *(
        pytest.param(*case, marks=pytest.mark.slow)
        for case in (
            ("parquet", 20_000, 512, 5, 0.8),
            ("columns", 20_000, 200, 5, 0.9),
        )
    ),
    *(
        pytest.param(*case, marks=pytest.mark.long)  # each reads as one above does
        for case in (("zarr", 6_000, 3_000, 5, 0.7), ("parquet", 30_000, 384, 15, 0.6))
    ),
]


@needs_proc
@pytest.mark.parametrize(("kind", "n_rows", "n_features", "n_neighbors", "share"), BLOCKED_CASES)
def test_in_blocks_too(tmp_path, kind, n_rows, n_features, n_neighbors, share):
    path, vectors = write_source(tmp_path, kind, n_rows, n_features)
    given = {"source": str(path), "vectors": vectors or None, "n_rows": n_rows, "n_neighbors": n_neighbors}
    code = MEASURE_TASK.format(**given, duplicates="refuse", target=None, share=share, text=None, store=str(tmp_path))
    peak, _, estimate, limit, block_rows = measure_task(code)
    assert block_rows < n_rows
    assert peak <= estimate <= 2 * peak
    assert estimate <= limit


MEASURE_RUN = """
import json
from driftmap.pipeline import plan, run
from tests.memory import read_status

if __name__ == "__main__":
    options = dict(id="id", rows={n_rows}, row_stride={stride}, n_epochs=20, workers=1, block_windows={block})
    estimate = plan({source!r}, **options).estimate
    run({source!r}, {store!r}, **options)
    print(json.dumps([read_status("VmHWM"), estimate.coordinator_bytes, estimate.store_bytes]))
"""


@pytest.fixture(params=["kernels to compile", "kernels compiled"])
def numba_cache(request, tmp_path):
    """Compiling leaves memory with a process, so what is said must hold with and without."""
    if request.param == "kernels compiled":
        return {}
    return {"NUMBA_CACHE_DIR": str(tmp_path / "kernels"), "DRIFTMAP_KERNELS": ""}


@needs_proc
@pytest.mark.slow
def test_the_coordinator_and_the_store_take_at_most_what_is_said_and_at_least_half(tmp_path, numba_cache):
    path, _ = write_source(tmp_path, "parquet", 60_000, 8)
    given = {"source": str(path), "store": str(tmp_path / "store"), "n_rows": 3_000, "stride": 1_500, "block": 40}
    peak, coordinator, store = json.loads(run_python(MEASURE_RUN.format(**given), **numba_cache))
    assert peak <= coordinator <= 2 * peak
    on_disk = sum(file.stat().st_size for file in (tmp_path / "store").rglob("*") if file.is_file())
    assert on_disk <= store <= 2 * on_disk


MEASURE_EXCHANGE_RUN = """
import json, threading, time
from pathlib import Path
import psutil
from driftmap.pipeline import plan, run

def watch(peaks):
    while True:
        for child in psutil.Process().children(recursive=True):
            try:
                status = Path(f"/proc/{{child.pid}}/status").read_text()
            except OSError:
                continue
            peak = [int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")]
            peaks.append(max(peak, default=0))  # none of a process that has ended
        time.sleep(0.05)

if __name__ == "__main__":
    options = dict(id="id", rows={n_rows}, row_stride={stride}, n_epochs=10, workers=1, layout="exchange")
    estimate = plan({source!r}, **options).estimate
    peaks = []
    threading.Thread(target=watch, args=(peaks,), daemon=True).start()
    run({source!r}, {store!r}, **options)
    print(json.dumps([max(peaks), estimate.worker_bytes, estimate.block_bytes]))
"""


@needs_proc
@pytest.mark.slow
def test_a_worker_that_lays_blocks_out_takes_at_most_what_is_said_and_at_least_half(tmp_path, numba_cache):
    path, _ = write_source(tmp_path, "parquet", 60_000, 8)
    given = {"source": str(path), "store": str(tmp_path / "store"), "n_rows": 15_000, "stride": 4_500}
    peak, worker, block = json.loads(run_python(MEASURE_EXCHANGE_RUN.format(**given), **numba_cache))
    assert block > 100 * 2**20
    assert peak <= worker <= 2 * peak


@pytest.fixture
def source(tmp_path):
    return write_source(tmp_path, "parquet", 1_000, 8)[0]


@pytest.mark.parametrize("call", ["plan", "run"])
def test_what_does_not_fit_a_worker_is_refused_before_any_work(source, tmp_path, call):
    options = {"id": "id", "rows": 500, "row_stride": 200, "workers": 2, "worker_memory": "300MB"}
    calls: dict[str, Callable[[], object]] = {
        "plan": lambda: plan(source, **options),
        "run": lambda: run(source, tmp_path / "store", **options),
    }
    need = format_size(plan(source, id="id", rows=500, row_stride=200).estimate.worker_bytes)
    with pytest.raises(PlanError, match=rf"window 'rows 0-499' takes {need} .* 300 MB .*worker_memory.*smaller"):
        calls[call]()
    assert not (tmp_path / "store").exists()


def test_a_block_that_does_not_fit_a_worker_is_made_shorter_or_refused(tmp_path):
    source = write_source(tmp_path, "parquet", 60_000, 8)[0]
    options = {"id": "id", "rows": 6_000, "row_stride": 3_000, "workers": 1, "layout": "exchange"}
    roomy = plan(source, **options, worker_memory="4GB")
    enough, little = (2 * (LAYOUT_WORKER_BYTES + int(share * roomy.estimate.block_bytes)) for share in (0.9, 0.01))
    tight = plan(source, **options, worker_memory=enough)
    assert roomy.config.block_windows == 4
    assert 1 <= tight.config.block_windows < 4
    assert tight.estimate.block_bytes < roomy.estimate.block_bytes
    words = f"largest block takes {format_size(roomy.estimate.worker_bytes)} in a worker, which has "
    with pytest.raises(PlanError, match=words + format_size(enough) + " and may fill 50%"):
        plan(source, **options, worker_memory=enough, block_windows=4)
    with pytest.raises(PlanError, match=r"lower the windows' rows, or raise worker_memory"):
        plan(source, **options, worker_memory=little, block_windows=1)
    in_order = plan(source, **{**options, "layout": "carry"}, worker_memory=little)
    assert in_order.estimate.block_bytes == 0


def test_memory_is_said_of_local_workers_only(source):
    with pytest.raises(ConfigError, match="worker_memory is for workers on this machine"):
        plan(source, id="id", rows=1_500, scheduler="serial", worker_memory="2GB")
    with pytest.raises(ConfigError, match="worker_memory is 'much'"):
        plan(source, id="id", rows=1_500, worker_memory="much")


def test_several_tasks_in_one_worker_count_together(source):
    planned = plan(source, id="id", rows=1_500)
    given = planned.estimate, as_source(source, id="id"), planned.config, planned.windows
    n_bytes = int((WORKER_BYTES + 1.5 * planned.estimate.task_bytes) / 0.9)
    for limit in (None, WorkerLimit(1, 1, n_bytes, "give workers more")):
        assert fit_tasks(*given, limit) == planned.estimate
    with pytest.raises(PlanError, match=r"takes \d+ MB in a worker \(2 tasks at once\).*give workers more"):
        fit_tasks(*given, WorkerLimit(1, 2, n_bytes, "give workers more"))


def test_more_rows_features_and_neighbours_take_more(tmp_path):
    def estimate(n_rows: int, n_features: int, n_neighbors: int) -> Estimate:
        folder = tmp_path / f"{n_rows}-{n_features}-{n_neighbors}"
        folder.mkdir()
        path, vectors = write_source(folder, "parquet", n_rows, n_features)
        return plan(path, id="id", vectors=vectors, rows=n_rows, n_neighbors=n_neighbors).estimate

    small = estimate(1_000, 8, 5)
    for more in (estimate(8_000, 8, 5), estimate(1_000, 800, 5), estimate(1_000, 8, 400)):
        assert more.task_bytes > small.task_bytes
    assert estimate(1_000, 8, 50).store_bytes > small.store_bytes


def test_shared_rows_are_counted(source):
    assert [window.n_shared for window in plan(source, id="id", rows=500, row_stride=200).windows] == [0, *[300] * 5]
    assert plan(source, rows=500, row_stride=200).n_shared == 1500


def test_a_timed_plan_says_how_long_it_takes(source):
    assert plan(source, id="id", rows=1_500).duration is None
    timed = plan(source, id="id", rows=500, row_stride=200, timed=True, n_epochs=10)
    assert timed.duration is not None
    assert timed.duration.graphs > 0
    assert 0 < timed.duration.layout < 600
