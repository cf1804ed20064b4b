"""Vectors in `.npy` files beside a table: they are those of the table's rows, and what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tests.memory import needs_proc, run_python
from tests.pipeline.small_sources import write_format

from driftmap.pipeline import ingest, open_store, place, plan, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import ConfigError, SourceError
from driftmap.pipeline.sources import as_source, open_source
from driftmap.pipeline.sources.columns.value_ranges import choose_sample

N_ROWS, N_YEARS = 30, 4
ROLES = {"id": "id", "label": "text"}
SETTINGS = {"by": "year", "n_neighbors": 5, "n_epochs": 8, "scheduler": "serial", **ROLES}


def make_table(n_years=N_YEARS):
    n_rows = N_ROWS * n_years
    return pa.table(
        {
            "year": np.repeat(2000 + np.arange(n_years), N_ROWS),
            "id": np.tile(np.arange(N_ROWS), n_years),
            "text": [f"text {row}, and more" for row in range(n_rows)],
            "likes": np.arange(n_rows) * 1000,
        }
    )


def make_matrix(n_years=N_YEARS):
    return np.random.default_rng(0).normal(size=(N_ROWS * 9, 6)).astype(np.float32)[: N_ROWS * n_years]


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize("kind", [np.float16, np.float64, np.int8])
def test_rows_are_those_of_the_matrix(tmp_path, ending, kind):
    path = write_format(tmp_path / f"texts.{ending}", make_table())
    matrix = (make_matrix() * 9).astype(kind)
    np.save(tmp_path / "e.npy", matrix)
    source = as_source(path, vectors_file=tmp_path / "e.npy", **ROLES)
    assert str(source.spec.pin) == "vectors: 1 column, e.npy (lists of 6 numbers)"
    opened = open_source(source.spec)
    read = opened.read_rows(np.array([[3, 5], [119, 120]]))
    np.testing.assert_array_equal(read.vectors, matrix[[3, 4, 119]].astype(np.float32))
    assert read.ids.tolist() == [3, 4, 29]
    assert read.labels["text"].tolist()[0] == b"text 3, and more"
    assert opened.read_rows(np.array([[0, 5]]), with_vectors=False).vectors is None
    before = opened.fingerprint()
    np.save(tmp_path / "e.npy", matrix[::-1])
    assert open_source(source.spec).fingerprint() != before


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((119, 2)), r"e\.npy has 119 rows, and .*t\.csv 120; one row for each was expected"),
        (np.zeros(120), r"e\.npy has shape \(120,\) and type float64; a matrix"),
        (np.array([["a"]] * 120), r"has shape \(120, 1\) and type <U1; a matrix"),
        (np.array([[None]] * 120), r"e\.npy is no \.npy file that can be read \(.*objects"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(tmp_path, matrix, message):
    path = write_format(tmp_path / "t.csv", make_table())
    np.save(tmp_path / "e.npy", matrix, allow_pickle=True)
    with pytest.raises(SourceError, match=message):
        plan(path, vectors_file=tmp_path / "e.npy", **SETTINGS)


def test_several_matrices_in_one_file_are_refused(tmp_path):
    path = write_format(tmp_path / "t.csv", make_table())
    np.savez(tmp_path / "e.npz", make_matrix())
    with pytest.raises(SourceError, match=r"e\.npz is no \.npy file that can be read"):
        plan(path, vectors_file=tmp_path / "e.npz", **SETTINGS)


def test_options_that_do_not_fit_are_refused(tmp_path):
    path = write_format(tmp_path / "t.csv", make_table())
    np.save(tmp_path / "e.npy", make_matrix())
    with pytest.raises(SourceError, match=r"vectors_file: no such file or folder: .*absent\.npy"):
        as_source(path, vectors_file=tmp_path / "absent.npy")
    with pytest.raises(ConfigError, match="vectors and vectors_file are both given"):
        as_source(path, vectors_file=tmp_path / "e.npy", vectors="likes")
    with pytest.raises(ConfigError, match=r"vectors_file is '.*e\.npy': it goes with a file, or folder, of a table"):
        as_source(make_table(), vectors_file=tmp_path / "e.npy")
    np.save(tmp_path / "e.npy", np.full((120, 2), np.nan))
    with pytest.raises(SourceError, match=r"NaN.*in rows 1, 2 of the source, columns 'e\.npy\[0\]', 'e\.npy\[1\]'"):
        as_source(path, vectors_file=tmp_path / "e.npy").read_rows(np.array([[1, 3]]))


@pytest.mark.parametrize("roles", [{}, ROLES])
def test_rows_that_are_not_finite_can_be_found(tmp_path, roles):
    path, matrix = write_format(tmp_path / "t.csv", make_table()), make_matrix()
    matrix[[5, 77], 1] = np.inf
    np.save(tmp_path / "e.npy", matrix)
    source = as_source(path, vectors_file=tmp_path / "e.npy", **roles)
    assert source.find_bad_rows(np.array([[0, 6], [70, 120]])).tolist() == [5, 77]


def test_a_folder_has_a_matrix_for_each_file_and_grows(tmp_path, monkeypatch, capsys):
    table, matrix = make_table(5), make_matrix(5)

    def write_year(number):
        (tmp_path / "t" / f"{number}").mkdir(parents=True)
        (tmp_path / "e" / f"{number}").mkdir(parents=True)
        write_format(tmp_path / "t" / f"{number}" / "part.csv", table.slice(number * N_ROWS, N_ROWS))
        np.save(tmp_path / "e" / f"{number}" / "part.npy", matrix[number * N_ROWS : (number + 1) * N_ROWS])

    for number in range(N_YEARS):
        write_year(number)
    monkeypatch.chdir(tmp_path)
    flags = ["--id=id", "--by=year", "--n-neighbors=5", "--n-epochs=8", "--scheduler=serial", "--label=text"]
    assert run_command(["run", "t", "--vectors-file", "e", *flags]) == 0
    assert "vectors: 1 column, e (lists of 6 numbers)" in capsys.readouterr().out
    write_format(tmp_path / "all.csv", table.slice(0, N_YEARS * N_ROWS))
    np.save(tmp_path / "all.npy", matrix[: N_YEARS * N_ROWS])
    whole = run(tmp_path / "all.csv", tmp_path / "maps", vectors_file="all.npy", **SETTINGS)
    store = open_store("t-maps.zarr")
    for label in whole.labels:
        np.testing.assert_array_equal(store.embedding(label)[1], whole.embedding(label)[1])
    write_year(4)
    assert ingest("t-maps.zarr", scheduler="serial", complete=True).new == ["2004"]
    rows, name = tmp_path / "t" / "0" / "part.csv", tmp_path / "e" / "0" / "part.npy"
    with pytest.raises(SourceError, match=r"the run's vectors are in .*name the \.npy file with those of .*part\.csv"):
        place("t-maps.zarr", rows)
    assert run_command(["place", "t-maps.zarr", str(rows), "--vectors-file", str(name), "-o", "placed.parquet"]) == 0


READ_FEW = """
import numpy as np
from driftmap.pipeline.sources import as_source
from tests.memory import peak_bytes_of

