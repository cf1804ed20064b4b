"""Code written for umap-learn runs as it is, and the README names every default that differs."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

from driftmap.engine import AlignedUMAP

UMAP_DEFAULTS = {
    "n_neighbors": 15, "n_components": 2, "metric": "euclidean", "metric_kwds": None, "n_epochs": None,
    "learning_rate": 1.0, "init": "spectral", "alignment_regularisation": 0.01, "alignment_window_size": 3,
    "min_dist": 0.1, "spread": 1.0, "low_memory": False, "set_op_mix_ratio": 1.0, "local_connectivity": 1.0,
    "repulsion_strength": 1.0, "negative_sample_rate": 5, "transform_queue_size": 4.0, "a": None, "b": None,
    "random_state": None, "angular_rp_forest": False, "target_n_neighbors": -1, "target_metric": "categorical",
    "target_metric_kwds": None, "target_weight": 0.5, "transform_seed": 42, "force_approximation_algorithm": False,
    "verbose": False, "unique": False,
}  # fmt: skip
"""Of umap-learn 0.5.12's AlignedUMAP, by its signature."""
N = 60


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(N, 4)) + 3 * np.eye(4)[np.arange(N) % 4]
    windows = [rows + 0.05 * rng.normal(size=rows.shape) for _ in range(3)]
    return windows, [np.arange(N) % 4] * 3, [{row: row for row in range(N)}] * 2


def test_every_default_that_differs_is_in_the_table_of_the_readme():
    ours = {name: each.default for name, each in inspect.signature(AlignedUMAP).parameters.items()}
    assert set(ours) - set(UMAP_DEFAULTS) == {"knn_recall"}
    assert not set(UMAP_DEFAULTS) - set(ours)
    assert list(ours)[: len(UMAP_DEFAULTS)] == list(UMAP_DEFAULTS)  # as code with positional arguments has them
    differing = [name for name, value in UMAP_DEFAULTS.items() if ours[name] != value]
    lines = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8").splitlines()
    start = lines.index("| parameter | umap-learn | here | why |")
    named = " ".join(line.split("|")[1] for line in lines[start + 2 : start + 7])
    assert differing
    assert [name for name in differing if f"`{name}`" not in named] == []


def test_the_second_argument_of_update_is_the_target_of_the_new_window(data):
    windows, labels, relations = data
    maps = []
    for positional in (True, False):
        mapper = AlignedUMAP(n_neighbors=8, n_epochs=30, random_state=0)
        mapper.fit(windows[:2], labels[:2], relations=relations[:1])
        if positional:
            mapper.update(windows[2], labels[2], relations=relations[1])
        else:
            mapper.update(windows[2], y=labels[2], relations=relations[1])
        maps.append(mapper.embeddings_[2].tobytes())
    without = AlignedUMAP(n_neighbors=8, n_epochs=30, random_state=0).fit(
        windows[:2], labels[:2], relations=relations[:1]
    )
    assert maps[0] == maps[1]
    assert maps[0] != without.update(windows[2], relations=relations[1]).embeddings_[2].tobytes()


def test_positional_arguments_mean_what_they_mean_in_umap_learn(data):
    windows, _, relations = data
    values = (8, 2, "euclidean", None, 30, 1.0, "random", 0.02, 2, 0.2, 1.5)
    with pytest.warns(UserWarning, match="low_memory"):
        pasted = AlignedUMAP(*values, False, random_state=0).fit(windows, relations=relations)
    named = dict(zip(UMAP_DEFAULTS, values, strict=False))
    same = AlignedUMAP(**named, random_state=0).fit(windows, relations=relations)
    assert [m.tobytes() for m in pasted.embeddings_] == [m.tobytes() for m in same.embeddings_]
    assert pasted.get_params()["init"] == "random"
