"""The lock of a store: one holder at a time, in folders and on S3, whoever dies, stops or wakes when."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import psutil
import pytest

from driftmap.pipeline.errors import StoreBusyError, StoreError, StoreWarning
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.create import prepare_location
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.log import lock as module
from driftmap.pipeline.store.log.lock import hold_lock, read_holder

HOLD = """
import sys, time
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.log import lock
lock.BEAT_SECONDS = 0.5
with lock.hold_lock(Location(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""

TAKE_TURNS = """
import sys
from driftmap.pipeline.store.log import lock
from driftmap.pipeline.store.disk.location import Location
lock._POLL_SECONDS = 0.002
location = Location(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with lock.hold_lock(location, wait_seconds=60):
        count = int(location.read("count") or b"0")
        assert location.create(f"inside", b""), "two are inside"
        location.replace("count", str(count + 1).encode())
        location.delete(["inside"])
"""


WATCHED = r"watching it for .* s to see whether it is still there"


@pytest.fixture(params=["folder", "s3"])
def location(request, tmp_path):
    return Location(tmp_path if request.param == "folder" else request.getfixturevalue("s3")() + "/maps")


@pytest.fixture
def quick(monkeypatch):
    """Times in which a test can wait for a holder to count as dead."""
    for name, seconds in {"BEAT": 0.05, "LEASE": 0.6, "WATCH": 0.4, "_POLL": 0.02}.items():
        monkeypatch.setattr(module, f"{name}_SECONDS", seconds)


def start_holder(location: Location) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(location)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def stop(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=30)


def write_holder(location: Location, number: int, **facts: object) -> None:
    """Write the file of a holder on another machine."""
    holder = {**module._describe_self("driftmap run"), "host": "elsewhere", "pid": 1, **facts}
    location.replace(f"lock/{number:08d}.json", json.dumps(holder).encode())


def test_one_holds_it_and_gives_it_back(location):
    with hold_lock(location, command="driftmap run x.parquet"):
        assert read_holder(location)["pid"] == os.getpid()
        with pytest.raises(StoreBusyError, match=rf"`driftmap run x.parquet`: process {os.getpid()} of \w+ on .*since"):
            hold_lock(location).__enter__()
    assert read_holder(location) is None
    with hold_lock(location):
        assert len(location.list("lock")) == 1


def test_who_waits_gets_it_when_it_is_given_back(location, quick):
    with ExitStack() as stack:
        stack.enter_context(hold_lock(location))
        with pytest.raises(StoreBusyError):
            hold_lock(location, wait_seconds=0.1).__enter__()
        holder = subprocess.Popen([sys.executable, "-c", TAKE_TURNS, str(location), "1"])
        time.sleep(0.1)
    assert holder.wait(timeout=60) == 0
    assert location.read("count") == b"1"


def test_who_waits_for_long_says_for_whom(tmp_path, quick, monkeypatch):
    monkeypatch.setattr(module, "_SILENT_SECONDS", 0.1)
    location = Location(tmp_path)
    who = rf"in use by `.*`: process {os.getpid()} of \w+ on .*: waiting up to 0.3 s for it to end"
    with hold_lock(location), pytest.warns(StoreWarning, match=who) as said, pytest.raises(StoreBusyError):
        hold_lock(location, wait_seconds=0.3).__enter__()
    assert len(said) == 1


def test_a_process_that_was_killed_gives_it_up_at_once(location):
    process = start_holder(location)
    with pytest.raises(StoreBusyError, match=f"process {process.pid} "):
        hold_lock(location).__enter__()
    process.kill()  # and not waited for: it is a zombie
    started = time.monotonic()
    with hold_lock(location, wait_seconds=20):
        assert time.monotonic() - started < 5
    stop(process)


@pytest.mark.parametrize("start", [{"process_ticks": 1}, {"process_ticks": None, "process_start": 1.0}])
def test_a_process_of_the_same_number_is_not_the_holder(location, quick, start):
    write_holder(location, 4, **module._machine(), pid=os.getpid(), **start)
    with hold_lock(location):
        assert location.list("lock").keys() == {"lock/00000005.json"}


@pytest.mark.parametrize("shift", [-7200.0, 7200.0])
def test_a_holder_of_this_machine_lives_though_the_clock_was_set(location, monkeypatch, shift):
    process = start_holder(location)
    now, start = time.time, psutil.Process.create_time
    monkeypatch.setattr(module.time, "time", lambda: now() + shift)
    monkeypatch.setattr(psutil.Process, "create_time", lambda one: start(one) + shift)
    with pytest.warns(StoreWarning, match=WATCHED), pytest.raises(StoreBusyError, match=f"process {process.pid} "):
        hold_lock(location, wait_seconds=1).__enter__()
    stop(process)
    with hold_lock(location):
        assert read_holder(location)["pid"] == os.getpid()


def test_a_clock_that_stands_still_keeps_no_heartbeat_from_being_seen(location, quick, monkeypatch):
    monkeypatch.setattr(module.time, "time", lambda: 1e9)
    with hold_lock(location):
        seen = set()
        until = time.monotonic() + 5
        while len(seen) < 3 and time.monotonic() < until:
            seen.add(str(read_holder(location)))
            time.sleep(0.02)
    assert len(seen) == 3


def test_a_holder_elsewhere_is_believed_while_its_last_sign_is_young(location):
    write_holder(location, 3, at=time.time() - 20)
    with pytest.raises(StoreBusyError, match=r"process 1 of .* on elsewhere, .*last seen 2\d s ago"):
        hold_lock(location).__enter__()


@pytest.mark.parametrize(
    ("clock", "last"), [(-3600.0, r"its last heartbeat is 36\d+ s old"), (3600.0, r"its clock is 3[56]\d+ s ahead")]
)
def test_a_holder_elsewhere_that_gives_no_sign_is_dead_whatever_its_clock(location, quick, monkeypatch, clock, last):
    write_holder(location, 3, at=time.time() + clock)
    started, warned = time.monotonic(), []
    monkeypatch.setattr(
        module.warnings, "warn", lambda text, *_, **__: warned.append((text, time.monotonic() - started))
    )
    with hold_lock(location):
        assert time.monotonic() - started >= module.WATCH_SECONDS
    ((text, after),) = warned  # once, and before it waits
    assert re.search(rf"by `driftmap run`: process 1 of \w+ on elsewhere, .*, and {last}: {WATCHED}", text)
    assert after < module.WATCH_SECONDS


def test_a_holder_elsewhere_whose_clock_is_wrong_lives_while_it_gives_signs(location, quick, monkeypatch):
    with hold_lock(location):
        monkeypatch.setattr(module, "_is_this_machine", lambda holder: False)
        monkeypatch.setattr(module, "LEASE_SECONDS", -1.0)
        monkeypatch.setattr(module, "WATCH_SECONDS", 0.4)
        watched_since = time.monotonic()
        first = read_holder(location)
        while module._judge(read_holder(location), watched_since) == "unsure":
            time.sleep(0.02)
        assert read_holder(location)["at"] > first["at"] + 0.2


def test_who_was_stopped_and_wakes_after_a_takeover_commits_nothing(tmp_path, quick):
    windows = [{"label": "w", "n_rows": 6, "start": None, "end": None, "digest": "d"}]
    store = Store.create(tmp_path / "s", config={}, windows=windows, fingerprint={})
    receipt = {"index": 0, "label": "w", "attempt": "a", "n_rows": 6, "n_edges": 9, "has_ids": True,
               "label_columns": [], "seconds": 0.1, "bytes": 10}  # fmt: skip
    sleeper = Store.open(tmp_path / "s", read_only=False)
    with hold_lock(store.location) as lost:
        sleeper.lock = lost
        lost._is_over.set()  # gives no heartbeat any more
        lost._thread.join()
        for number in (1, 2):  # two others after another, and only the last one's number stays
            write_holder(store.location, number, at=time.time(), released=True)
        store.location.delete(["lock/00000000.json", "lock/00000001.json"])
        store.commit_growth("set_aside", {"skipped": {}, "kept_out": {}})
        with pytest.raises(StoreError, match="took over the store"):
            sleeper.commit_graph(receipt)
        with pytest.raises(StoreError, match="took over"):
            lost.refuse_if_lost(look=False)
    assert Store.open(tmp_path / "s").n_commits == 2
    assert json.loads((tmp_path / "s/lock/00000002.json").read_text())["pid"] == 1


def test_a_stopped_process_is_refused_only_for_a_while(location, quick):
    process = start_holder(location)
    os.kill(process.pid, signal.SIGSTOP)
    with hold_lock(location, wait_seconds=5):  # it lives, but has given no sign for longer than the lease
        assert read_holder(location)["pid"] == os.getpid()
    stop(process)


def test_readers_of_a_list_that_misses_both_numbers_back_off(location, quick, monkeypatch):
    write_holder(location, 7)
    lists, list_numbers = [[], [7]], module._list_numbers
    monkeypatch.setattr(module, "_list_numbers", lambda place: lists.pop(0) if lists else list_numbers(place))
    with pytest.raises(StoreBusyError, match="on elsewhere"):
        hold_lock(location).__enter__()
    assert location.list("lock").keys() == {"lock/00000007.json"}


def test_a_file_that_another_holder_removes_before_it_is_on_the_disk_is_no_error(tmp_path, monkeypatch):
    location = Location(tmp_path)
    with hold_lock(location):
        pass
    first, second = "lock/00000000.json", "lock/00000001.json"
    released = location.read(first)
    location.delete([first])
    put_new = Location._put_new

    def put_as_another_takes_over(self, file, content):
        is_put = put_new(self, file, content)
        if file == first:
            put_new(self, second, released)
            self.delete([first])
        return is_put

    monkeypatch.setattr(Location, "_put_new", put_as_another_takes_over)
    with hold_lock(location) as lock:
        assert lock.sign[0] == "lock/00000002.json"


def test_processes_take_turns_and_are_never_inside_together(location):
    n_processes, n_turns = (4, 10) if location.is_local else (2, 5)
    processes = [
        subprocess.Popen([sys.executable, "-c", TAKE_TURNS, str(location), str(n_turns)]) for _ in range(n_processes)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0] * n_processes
    assert location.read("count") == str(n_processes * n_turns).encode()
    assert len(location.list("lock")) == 1
    assert location.list_top() == {"count", "lock"}


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"pid": "7"}', b'{"released": false}', b'{"at": 1e999}', b"[" * 50_000, b"\xff", b'{"pid": true}'],
)
def test_a_lock_file_of_other_content_has_no_holder(tmp_path, content):
    location = prepare_location(tmp_path / "s")
    location.replace("lock/00000004.json", content)
    assert read_holder(location) is None
    with hold_lock(location):
        assert read_holder(location)["pid"] == os.getpid()
