"""Executors: the same results everywhere, few tasks in flight, errors as they were raised, folders of their own."""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
import tracemalloc
from pathlib import Path

import pytest
from distributed import Client

from driftmap.engine.errors import InvalidInputError
from driftmap.pipeline.executors import DaskExecutor, make_executor
from driftmap.pipeline.executors.base import LinkedTask, SerialExecutor, Task
from driftmap.pipeline.executors.cluster import dask_client
from driftmap.pipeline.executors.cluster.cluster_workers import ClusterWorkers, WorkersLostWarning
from driftmap.pipeline.executors.cluster.placement import Placement
from driftmap.pipeline.executors.fork_server import start_fork_server
from driftmap.pipeline.executors.machine import count_cores
from driftmap.pipeline.executors.worker_process import WorkerError, find_cache_folder

# Functions are sent by value: no worker can import a test file.


def square(number):
    return number * number


def refuse_three(number):
    if number == 3:
        raise InvalidInputError("window 'three': row 1 is not finite")
    return number


def describe_process(_):
    import os

    names = ("NUMBA_CACHE_DIR", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    return os.getpid(), {name: os.environ.get(name) for name in names}


def stamp():
    import time

    return time.time()


def stamp_slowly(number):
    import time

    began = time.time()
    time.sleep(0.02)
    return began, number


def describe_tasks(dask_scheduler):
    return [(task.prefix.name, task.key[1], task.priority[0]) for task in dask_scheduler.tasks.values()]


def make_tasks(n_tasks):
    return [Task(f"window {number}", (number,)) for number in range(n_tasks)]


def wait_for_no_tasks(cluster):
    """Wait until the scheduler has forgotten all tasks: releasing a future does not wait for it."""
    deadline = time.monotonic() + 10
    while held := cluster.client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)):
        assert time.monotonic() < deadline, f"{held} tasks stay on the scheduler"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A local cluster of two workers, and where their compiled kernels go."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_CACHE_DIR", str(tmp_path_factory.mktemp("former")))
        start_fork_server()  # workers are not to take that folder from it
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("NUMBA_CACHE_DIR", raising=False)
        with make_executor(workers=2) as executor:
            yield executor


@pytest.fixture(params=["serial", "local cluster"])
def executor(request):
    return SerialExecutor() if request.param == "serial" else request.getfixturevalue("cluster")


def test_every_executor_gives_the_same_results(executor):
    results = executor.map_unordered(square, make_tasks(30))
    assert sorted(results) == [number * number for number in range(30)]


def test_no_task_is_no_result(executor):
    assert list(executor.map_unordered(square, [])) == []


def test_results_are_there_when_they_are_waited_for(executor):
    results = executor.start(square, make_tasks(5), "squares")
    came = results.take(wait=True)
    while len(came) < 5:
        came += results.take(wait=True)
    assert sorted(came) == [0, 1, 4, 9, 16]
    assert results.take(wait=True) == results.take(wait=False) == []
    results.close()


def test_results_before_an_error_are_given_first(executor):
    results, came = executor.start(refuse_three, make_tasks(10), "numbers"), []
    with pytest.raises(InvalidInputError):  # noqa: PT012
        while True:
            came += results.take(wait=True)
    assert {0, 1, 2} <= set(came)
    assert 3 not in came
    results.close()


def test_results_come_while_nobody_waits(cluster):
    results = cluster.start(square, make_tasks(5), "squares")
    deadline, came = time.monotonic() + 30, []
    while len(came) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.01)
        came += results.take(wait=False)
    results.close()


def test_an_error_keeps_its_class_and_ends_the_run(executor):
    with pytest.raises(InvalidInputError, match="window 'three': row 1 is not finite"):
        list(executor.map_unordered(refuse_three, make_tasks(10)))
    assert sorted(executor.map_unordered(square, make_tasks(3))) == [0, 1, 4]


def test_few_tasks_are_in_flight_and_results_leave_the_cluster(cluster):
    taken = 0

    def count_tasks():
        nonlocal taken
        for number in range(40):
            taken += 1
            yield Task(str(number), (0.05,))

    results = cluster.start(time.sleep, count_tasks(), "naps")
    n_done = 0
    while came := results.take(wait=True):
        n_done += len(came)
        assert taken <= n_done + 5  # one may have come since
    assert taken == n_done == 40
    wait_for_no_tasks(cluster)
    results.close()


