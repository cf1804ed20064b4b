"""Damage of what all windows of a store share is found by `driftmap verify`."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from driftmap.pipeline import run
from driftmap.pipeline.cli.app import run_command

N_ROWS = 30


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with scaled columns, rows that were dropped, and relations from outside."""
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(2 * N_ROWS, 3)), columns=list("abc"))
    frame["w"], frame["id"] = np.repeat([0, 1], N_ROWS), np.tile(np.arange(N_ROWS), 2)
    frame.loc[4, "a"] = np.inf
    relations = pd.DataFrame({"window": ["0"], "id": [1], "other_window": ["1"], "other_id": [1]})
    how = {"by": "w", "id": "id", "scale": "standard", "on_bad_rows": "drop", "relations": relations}
    place = tmp_path_factory.mktemp("made") / "s"
    run(frame, place, n_neighbors=5, n_epochs=3, scheduler="serial", **how)
    return place


@pytest.mark.parametrize(
    ("folder", "said"), [("scaling", "scaling: "), ("bad_rows", "dropped rows: "), ("relations", "relations: ")]
)
@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_verify_names_it(made, tmp_path, capsys, folder, said, damage):
    assert run_command(["verify", str(made)]) == 0
    shutil.copytree(made, tmp_path / "s")
    for path in [path for path in (tmp_path / "s" / folder).rglob("c/**/*") if path.is_file()]:
        path.unlink() if damage == "missing" else path.write_bytes(b"other")
    capsys.readouterr()
    assert run_command(["verify", str(tmp_path / "s"), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert len(report["damaged_shared"]) == 1
    assert report["damaged_shared"][0].startswith(said)
    assert "restore it from a copy" in report["remedy"]
    assert run_command(["verify", str(tmp_path / "s")]) == 1
    assert "1 damaged" in capsys.readouterr().out
