"""New rows in a map that stays: they come out near their like, and what is gone is said clearly."""

from __future__ import annotations

import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.pipeline.growing import N_ROWS, OPTIONS, make_day, make_store, read_maps, write_days

from driftmap.engine.errors import InvalidInputError
from driftmap.pipeline import Placer, ingest, open_store, place, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import SourceError, StoreError


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A store with ingested windows."""
    folder = tmp_path_factory.mktemp("grown")
    make_store(folder / "days", folder / "store", n_epochs=60)
    write_days(folder / "days", range(6, 9))
    ingest(folder / "store", scheduler="serial")
    return folder


def centres(ids, positions):
    """Mean place of the entities of each remainder by 5, which are near each other in the data."""
    kinds = np.array([int(name[1:]) % 5 for name in ids])
    return np.stack([np.asarray(positions)[kinds == kind].mean(axis=0) for kind in range(5)])


def test_new_rows_come_out_near_their_like(grown):
    before = read_maps(open_store(grown / "store"))
    table = place(grown / "store", make_day(20))
    store = open_store(grown / "store")
    assert read_maps(store) == before
    assert table["window"].unique().to_pylist() == [store.labels[-1]]
    assert table["id"].to_pylist() == make_day(20)["who"].to_pylist()
    assert table["kind"].to_pylist() == make_day(20)["kind"].to_pylist()
    there = centres(*store.embedding(store.labels[-1]))
    placed = np.column_stack([table["x"], table["y"]])
    kinds = np.array([int(name[1:]) % 5 for name in table["id"].to_pylist()])
    nearest = np.linalg.norm(placed[:, None] - there[None], axis=2).argmin(axis=1)
    assert np.mean(nearest == kinds) > 0.9


def test_rows_of_the_window_come_out_near_their_own_places(grown):
    store = open_store(grown / "store")
    ids, positions = store.embedding(store.labels[-1])
    rows = make_day(7)
    placed = place(grown / "store", rows)
    own = dict(zip(ids.tolist(), positions, strict=True))
    moved = [
        np.hypot(x - own[i][0], y - own[i][1])
        for i, x, y in zip(*(placed[name].to_pylist() for name in ("id", "x", "y")), strict=True)
    ]
    assert np.median(moved) < 0.3 * np.std(positions)


def test_the_command_writes_a_file(grown, tmp_path, capsys):
    pq.write_table(make_day(20), tmp_path / "new.parquet")
    out = tmp_path / "placed.parquet"
    assert run_command(["place", str(grown / "store"), str(tmp_path / "new.parquet"), "-o", str(out)]) == 0
    assert "40 rows placed into the map of window '2024-01-07'" in capsys.readouterr().out
    assert pq.read_table(out).equals(place(grown / "store", tmp_path / "new.parquet"))


def test_vectors_alone_are_enough(grown):
    table = place(grown / "store", make_day(20).select(["v"]))
    assert table.column_names == ["window", "x", "y"]
    vectors = np.stack(make_day(20)["v"].to_pylist()).astype(np.float32)
    assert np.array_equal(place(grown / "store", {"vectors": vectors, "v": vectors[:, 0]})["x"], table["x"])


def test_another_window_can_be_named(grown):
    placer = Placer(grown / "store", window="2024-01-02")
    assert placer.label == "2024-01-02"
    assert placer.place(make_day(20)).num_rows == N_ROWS
    with pytest.raises(StoreError, match="no map of a window '1999'; its maps are '2024-01-07'"):
        Placer(grown / "store", window="1999")


def test_a_source_that_is_gone_is_said_clearly(grown, tmp_path):
    shutil.copytree(grown, tmp_path / "g")
    with pytest.raises(SourceError, match="no such file or folder"):
        Placer(tmp_path / "g" / "store", source=tmp_path / "nowhere")
    (tmp_path / "g" / "days" / "day-006.parquet").unlink()
    with pytest.raises(
        SourceError, match=r"window '2024-01-07' are not in the source any more \(day-006.parquet is gone"
    ):
        Placer(tmp_path / "g" / "store", source=tmp_path / "g" / "days")
    assert Placer(tmp_path / "g" / "store", source=tmp_path / "g" / "days", window="2024-01-02").label == "2024-01-02"


def test_a_store_without_ids_is_placed_into_as_it_was_planned(tmp_path):
    write_days(tmp_path / "days", range(4))
    options = {name: value for name, value in OPTIONS.items() if name not in ("id", "window", "stride")}
    store = run(tmp_path / "days", tmp_path / "s", scheduler="serial", rows=60, row_stride=30, **options)
    assert place(store, make_day(20)).num_rows == N_ROWS
    write_days(tmp_path / "days", range(4, 5), n_rows=90)
    (tmp_path / "days" / "day-000.parquet").unlink()
    (tmp_path / "days" / "day-001.parquet").unlink()
    (tmp_path / "days" / "day-002.parquet").unlink()
    with pytest.raises(SourceError, match="fall into other windows now"):
        place(store, make_day(20))


def test_rows_of_another_width_are_refused(grown):
    vectors = np.zeros((3, 9), np.float32)
    with pytest.raises(InvalidInputError, match="9 columns, the window's rows have 6"):
        place(grown / "store", {"vectors": vectors})