def test_few_arguments_of_tasks_that_are_done_stay_in_this_process(cluster):
    n_tasks, n_bytes = 150, 100_000
    assert list(cluster.map_unordered(len, [Task("warm", (bytes(n_bytes),))], "lengths")) == [n_bytes]
    wait_for_no_tasks(cluster)
    tracemalloc.start()
    tasks = (Task(str(number), (number.to_bytes(2) * (n_bytes // 2),)) for number in range(n_tasks))
    assert list(cluster.map_unordered(len, tasks, "lengths")) == [n_bytes] * n_tasks
    wait_for_no_tasks(cluster)
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < n_tasks * n_bytes / 3


def test_tasks_are_counted_by_stage_and_named_on_the_dashboard(cluster):
    results = cluster.start(time.sleep, [Task("window 'spring'", (1,))], "graph")
    deadline = time.monotonic() + 10
    while not (seen := cluster.client.run_on_scheduler(describe_tasks)):
        assert time.monotonic() < deadline
    assert seen == [("graph", "window 'spring'", -0)]
    results.close()


def test_earlier_windows_go_first(cluster):
    one = next(iter(cluster.client.nthreads()))
    executor = DaskExecutor(cluster.client, workers=ClusterWorkers(cluster.client, Placement.of(one)))
    nap = executor.submit(time.sleep, Task("nap", (0.5,)), "nap")
    late = executor.submit(stamp, Task("late", (), priority=-2), "stamp")
    early = executor.submit(stamp, Task("early", (), priority=-1), "stamp")
    assert nap.result() is None
    assert early.result() < late.result()


def test_tasks_that_are_no_longer_wanted_are_cancelled(cluster):
    results = cluster.map_unordered(square, make_tasks(40))
    next(results)
    results.close()
    wait_for_no_tasks(cluster)


def test_each_worker_has_its_own_lasting_cache_and_its_share_of_threads(cluster):
    seen = dict(cluster.map_unordered(describe_process, make_tasks(30)))
    assert os.getpid() not in seen
    folders = [environment["NUMBA_CACHE_DIR"] for environment in seen.values()]
    assert len(set(folders)) == len(folders) == 2
    assert {Path(folder).name for folder in folders} == {"worker-0", "worker-1"}
    assert {Path(folder).parent for folder in folders} == {find_cache_folder() / socket.gethostname()}
    threads = {environment[name] for environment in seen.values() for name in environment if name.endswith("THREADS")}
    assert threads == {str(max(1, count_cores() // 2))}


def test_the_callers_environment_is_left_alone(cluster):
    assert "NUMBA_NUM_THREADS" not in os.environ


def test_a_client_and_an_address_reach_the_same_workers(cluster):
    with make_executor(cluster.client) as executor:
        assert sorted(executor.map_unordered(square, make_tasks(3))) == [0, 1, 4]
    assert cluster.client.status == "running"
    with make_executor(cluster.client.scheduler.address) as executor:
        assert isinstance(executor, DaskExecutor)
        assert sorted(executor.map_unordered(square, make_tasks(3))) == [0, 1, 4]


def test_a_scheduler_whose_first_answers_come_together_is_reached_again(cluster, monkeypatch):
    calls = []

    def make_client(address, **options):
        calls.append(address)
        if len(calls) == 1:
            raise AssertionError
        return Client(address, **options)

    monkeypatch.setattr("driftmap.pipeline.executors.cluster.dask_client.Client", make_client)
    with dask_client._connect(cluster.client.scheduler.address) as client:
        assert client.status == "running"
    assert len(calls) == 2


def test_an_address_where_nobody_answers_is_named():
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "500ms"}),
        pytest.raises(WorkerError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9"),
        make_executor("tcp://127.0.0.1:9"),
    ):
        pass


@pytest.mark.parametrize("address", ["nonsense", "nonsense://x:1", "tcp://127.0.0.1", "tcp://127.0.0.1:port", ""])
def test_what_is_no_address_is_named(address):
    with pytest.raises(WorkerError, match=f"scheduler is '{address}', which is no address"), make_executor(address):
        pass


def test_the_address_of_a_gateway_is_refused_with_what_to_give():
    address = "gateway://127.0.0.1:8786/0123abcd"
    with pytest.raises(WorkerError, match=r"keys that only its client has.*get_client"), make_executor(address):
        pass


def test_a_scheduler_without_workers_is_named(monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr("driftmap.pipeline.executors.cluster.cluster_workers.FIRST_WORKER_SECONDS", 0.5)
    with (
        LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as empty,
        pytest.raises(WorkerError, match="has no workers"),
        make_executor(empty.scheduler_address),
    ):
        pass


def test_workers_that_do_not_come_back_end_the_run_instead_of_hanging_it(monkeypatch):
    from distributed import Client, LocalCluster

    monkeypatch.setattr("driftmap.pipeline.executors.cluster.cluster_workers.LOST_SECONDS", 3)
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options) as left, Client(left) as client:
        executor = DaskExecutor(client)
        assert sorted(executor.map_unordered(square, make_tasks(3))) == [0, 1, 4]
        left.scale(0)
        with pytest.raises(WorkerError, match=r"no worker process is left, and none came back in 3 s; run again"):
            list(executor.map_unordered(square, make_tasks(3)))
        others = DaskExecutor(client, workers=ClusterWorkers(client))
        with pytest.warns(WorkersLostWarning, match="the run waits for one at inproc"):  # noqa: PT031 - said meanwhile
            results = others.start(square, make_tasks(3), "numbers")
            deadline = time.monotonic() + 20
            while not results.take(wait=False) and time.monotonic() < deadline:
                time.sleep(0.2)
                if time.monotonic() > deadline - 12:
                    left.scale(1)  # a worker of the queue comes
        assert time.monotonic() < deadline
        results.close()


def test_blocks_that_move_in_parallel_do_not_wait_for_ever_for_workers(monkeypatch):
    from distributed import Client, LocalCluster

    monkeypatch.setattr("driftmap.pipeline.executors.cluster.cluster_workers.LOST_SECONDS", 3)
    tasks = [LinkedTask("a", (3,), (), 0), LinkedTask("b", (), (0,), 0)]
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options) as left, Client(left) as client:
        executor = DaskExecutor(client)
        assert list(executor.run_linked(square, tasks, "layout")) == [None, 81]
        left.scale(0)
        with pytest.raises(WorkerError, match=r"no worker process is left, and none came back in 3 s; run again"):
            list(executor.run_linked(square, tasks, "layout"))


def test_of_linked_tasks_that_could_run_the_earlier_goes_first():
    from distributed import LocalCluster

    tasks = [LinkedTask(f"task {number}", (number,), (), 0) for number in range(30)]
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options) as one, Client(one, set_as_default=False) as client:
        began = list(DaskExecutor(client).run_linked(stamp_slowly, tasks, "layout"))
    assert [number for _, number in sorted(began)] == list(range(30))


def test_a_scheduler_that_is_lost_while_workers_are_waited_for_is_named():
    import dask
    from distributed import LocalCluster

    with dask.config.set({"distributed.comm.timeouts.connect": "500ms"}):
        cluster = LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0")
        end = threading.Timer(0.5, cluster.close)
        end.start()
        with pytest.raises(WorkerError, match=r"was lost.*; run again"), make_executor(cluster.scheduler_address):
            pass
        end.join()


def test_dashboard_and_account_need_bokeh(cluster, monkeypatch, tmp_path):
    monkeypatch.setattr("driftmap.pipeline.executors.cluster.connect_or_start.find_spec", lambda _: None)
    for wish in ({"on_dashboard": print}, {"performance_report": tmp_path / "report.html"}):
        with (
            pytest.raises(WorkerError, match=r"needs bokeh: pip install 'driftmap\[dashboard\]'"),
            make_executor(cluster.client, **wish),
        ):
            pass


@pytest.mark.slow
def test_the_account_of_a_run_is_written_and_the_dashboard_named(cluster, tmp_path):
    pytest.importorskip("bokeh")
    addresses = []
    report = tmp_path / "report.html"
    with make_executor(cluster.client, performance_report=report, on_dashboard=addresses.append) as executor:
        assert sorted(executor.map_unordered(square, make_tasks(3), "squares")) == [0, 1, 4]
    page = report.read_text()
    assert "squares" in page
    assert "<script src=" not in page  # what draws it is in it
    assert "def test_the_account_of_a_run_is_written" in page  # who called, not what of ours
    assert addresses[0].startswith("http://")


def test_an_account_is_refused_where_there_is_no_folder(cluster, tmp_path):
    pytest.importorskip("bokeh")
    with (
        pytest.raises(WorkerError, match="there is no folder"),
        make_executor(cluster.client, performance_report=tmp_path / "absent/report.html"),
    ):
        pass
