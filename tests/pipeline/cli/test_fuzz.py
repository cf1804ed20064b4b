"""Whatever comes, a command ends with 0 and the right thing, or with 2 and one message.

Some of it in CI; 2,000 inputs: `pytest -n 0 -m long tests/pipeline/cli/test_fuzz.py`.
"""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.pipeline.cli.fuzz import JSONS, changes, options_of_a_run, tables, try_command, write_toml
from tests.pipeline.store.damages import make_real_store

from driftmap.pipeline import open_store
from driftmap.pipeline.store.log import lock

FEW, MANY = 40, 400
"""Inputs of each of five kinds."""
LONG = [pytest.mark.long, pytest.mark.timeout(2 * 3600)]
N_INPUTS = [FEW, pytest.param(MANY, marks=LONG)]
SERIAL = ("--scheduler", "serial", "--n-epochs", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table, a Zarr group and a store, all small."""
    path = tmp_path_factory.mktemp("fuzz")
    rng = np.random.default_rng(0)
    vectors = {f"e{axis}": rng.normal(size=24) for axis in range(3)}
    pq.write_table(
        pa.table({"w": np.repeat([1, 2], 12), "id": np.tile(np.arange(12), 2), **vectors}), path / "rows.parquet"
    )
    group = zarr.create_group(path / "rows.zarr", zarr_format=3)
    group.create_array("vectors", data=rng.normal(size=(24, 3)).astype(np.float32), chunks=(8, 3))
    group.create_array("w", data=np.repeat([1, 2], 12), chunks=(24,))
    group.create_array("id", data=np.tile(np.arange(12), 2), chunks=(24,))
    make_real_store(path, n_rows=16)
    try_command("export", path / "maps.zarr", "-o", path / "right.parquet")
    return path


@pytest.fixture(autouse=True)
def inside(folder, monkeypatch):
    """Commands are given in a folder of their own; nothing in the input may be run, or written elsewhere."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    monkeypatch.chdir(work)
    monkeypatch.setattr(lock, "WATCH_SECONDS", 0.1)
    before = sorted(path.name for path in folder.iterdir())
    yield work
    assert sorted(path.name for path in folder.iterdir()) == before
    assert not (work / "executed").exists()


def fuzz(n_inputs, strategy, check):
    """Try a number of inputs; with the same seed each time."""

    @settings(
        max_examples=n_inputs,
        phases=[Phase.generate],
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def run_all(drawn):
        check(drawn)

    run_all()


def check_maps(path, n_rows):
    """Check that every row of a source has one place, at most rows of windows that were left out have none."""
    store = open_store(path)
    table = store.to_table()
    assert table.num_rows <= n_rows
    assert sum(window.n_rows for window in store.state()) == table.num_rows
    for window in store.state():
        is_isolated = np.diff(store.fuzzy_graph(window.index).indptr) == 0
        assert np.isfinite(store.positions(window.index)).all(axis=1)[~is_isolated].all()


@pytest.mark.parametrize("n_inputs", N_INPUTS)
def test_settings(folder, inside, n_inputs):
    def check(drawn):
        options, raw = drawn
        (inside / "run.toml").write_bytes(
            raw if raw is not None else write_toml({"source": "../rows.parquet", **options}).encode()
        )
        try_command("plan", "run.toml")
        shutil.rmtree(inside / "maps", ignore_errors=True)
        if try_command("run", "run.toml", *SERIAL, "--store", "maps").code == 0:
            check_maps(inside / "maps", 24 * 12)

    raw = st.one_of(
        st.none(), st.none(), st.none(), st.binary(max_size=60), st.sampled_from([b"a=" + b"[" * 9999, b"source=3"])
    )
    fuzz(n_inputs, st.tuples(options_of_a_run(), raw), check)


@pytest.mark.parametrize("n_inputs", N_INPUTS)
def test_schemas(inside, n_inputs):
    def check(drawn):
        table, by = drawn
        try:
            pq.write_table(table, inside / "table.parquet")
        except (pa.ArrowException, ValueError):
            return  # Parquet has no such column
        given = ("table.parquet", by, "w", "--id", "id")
        try_command("plan", *given)
        shutil.rmtree(inside / "maps", ignore_errors=True)
        if try_command("run", *given, *SERIAL, "--store", "maps").code == 0:
            check_maps(inside / "maps", table.num_rows * 10)

    fuzz(n_inputs, st.tuples(tables(), st.sampled_from(["--by", "--by", "--time"])), check)


@pytest.mark.parametrize("n_inputs", N_INPUTS)
def test_metadata_of_zarr(folder, inside, n_inputs):
    names = ["zarr.json", "vectors/zarr.json", "w/zarr.json", "id/zarr.json"]
    documents = {name: json.loads((folder / "rows.zarr" / name).read_text()) for name in names}
    strategy = st.sampled_from(names).flatmap(lambda name: st.tuples(st.just(name), changes(documents[name])))

    def check(drawn):
        name, content = drawn
        shutil.rmtree(inside / "rows.zarr", ignore_errors=True)
        shutil.rmtree(inside / "maps", ignore_errors=True)
        shutil.copytree(folder / "rows.zarr", inside / "rows.zarr")
        (inside / "rows.zarr" / name).write_bytes(content)
        given = ("rows.zarr", "--by", "w", "--id", "id")
        try_command("plan", *given)
        if try_command("run", *given, *SERIAL, "--store", "maps").code == 0:
            check_maps(inside / "maps", 24)

    fuzz(n_inputs, strategy, check)


@pytest.mark.parametrize("n_inputs", N_INPUTS)
def test_commits(folder, inside, n_inputs):
    """The log of a store of 0.1.0, whose content no checksum keeps from being read."""
    files = sorted((folder / "maps.zarr/commits").iterdir())
    documents = [json.loads(file.read_text()) for file in files]
    plain = [{name: value for name, value in one.items() if name not in ("checksum", "previous")} for one in documents]
    strategy = st.integers(0, len(files) - 1).flatmap(lambda number: st.tuples(st.just(number), changes(plain[number])))

    def check(drawn):
        number, content = drawn
        shutil.rmtree(inside / "maps", ignore_errors=True)
        shutil.copytree(folder / "maps.zarr", inside / "maps")
        shutil.rmtree(inside / "maps/lock")
        for file, one in zip(files, plain, strict=True):
            (inside / "maps/commits" / file.name).write_text(json.dumps(one, indent=1))
        (inside / "maps/commits" / files[number].name).write_bytes(content)
        for command in (["status"], ["status", "--json"], ["verify"], ["export", "-o", "maps.parquet"]):
            try_command(command[0], "maps", *command[1:])
        try_command("ingest", "maps", "--source", "../seasons.parquet", "--scheduler", "serial")

    fuzz(n_inputs, strategy, check)


@pytest.mark.parametrize("n_inputs", N_INPUTS)
def test_locks(folder, inside, n_inputs):
    (file,) = (folder / "maps.zarr/lock").iterdir()
    document = json.loads(file.read_text())
    names = st.sampled_from([file.name, "00000009.json", "99999999999.json", "x.json", "7.json"])
    strategy = st.tuples(names, st.one_of(changes(document), JSONS.map(lambda value: json.dumps(value).encode())))
    right = pq.read_table(folder / "right.parquet")

    def check(drawn):
        name, content = drawn
        shutil.rmtree(inside / "maps", ignore_errors=True)
        shutil.copytree(folder / "maps.zarr", inside / "maps")
        (inside / "maps/lock" / name).write_bytes(content)
        assert try_command("export", "maps", "-o", "maps.parquet").code == 0
        assert pq.read_table(inside / "maps.parquet").equals(right)
        try_command("status", "maps")
        try_command("prune", "maps")
        try_command("migrate", "maps")

    fuzz(n_inputs, strategy, check)
