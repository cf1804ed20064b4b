"""What a plan says of settings and columns before any vector is read."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from driftmap.pipeline import plan, run
from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.planning import column_checks


def test_rows_that_may_get_no_position_are_said():
    rng = np.random.default_rng(0)
    source = {"vectors": rng.normal(size=(40, 3)), "id": np.tile(np.arange(20), 2), "w": np.repeat([1, 2], 20)}
    made = plan(source, by="w", n_neighbors=5, set_op_mix_ratio=0)
    assert any("rows without others get no position (NaN)" in note for note in made.doubts)
    assert not any("NaN" in note for note in plan(source, by="w", n_neighbors=5).doubts)


def test_dates_that_can_be_read_in_two_orders_are_said():
    rng = np.random.default_rng(0)
    rows = {"vectors": rng.normal(size=(60, 3)), "id": np.tile(np.arange(20), 3)}
    days = ["12/02/2023", "03/04/2024", "04/03/2024"]
    unclear = plan(rows | {"day": np.repeat(days[::-1], 20)}, by="day", n_neighbors=5)
    assert [window.label for window in unclear.windows] == days
    assert any("dates such as 12/02/2023 are read as month, day, year" in note for note in unclear.notes)
    for days in (
        ["01/10/2023", "01/11/2023", "01/01/2024"],
        ["31/01/2024", "01/02/2024", "02/01/2024"],
        ["a", "b", "c"],
    ):
        clear = plan(rows | {"day": np.repeat(days, 20)}, by="day", n_neighbors=5)
        assert not any("are read as" in note for note in clear.notes), days


def test_a_date_of_a_window_that_is_left_out_says_which_number_is_the_day():
    days = ["02/01/2024", "01/02/2024", "31/03/2024"]
    lengths = [20, 20, 1]
    source = {
        "vectors": np.random.default_rng(0).normal(size=(41, 3)),
        "id": np.concatenate([np.arange(n) for n in lengths]),
        "day": np.repeat(days, lengths),
    }
    made = plan(source, by="day", id="id", n_neighbors=5)
    assert ([window.label for window in made.windows], made.skipped) == (days[:2], ("31/03/2024",))
    assert not any("are read as" in note for note in made.notes)


def make_rows(vectors: np.ndarray) -> dict[str, np.ndarray]:
    n = len(vectors) // 3
    return {"vectors": vectors, "id": np.tile(np.arange(n), 3), "w": np.repeat([1, 2, 3], n)}


def test_degrees_are_refused_before_a_store_is_made(tmp_path):
    rng = np.random.default_rng(0)
    radians = rng.uniform([-1.5, -3], [1.5, 3], size=(300, 2))
    plan(make_rows(radians), by="w", id="id", metric="haversine")
    with pytest.raises(ConfigError, match="scale is 'unit', but metric 'haversine' takes latitude and longitude"):
        plan(make_rows(radians), by="w", id="id", metric="haversine", scale="unit")
    for first, last, label in ((0, 300, "1"), (200, 300, "3")):
        mixed = radians.copy()
        mixed[first:last] = np.degrees(mixed[first:last])
        with pytest.raises(ConfigError, match=f"window '{label}': .* in radians: give np.radians of degrees"):
            run(make_rows(mixed), tmp_path / "store", by="w", id="id", metric="haversine")
    assert not (tmp_path / "store").exists()


def test_rows_that_are_never_0_are_refused_for_metrics_that_ask_only_for_it():
    rng = np.random.default_rng(0)
    rows = make_rows(rng.uniform(1, 2, size=(600, 4)))
    with pytest.raises(ConfigError, match=r"window '1': the rows hold no 0, and metric 'jaccard' asks only"):
        plan(rows, by="w", id="id", metric="jaccard")
    plan(rows, by="w", id="id", metric="cosine")
    rows["vectors"][[150, 350, 550], 0] = 0  # none of them among the rows that are looked at first
    plan(rows, by="w", id="id", metric="jaccard")


def test_no_large_part_of_a_file_is_read_to_see_whether_a_metric_fits(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    degrees = pd.DataFrame(rng.uniform(-80, 80, size=(300, 2)), columns=["lat", "lon"])
    degrees.assign(id=np.tile(np.arange(100), 3), w=np.repeat([1, 2, 3], 100)).to_csv(tmp_path / "x.csv", index=False)
    options = {"by": "w", "id": "id", "vectors": ["lat", "lon"], "metric": "haversine"}
    with pytest.raises(ConfigError, match=r"window '1': .* in radians"):
        plan(tmp_path / "x.csv", **options)
    monkeypatch.setattr(column_checks, "_MOST_BYTES", 1000)
    assert len(plan(tmp_path / "x.csv", **options).windows) == 3
