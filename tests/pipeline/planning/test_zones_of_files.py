"""Files whose times are of different zones: refused before any work, until `timezone` names the clock."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from driftmap.pipeline import plan
from driftmap.pipeline.errors import PlanError

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
OPTIONS = {"time": "t", "id": "id", "n_neighbors": 5, "window": "1M"}
MONTHS = ["2024-01", "2024-02", "2024-03"]


def write(folder, *zones, kind="parquet"):
    """Write a file for each zone, of a month each that begins by it; of texts where the zone is one of `offset`."""
    for number, zone in enumerate(zones):
        start = pd.Timestamp(f"2024-0{number + 1}-01")
        frame = pd.DataFrame({"id": np.arange(20)})
        if zone == "day":
            frame["t"] = start.date()
        elif zone is not None and zone.startswith("text"):
            frame["t"] = f"{start.isoformat()}{zone[4:]}"
        else:
            frame["t"] = start if zone is None else start.tz_localize(zone)
        frame[["a", "b"]] = np.random.default_rng(number).normal(size=(20, 2))
        path = folder / f"{number}.{kind}"
        frame.to_parquet(path, index=False) if kind == "parquet" else frame.to_feather(path)
    return folder


@pytest.mark.parametrize("kind", ["parquet", "feather"])
@pytest.mark.parametrize(
    ("zones", "named"),
    [
        ((NEW_YORK, BERLIN, BERLIN), f"{NEW_YORK} in .*0.*, {BERLIN} in .*1.*"),
        ((BERLIN, BERLIN, NEW_YORK), f"{BERLIN} in .*0.*, {NEW_YORK} in .*2.*"),
        ((None, BERLIN, BERLIN), f"none, which is UTC, in .*0.*, {BERLIN} in .*1.*"),
        ((BERLIN, "UTC", None), f"{BERLIN} in .*0.*, UTC in .*1.*"),
        (("day", BERLIN, BERLIN), f"none, which is UTC, in .*0.*, {BERLIN} in .*1.*"),
        (("text+02:00", BERLIN, BERLIN), rf"\+02:00 in .*0.*, {BERLIN} in .*1.*"),
        (("text", None, BERLIN), f"none, which is UTC, in .*0.*, {BERLIN} in .*2.*"),
        ((None, "text+02:00", None), r"none, which is UTC, in .*0.*, \+02:00 in .*1.*"),
    ],
)
def test_zones_that_differ_are_refused_and_named(tmp_path, zones, named, kind):
    source = write(tmp_path, *zones, kind=kind)
    with pytest.raises(PlanError, match=f"'t' has files of different zones \\({named}\\).*give timezone, such as"):
        plan(source, **OPTIONS)
    if not any(zone and zone.startswith("text") for zone in zones):
        with pytest.raises(PlanError, match="files of different zones"):
            plan(source, by="t", time="t", id="id", n_neighbors=5)


def test_moments_are_moments_once_the_clock_is_named(tmp_path):
    made = plan(write(tmp_path, BERLIN, NEW_YORK, None), **OPTIONS, timezone=BERLIN)
    assert [window.label for window in made.windows] == MONTHS
    made = plan(tmp_path, **OPTIONS, timezone=NEW_YORK, duplicates="first")
    assert [window.label for window in made.windows] == ["2023-12", "2024-02"]  # without a zone: in UTC
    assert made.windows[1].n_repeated == 20
    assert any("2.parquet" in note and "none, which is UTC" in note for note in made.doubts)


def test_days_are_days_by_the_clock_that_is_named(tmp_path):
    made = plan(write(tmp_path, "day", NEW_YORK, "day"), **OPTIONS, timezone=NEW_YORK)
    assert [window.label for window in made.windows] == MONTHS
    assert all(window.n_rows == 20 for window in made.windows)


@pytest.mark.parametrize("zones", [(None, "UTC", "text"), ("day", None, "text"), (BERLIN, BERLIN, BERLIN)])
def test_files_of_one_zone_need_no_clock(tmp_path, zones):
    made = plan(write(tmp_path, *zones), **OPTIONS)
    assert [window.label for window in made.windows] == MONTHS
    assert made.config.windows.timezone == (BERLIN if BERLIN in zones else "UTC")


def test_partitions_of_dask_are_as_files():
    dd = pytest.importorskip("dask.dataframe")
    from dask import delayed

    frames = []
    for number, zone in enumerate((BERLIN, NEW_YORK)):
        times = pd.Series(pd.date_range(dt.date(2024, number + 1, 1), periods=20, freq="h", tz=zone))
        frames.append(pd.DataFrame({"id": np.arange(20), "t": times, "a": np.arange(20.0), "b": 1.0}))
    made = dd.from_delayed([delayed(frame) for frame in frames], meta=frames[0].iloc[:0], verify_meta=False)
    with pytest.raises(PlanError, match=f"{BERLIN} in partition 0, {NEW_YORK} in partition 1"):
        plan(made, **OPTIONS, scheduler="serial")
