"""Which workers of a cluster tasks go to: those asked for, those that have driftmap, and what Dask's user said."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import dask
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distributed import Client, LocalCluster, Scheduler, SpecCluster, Worker, get_client, secede, worker_client

import driftmap.engine
from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.executors import DaskExecutor, make_executor, refuse_blind_workers
from driftmap.pipeline.executors.base import Task
from driftmap.pipeline.executors.choice import Workplace
from driftmap.pipeline.executors.cluster.cluster_workers import ClusterWorkers, WorkersLeftOutWarning
from driftmap.pipeline.executors.cluster.placement import ANY_WORKER, Placement
from driftmap.pipeline.executors.worker_process import WorkerError


def name_worker(_, seconds=0.0):
    import time

    from distributed import get_worker

    time.sleep(seconds)

    return str(get_worker().name)


def make_tasks(n_tasks):
    return [Task(f"window {number}", (number,)) for number in range(n_tasks)]


def find_names(client, n_tasks=12, placement=None):
    with make_executor(client, placement=placement) as executor:
        return set(executor.map_unordered(name_worker, make_tasks(n_tasks)))


def describe_tasks(dask_scheduler):
    return [
        (task.priority[0], task.retries, dict(task.resource_restrictions or {}), sorted(task.worker_restrictions or ()))
        for key, task in dask_scheduler.tasks.items()
        # A task of the run: its stage, its name and a number. Before it is sent on, it has no priority yet.
        if isinstance(key, tuple) and task.state == "processing"
    ]


@pytest.fixture(scope="module")
def client():
    """Three workers in this process: two with a GPU."""
    spec = {
        name: {"cls": Worker, "options": {"nthreads": 1, "resources": resources, "protocol": "inproc"}}
        for name, resources in {"one": {"GPU": 1}, "two": {"GPU": 2}, "three": {}}.items()
    }
    scheduler = {"cls": Scheduler, "options": {"protocol": "inproc", "dashboard": False}}
    with SpecCluster(spec, scheduler) as cluster, Client(cluster, set_as_default=False) as found:
        yield found


@pytest.mark.parametrize(
    ("workers_on", "resource", "expected"),
    [
        (None, None, {"one", "two", "three"}),
        ("two", None, {"two"}),
        (["one", "three"], None, {"one", "three"}),
        (None, "GPU=1", {"one", "two"}),
        (None, {"GPU": 2}, {"two"}),
        (["one", "three"], ["GPU=1"], {"one"}),
    ],
)
def test_tasks_go_to_workers_that_were_asked_for(client, workers_on, resource, expected):
    placement = Placement.of(workers_on, resource)
    assert {str(worker["name"]) for worker in ClusterWorkers(client, placement).find().values()} == expected
    assert find_names(client, placement=placement) <= expected


def test_an_address_names_a_worker(client):
    address = next(iter(ClusterWorkers(client, Placement.of("two")).find()))
    assert find_names(client, placement=Placement.of(address)) == {"two"}


def test_what_no_worker_has_is_named(client):
    with pytest.raises(WorkerError, match=r"no worker has workers_on four; there are .*one at inproc"):
        find_names(client, placement=Placement.of("four"))
    with pytest.raises(WorkerError, match=r"no worker has resource GPU=3; there are .*\(GPU=1\)"):
        find_names(client, placement=Placement.of(None, "GPU=3"))


def test_annotations_of_the_caller_count(client):
    with dask.annotate(workers=["one"], priority=7, retries=2, resources={"GPU": 1}):
        workers = ClusterWorkers(client)
        assert {worker["name"] for worker in workers.find().values()} == {"one"}
        executor = DaskExecutor(client, workers=workers)
    results = executor.start(time.sleep, [Task("a", (0.5,), priority=-3)], "nap")  # sent from another thread
    deadline = time.monotonic() + 10
    while not (seen := client.run_on_scheduler(describe_tasks)):
        assert time.monotonic() < deadline
    results.close()
    (priority, retries, resources, addresses) = seen[0]
    assert priority == pytest.approx(-7, abs=0.001)
    assert (retries, resources, addresses) == (2, {"GPU": 1.0}, sorted(workers.find()))


def test_what_is_given_goes_before_annotations(client):
    with dask.annotate(workers=["one"]):
        assert find_names(client, placement=Placement.of("two")) == {"two"}


@pytest.mark.parametrize("given", [[], [""], 3.5, {"a": 1}.items()])
def test_names_that_cannot_be_read_are_refused(given):
    with pytest.raises(ConfigError, match="workers_on is"):
        Placement.of(given)


@pytest.mark.parametrize("given", ["GPU", "GPU=x", "=1", "GPU=0", "GPU=-1", "GPU=nan", {}, 3, {"GPU": None}])
def test_resources_that_cannot_be_read_are_refused(given):
    with pytest.raises(ConfigError, match="resource is"):
        Placement.of(None, given)


def test_workers_are_asked_for_on_a_cluster_only():
    with pytest.raises(ConfigError, match="workers_on two is for the workers of a cluster"):
        Workplace.of(workers_on="two")
    with pytest.raises(ConfigError, match="resource GPU=1 is for the workers of a cluster"):
        Workplace.of("serial", resource="GPU=1")


def test_an_adaptive_cluster_starts_its_first_worker():
    options = {"n_workers": 0, "threads_per_worker": 1, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options) as cluster, Client(cluster, set_as_default=False) as client:
        cluster.adapt(minimum=0, maximum=2, interval="100ms")
        assert len(find_names(client, 4)) >= 1
        with make_executor(client.scheduler.address) as executor:
            assert len(list(executor.map_unordered(name_worker, make_tasks(4)))) == 4


def test_an_asynchronous_client_is_refused_in_one_line():
    class Asynchronous:
        asynchronous = True
        scheduler = None

    with pytest.raises(ConfigError, match="scheduler is an asynchronous Client; give one without asynchronous=True"):
        Workplace.of(Asynchronous())


def run_with_worker_client():
    with worker_client() as client, client:  # closed: a worker that is a thread leaves its client open
        return sorted(find_names(client))


def run_with_get_client(*, leave):
    if leave:
        secede()
    with get_client() as client:
        return sorted(find_names(client))


@pytest.mark.parametrize(
    ("function", "options"),
    [(run_with_worker_client, {}), (run_with_get_client, {"leave": True}), (run_with_get_client, {"leave": False})],
)
def test_a_run_inside_a_task_leaves_its_slot_to_its_own_tasks(function, options):
    one = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**one) as cluster, Client(cluster, set_as_default=False) as client:
        future = client.submit(function, **options, pure=False)
        assert len(future.result(timeout=60)) == 1
        assert client.submit(os.getpid, pure=False).result(timeout=60) == os.getpid()  # the slot is free again


def start_bare_worker(address, folder):
    """Start a worker in whose process driftmap cannot be imported."""
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'driftmap':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
    )
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--name", "bare", "--no-nanny"]
    return subprocess.Popen(
        [*command, "--nthreads", "1", "--no-dashboard"],
        env={**os.environ, "PYTHONPATH": str(folder)},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("joins", ["before", "during"])
def test_a_worker_without_driftmap_is_left_out_with_a_word(tmp_path, joins):
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options, protocol="tcp", host="127.0.0.1") as cluster:
        address = cluster.scheduler_address
        with Client(address, set_as_default=False) as client:
            if joins == "during":
                executor = DaskExecutor(client, workers=ClusterWorkers(client))
            bare = start_bare_worker(address, tmp_path)
            try:
                client.wait_for_workers(2, timeout=60)
                if joins == "before":
                    with pytest.warns(WorkersLeftOutWarning, match="not installed at tcp://.*other workers"):
                        names = find_names(client, 6)
                    refuse_blind_workers(client, ANY_WORKER)  # says nothing of it: a run asks both, and says it once
                else:
                    tasks = [Task(f"window {number}", (number, 0.5)) for number in range(8)]
                    with pytest.warns(WorkersLeftOutWarning, match="not installed at tcp"):
                        names = set(executor.map_unordered(name_worker, tasks))
                assert names == {"0"}
            finally:
                bare.terminate()
                bare.wait(timeout=20)


@pytest.mark.parametrize("address", ["nonsense", "garbage://x:1", "tcp://127.0.0.1", "tcp://127.0.0.1:9"])
def test_the_command_ends_where_no_scheduler_is(tmp_path, address):
    command = [sys.executable, "-m", "driftmap", "run", "rows.parquet", "--by", "w", "--scheduler", address]
    pq.write_table(pa.table({"w": [1, 1, 2, 2], "x": [0.0, 1.0, 2.0, 3.0]}), tmp_path / "rows.parquet")
    ended = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1s"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 2
    assert address in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(("is_compiled", "n_compiling"), [(True, 0), (False, 3)])
def test_workers_that_have_to_compile_are_counted(client, monkeypatch, is_compiled, n_compiling):
    monkeypatch.setattr(driftmap.engine, "has_compiled_kernels", lambda: is_compiled, raising=False)
    with make_executor(client) as executor:
        assert executor.n_compiling == n_compiling
