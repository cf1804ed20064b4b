"""What a plan says of settings and columns before any vector is read."""

from __future__ import annotations

import numpy as np

from driftmap.pipeline import plan


def test_rows_that_may_get_no_position_are_said():
    rng = np.random.default_rng(0)
    source = {"vectors": rng.normal(size=(40, 3)), "id": np.tile(np.arange(20), 2), "w": np.repeat([1, 2], 20)}
    made = plan(source, by="w", n_neighbors=5, set_op_mix_ratio=0)
    assert any("rows without others get no position (NaN)" in note for note in made.doubts)
    assert not any("NaN" in note for note in plan(source, by="w", n_neighbors=5).doubts)
