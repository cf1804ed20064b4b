"""The strength of the alignment in a store: found, kept and shown; a store made with a number goes on with it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftmap.pipeline import plan, run
from driftmap.pipeline.errors import ConfigError


@pytest.fixture
def source(tmp_path):
    """Six windows of the same 40 rows, with noise."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(40, 4))] * 6) + rng.normal(size=(240, 4)) * 0.1
    columns = {"id": np.tile(np.arange(40), 6), "w": np.repeat(np.arange(6), 40)}
    pq.write_table(pa.table(columns | {f"x{i}": rows[:, i] for i in range(4)}), tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def map_rows(source, store, **options):
    return run(source, store=store, id="id", by="w", n_epochs=10, n_neighbors=8, scheduler="serial", **options)


def test_the_strength_found_is_kept_and_the_same_for_any_layout(source, tmp_path):
    carried = map_rows(source, tmp_path / "carry.zarr")
    exchanged = map_rows(source, tmp_path / "exchange.zarr", layout="exchange", block_windows=2)
    strengths = [fact.strength for fact in carried.state()]
    assert strengths == [fact.strength for fact in exchanged.state()]
    assert all(0.01 < strength < 0.06 for strength in strengths)


def test_a_store_made_with_a_number_goes_on_with_it(source, tmp_path):
    first = map_rows(source, tmp_path / "store.zarr", alignment_regularisation=0.035)
    again = map_rows(source, tmp_path / "store.zarr")
    assert [fact.strength for fact in again.state()] == [0.035] * 6
    assert again.n_commits == first.n_commits
    with pytest.raises(ConfigError, match=r"alignment_regularisation: store has 0\.035, now 'auto'"):
        map_rows(source, tmp_path / "store.zarr", alignment_regularisation="auto")


def test_a_store_of_the_former_repulsion_goes_on_with_it(source, tmp_path):
    first = map_rows(source, tmp_path / "store.zarr", repulsion_strength=1)
    assert map_rows(source, tmp_path / "store.zarr").n_commits == first.n_commits
    with pytest.raises(ConfigError, match=r"repulsion_strength: store has 1\.0, now 'auto'"):
        map_rows(source, tmp_path / "store.zarr", repulsion_strength="auto")


def test_other_words_are_refused(source):
    with pytest.raises(ConfigError, match="alignment_regularisation must be a number or 'auto', got 'often'"):
        plan(source, id="id", by="w", alignment_regularisation="often")
