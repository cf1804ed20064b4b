"""An ingest on a cluster: its workers build the graphs and lay the maps out, to the bytes of a local one."""

from __future__ import annotations

import shutil

import pyarrow.parquet as pq
import pytest
from tests.pipeline.growing import make_day, read_maps, take_in, write_days
from tests.workers import start_two_workers

from driftmap.pipeline import ingest
from driftmap.pipeline.errors import PlanWarning
from driftmap.pipeline.ingestion import new_maps
from driftmap.pipeline.layout.extend import Stepper
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.verify import find_orphans


@pytest.fixture(scope="module")
def client():
    with start_two_workers() as found:
        yield found


def refuse_maps_here(*_given):
    raise AssertionError("the process that ingests lays windows out")


@pytest.fixture
def expected(place):
    """What a local ingest makes of two days more, and of late rows then."""
    write_days(place / "days", range(6, 9))
    shutil.copytree(place / "store", place / "other")
    take_in(place)
    first = read_maps(Store.open(place / "store"))
    add_late_rows(place)
    report = take_in(place)
    assert report.rebuilt
    found = first, read_maps(report.store)
    (place / "days" / "late.parquet").unlink()
    return found


def add_late_rows(place):
    pq.write_table(make_day(7, n_rows=4, first=900), place / "days" / "late.parquet")


def test_workers_make_the_maps_and_their_bytes_are_those_of_a_local_ingest(place, expected, client, monkeypatch):
    monkeypatch.setattr(Stepper, "make_step", refuse_maps_here)  # workers are processes of their own
    report = ingest(place / "other", source=place / "days", scheduler=client)
    assert len(report.new) == 2
    assert read_maps(report.store) == expected[0]
    add_late_rows(place)
    report = ingest(place / "other", source=place / "days", scheduler=client)
    assert report.rebuilt
    assert report.moved
    assert read_maps(report.store) == expected[1]


def test_what_fits_no_worker_is_laid_out_here_and_that_is_said(place, expected, client, monkeypatch):
    monkeypatch.setattr(new_maps, "share_block_bytes", lambda _limit: 1000)
    with pytest.warns(PlanWarning, match=r"blocks are laid out in this process: the largest takes .* in a worker"):
        report = ingest(place / "other", source=place / "days", scheduler=client)
    assert read_maps(report.store) == expected[0]


def test_a_reopened_store_is_made_again_by_workers(place, expected, client, monkeypatch):
    pq.write_table(make_day(2, n_rows=4, first=900), place / "days" / "late.parquet")
    reopened = take_in(place, reopen=True)
    monkeypatch.setattr(Stepper, "make_step", refuse_maps_here)
    report = ingest(place / "other", source=place / "days", scheduler=client, reopen=True)
    assert report.reopened == reopened.reopened == "2024-01-02"
    assert read_maps(report.store) == read_maps(reopened.store)
    assert find_orphans(report.store) == find_orphans(reopened.store) == {}  # the graphs that were tried are used
