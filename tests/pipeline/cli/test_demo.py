"""The demo on a local cluster: data, store and page; a second call only shows them."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from driftmap.pipeline.cli import demo
from driftmap.pipeline.cli.app import run_command


@pytest.mark.slow
def test_demo_on_a_local_cluster(tmp_path, capsys):
    folder = tmp_path / "new" / "folder"
    assert run_command(["demo", "--out", str(folder), "--no-open", "--workers", "2"]) == 0
    out = capsys.readouterr().out
    assert "10 windows, 4,000 rows" in out
    assert "Neighbours kept" in out
    assert sorted(path.name for path in folder.iterdir()) == ["digits.html", "digits.parquet", "digits.zarr"]
    page = (folder / "digits.html").read_bytes()
    commits = sorted((folder / "digits.zarr" / "commits").iterdir())

    made = demo.run_demo(folder, scheduler="serial")
    assert sorted((folder / "digits.zarr" / "commits").iterdir()) == commits
    assert made.page.read_bytes() == page
    assert [row.n_rows for row in made.quality] == [400] * 10
    assert all(row.related == pytest.approx(0.625) for row in made.quality[1:])
    assert np.mean([row.neighbours for row in made.quality]) > 0.55
    assert np.mean([row.drift for row in made.quality[1:]]) < 0.3


def test_digits_are_those_of_the_tutorial(tmp_path):
    path = demo.write_digits(tmp_path / "digits.parquet")
    table = pq.read_table(path)
    assert table.num_rows == 1797
    assert table["digit"].to_pylist() == sorted(table["digit"].to_pylist())
    assert len(table["pixels"][0].as_py()) == 64
    before = path.stat().st_mtime_ns
    assert demo.write_digits(path) == path
    assert path.stat().st_mtime_ns == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["digits.parquet"]
