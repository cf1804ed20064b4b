"""Pruning: what goes is what nothing needs, and ingestion goes on as if nothing had gone."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from tests.pipeline.growing import make_day, make_store, read_maps, take_in, write_days

from driftmap.pipeline import ingest, open_store, prune
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import ConfigError, StoreError
from driftmap.pipeline.look import read_sequence
from driftmap.pipeline.store.attempts import GRAPH_ARRAYS


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A store of ten windows, five of them ingested: eight final, two provisional."""
    folder = tmp_path_factory.mktemp("grown")
    make_store(folder / "days", folder / "store")
    write_days(folder / "days", range(6, 12))
    ingest(folder / "store", scheduler="serial")
    assert len(open_store(folder / "store").labels) == 10
    return folder


@pytest.fixture
def place(grown, tmp_path):
    shutil.copytree(grown, tmp_path / "p")
    return tmp_path / "p"


def list_names(place):
    return {path.relative_to(place / "store").as_posix() for path in (place / "store").rglob("*") if path.is_file()}


def test_superseded_maps_and_orphans_are_swept(place):
    before = read_maps(open_store(place / "store"))
    orphan = place / "store" / "windows" / "00000003" / "feedfeedfeedfeed"
    shutil.copytree(next(found for found in orphan.parent.iterdir() if found.is_dir()), orphan)
    n_files = len(list_names(place))
    report = prune(place / "store")
    assert report.n_files == n_files - len(list_names(place)) > 0
    assert report.n_bytes > 0
    assert not report.graphs
    assert read_maps(open_store(place / "store")) == before
    positions = [name for name in list_names(place) if name.endswith("positions/zarr.json")]
    assert len(positions) == 10
    assert prune(place / "store").n_files == 0


def test_graphs_beyond_the_limit_go_and_ingestion_needs_none(place, tmp_path):
    shutil.copytree(place, tmp_path / "whole")
    before = read_maps(open_store(place / "store"))
    report = prune(place / "store", keep="3D")
    # ten windows, the last ends on day 12; two are provisional, and three before them hold them
    assert report.graphs == tuple(f"2024-01-{day:02}" for day in range(1, 6))
    store = open_store(place / "store")
    assert read_maps(store) == before
    assert store.window_labels("2024-01-01")
    with pytest.raises(StoreError, match=r"graph of window '2024-01-01' was removed"):
        store.knn_graph("2024-01-01")
    kept = {name for name in list_names(place) if name.startswith("windows/00000000/")}
    assert not any(f"/{array}/" in name for name in kept for array in GRAPH_ARRAYS)
    for folder in (place, tmp_path / "whole"):
        write_days(folder / "days", range(12, 15))
        take_in(folder)
    assert read_maps(open_store(place / "store")) == read_maps(open_store(tmp_path / "whole" / "store"))


def test_embeddings_go_on_request(place, capsys):
    assert run_command(["prune", str(place / "store"), "--keep", "8", "--embeddings"]) == 0
    assert "maps of 2 windows" in capsys.readouterr().out
    store = open_store(place / "store")
    assert store.is_complete
    assert store.n_windows == 10
    assert store.to_table().num_rows == 8 * 80
    assert not any(name.startswith("windows/00000001/") and "positions" in name for name in list_names(place))
    with pytest.raises(StoreError, match=r"map of window '2024-01-02' was removed"):
        store.embedding("2024-01-02")
    assert run_command(["status", str(place / "store")]) == 0
    write_days(place / "days", range(12, 14))
    assert take_in(place).new


def test_pictures_are_of_the_maps_that_are_left(place, tmp_path, capsys):
    prune(place / "store", keep="8", embeddings=True)
    store = open_store(place / "store")
    assert "8 maps" in store._repr_html_()
    assert read_sequence(store).names == store.labels[2:]
    for kind in ("grid", "points", "connectivity", "curves", "river"):
        assert run_command(["plot", kind, str(store.path), "-o", str(tmp_path / f"{kind}.svg")]) == 0, kind
    assert run_command(["plot", "grid", str(store.path), "-o", str(tmp_path / "g.svg"), "--window=2024-01-01"]) == 2
    assert "map of window '2024-01-01' was removed" in capsys.readouterr().err


