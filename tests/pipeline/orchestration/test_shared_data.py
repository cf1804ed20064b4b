"""Real temporal data from Parquet through the pipeline, against the estimator on the same rows."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftmap.engine import AlignedUMAP, drift, relate_ids, trustworthiness
from driftmap.pipeline import run


def write_parquet(path, windows, ids, labels):
    vectors = [row.tolist() for rows in windows for row in rows]
    table = pa.table(
        {
            "window": np.concatenate([np.full(len(rows), t) for t, rows in enumerate(windows)]),
            "entity": [str(i) for name in ids for i in name],
            "label": [str(i) for label in labels for i in label],
            "vector": pa.array(vectors, pa.list_(pa.float32())),
        }
    )
    pq.write_table(table, path, row_group_size=2000)


def run_over(data, folder, **options):
    windows, ids, labels, _ = data
    write_parquet(folder / "rows.parquet", windows, ids, labels)
    columns = {"by": "window", "id": "entity", "label": "label", "vectors": "vector"}
    return run(folder / "rows.parquet", folder / "maps.zarr", scheduler="serial", **columns, **options)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gapminder", "house_votes"])
def test_pipeline_equals_estimator_when_one_block_holds_all_windows(name, load_shared, tmp_path):
    data = load_shared(name)
    windows, ids, _, _ = data
    store = run_over(data, tmp_path, block_windows=len(windows), n_epochs=60, random_state=7)
    names = [np.array([str(i) for i in name]) for name in ids]
    model = AlignedUMAP(n_epochs=60, random_state=7).fit(windows, ids=names)
    for t, expected in enumerate(model.embeddings_):
        stored_ids, positions = store.embedding(t)
        assert [i.decode() if isinstance(i, bytes) else str(i) for i in stored_ids] == names[t].tolist()
        assert positions.tobytes() == expected.tobytes()


@pytest.mark.slow
def test_blocks_of_eight_are_nearly_as_good_as_one(load_shared, tmp_path):
    data = load_shared("gapminder")
    windows, ids, _, _ = data
    store = run_over(data, tmp_path, block_windows=8)
    maps = [store.embedding(t)[1] for t in range(len(windows))]
    steps = [relate_ids(a, b) for a, b in itertools.pairwise(ids)]
    # umap-learn 0.5.12 on the same rows: trustworthiness .9016, drift over one window .202, over five .312
    assert np.mean([trustworthiness(x, y) for x, y in zip(windows, maps, strict=True)]) > 0.9016
    assert drift(maps, steps) < 0.8 * 0.202
    assert drift(maps, steps, n_steps=5) < 0.95 * 0.312