source = as_source("{folder}/t.csv", id="id", vectors_file="{folder}/e.npy")
runs = np.arange(0, 60_000, 4)[:, None] + [0, 1]
source.read_rows(runs[:1])
print(peak_bytes_of(lambda: source.read_rows(runs)) / source.estimate_read(len(runs)).peak_bytes)
"""


@needs_proc
def test_the_estimate_of_memory_holds(tmp_path):
    write_format(tmp_path / "t.csv", pa.table({"id": np.arange(60_000)}))
    np.save(tmp_path / "e.npy", np.zeros((60_000, 128), dtype=np.float32))
    assert 0.25 < float(run_python(READ_FEW.format(folder=tmp_path))) < 1


def test_plan_warns_of_numbers_that_float32_rounds(tmp_path):
    path = write_format(tmp_path / "texts.csv", make_table())
    for shift, n_notes in ((0, 0), (1e9, 1)):
        np.save(tmp_path / "e.npy", make_matrix().astype(np.float64) + shift)
        notes = plan(path, vectors_file=tmp_path / "e.npy", **SETTINGS).notes
        assert ["rounds away" in note for note in notes] == [True] * n_notes


def test_rows_of_the_whole_matrix_are_looked_at():
    for n_rows in (0, 1, 192, 193, 1_000_000):
        runs = choose_sample(n_rows)
        assert (runs[0, 0], runs[-1, 1]) == (0, n_rows)
        assert (np.diff(runs.ravel()) >= 0).all()
        assert (runs[:, 1] - runs[:, 0]).sum() == min(n_rows, 192)