@pytest.mark.parametrize("options", [{}, {"keep": "3D"}, {"keep": "3D", "embeddings": True}])
def test_a_dry_run_says_what_the_real_one_removes_and_removes_nothing(place, options):
    pq.write_table(make_day(6, n_rows=10, first=9000), place / "days" / "late.parquet")
    take_in(place, reopen=True)
    before = {name: (place / "store" / name).read_bytes() for name in list_names(place)}
    dry = prune(place / "store", dry_run=True, **options)
    assert str(dry).startswith("would be removed: ")
    assert {name: (place / "store" / name).read_bytes() for name in list_names(place)} == before
    done = prune(place / "store", **options)
    assert done.n_files > 0
    assert dry == replace(done, is_dry=True)


def test_keep_of_an_ingest_removes_graphs_as_it_goes(place):
    write_days(place / "days", range(12, 13))
    report = take_in(place, keep="3D")
    assert report.n_pruned == 6
    assert not report.did_nothing
    assert take_in(place, keep="3D").did_nothing
    assert [w.pruned for w in open_store(place / "store").state()] == ["graph"] * 6 + [""] * 5


def test_older_generations_go(place):
    pq.write_table(make_day(6, n_rows=10, first=9000), place / "days" / "late.parquet")
    take_in(place, reopen=True)
    maps = read_maps(open_store(place / "store"))
    assert open_store(place / "store", generation=0).positions(9).shape == (80, 2)
    report = prune(place / "store")
    assert report.generations == (0,)
    with pytest.raises(StoreError, match="no generation 0"):
        open_store(place / "store", generation=0)
    assert read_maps(open_store(place / "store")) == maps
    groups = {name.split("/")[2] for name in list_names(place) if name.startswith("windows/00000009/")}
    assert len(groups - {"zarr.json"}) == 3  # the graph, the map and the clusters


def test_a_store_cannot_go_back_to_where_graphs_are_gone(place):
    prune(place / "store", keep="1D")
    pq.write_table(make_day(2, n_rows=10, first=9000), place / "days" / "late.parquet")
    with pytest.raises(StoreError, match=r"cannot go back to before window '2024-01-02'"):
        take_in(place, reopen=True)


@pytest.mark.filterwarnings("ignore::driftmap.pipeline.errors.StoreWarning")
@pytest.mark.parametrize("dry_run", [False, True])
def test_nothing_goes_while_the_log_lacks_its_newest_commit(place, dry_run):
    newest = max((place / "store" / "commits").iterdir())
    content = newest.read_bytes()
    newest.unlink()
    before = list_names(place)
    with pytest.raises(StoreError, match=r"is missing: the log had .* restore it from a copy.*nothing is removed"):
        prune(place / "store", keep="3D", dry_run=dry_run)
    assert {name for name in list_names(place) if not name.startswith("lock/")} == {
        name for name in before if not name.startswith("lock/")
    }
    newest.write_bytes(content)
    assert run_command(["verify", str(place / "store")]) == 0


def test_what_cannot_be_kept_is_refused(place):
    with pytest.raises(ConfigError, match="keep: 'always' is not a length of time"):
        prune(place / "store", keep="always")
    with pytest.raises(ConfigError, match="embeddings is given without keep"):
        prune(place / "store", embeddings=True)
    with pytest.raises(ConfigError, match="write M for months or min for minutes"):
        prune(place / "store", keep="2m")


def test_a_pruned_store_is_whole_for_verify(place):
    for keep in ("3D", None):
        prune(place / "store", keep=keep)
        assert run_command(["verify", str(place / "store")]) == 0
