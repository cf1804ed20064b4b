"""A power failure at any moment: the store opens as it was before, and the same commands end with the same bytes.

All of it: `pytest -n 0 -s -m long tests/pipeline/store/test_crashes.py`, which prints the counts.
"""

from __future__ import annotations

import random
import shutil
import warnings
from collections import Counter

import pytest
from tests.pipeline.growing import OPTIONS, make_store, read_maps, take_in, write_days
from tests.pipeline.store.crashes import Disk, record
from tests.pipeline.store.damages import read_everything

from driftmap.pipeline import prune, run
from driftmap.pipeline.errors import StoreWarning
from driftmap.pipeline.graphs import stage
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.log import checkpoints
from driftmap.pipeline.store.log.commits import has_commits
from driftmap.pipeline.store.log.lock import hold_lock
from driftmap.pipeline.store.verify import check_log, find_damage, remove_orphans

N_FIRST, N_DAYS = 4, 6
LONG = [pytest.mark.long, pytest.mark.timeout(4 * 3600)]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("crashes")


@pytest.fixture(scope="module", autouse=True)
def patched():
    """Checkpoints after few commits, and graphs of two windows in one, so that both are among what is torn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "MIN_COMMITS", 4)
        patch.setattr(stage, "LEAST_TASKS", N_FIRST // 2)
        yield patch


@pytest.fixture(scope="module")
def recorded(place, patched):
    """What a run, an ingest and a prune write, and the store that they end with."""

    def work():
        make_store(place / "days", place / "store", N_FIRST)
        write_days(place / "later", range(N_FIRST, N_DAYS))
        for file in sorted((place / "later").iterdir()):
            shutil.copy2(file, place / "days" / file.name)
        take_in(place)
        prune(place / "store")

    (place / "store").mkdir()
    return record(patched, place / "store", work), Store.open(place / "store")


def judge(path, disk, final):
    """Open a store after a power failure; what was committed must be there, and all that is named must be whole."""
    n_certain = disk.count_certain("commits")
    if not has_commits(path):
        assert n_certain == 0
        return "nothing"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        store = Store.open(path)
        flaws = check_log(store)
    assert all(issubclass(one.category, StoreWarning) and "cut short" in str(one.message) for one in said)
    assert all("cut short" in flaw for flaw in flaws)
    assert store.n_commits >= n_certain
    for file in sorted((path / "commits").glob("*.json"))[: store.n_commits]:
        assert file.read_bytes() == (final.path / "commits" / file.name).read_bytes()
    assert find_damage(store) == []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        read_everything(path)
    return "former, with a word" if said else "former"


def resume(place, path):
    """Give the same commands again."""
    days = place / "days"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        if not (has_commits(path) and Store.open(path).is_complete):
            for file in (place / "later").iterdir():
                (days / file.name).unlink()
            try:
                run(days, path, scheduler="serial", **OPTIONS)
            finally:
                for file in (place / "later").iterdir():
                    shutil.copy2(file, days / file.name)
        shutil.rmtree(place / "again", ignore_errors=True)
        take_in(path.parent)
        prune(path)
    store = Store.open(path, read_only=False)
    with hold_lock(store.location) as store.lock:
        remove_orphans(store)
    assert not check_log(store)
    return store


def choose_moment(events, chance):
    """Choose any moment, or, half of the time, one at which a commit is on its way to the disk."""
    if chance.random() < 0.5:
        return chance.randrange(len(events) + 1)
    puts = [number for number, event in enumerate(events) if event.kind == "put" and event.name.startswith("commits/")]
    return chance.choice(puts) + chance.randrange(1, 3)


@pytest.mark.parametrize(("n_states", "every"), [(100, 25), pytest.param(1000, 10, marks=LONG)])
def test_every_state_is_a_former_one_and_ends_with_the_same_bytes(place, recorded, tmp_path, n_states, every):
    events, final = recorded
    chance = random.Random(n_states)
    found = Counter()
    (tmp_path / "days").symlink_to(place / "days")
    for number in range(n_states):
        disk = Disk.after(events[: choose_moment(events, chance)])
        path = tmp_path / "store"
        disk.write(path, chance)
        found[judge(path, disk, final)] += 1
        if number % every == 0:
            assert read_maps(resume(place, path)) == read_maps(final)
            found["resumed"] += 1
        shutil.rmtree(path)
    print(f"{len(events):,} events, {n_states:,} states: {dict(found)}")  # noqa: T201 - with -s, the figures
    assert all(found[kind] for kind in ("former", "former, with a word", "nothing"))


def test_a_recording_is_whole(recorded):
    events, final = recorded
    disk = Disk.after(events)
    there = {name: disk.contents[files[-1]] for name, files in disk.names.items() if files[-1] is not None}
    on_disk = {file.relative_to(final.path).as_posix(): file for file in final.path.rglob("*") if file.is_file()}
    assert sorted(there) == sorted(on_disk)
    assert all(on_disk[name].read_bytes() == content for name, content in there.items())
    assert disk.count_certain("commits") == final.n_commits
