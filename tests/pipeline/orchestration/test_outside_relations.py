"""Relations from outside through runs and ingests: files, tables, pairs of windows; kept, resumed, refused."""

from __future__ import annotations

import csv
import itertools
import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.sparse import csr_array

from driftmap.engine import drift
from driftmap.engine.errors import DriftmapError
from driftmap.pipeline import ingest, open_store, plan, run
from driftmap.pipeline.errors import ConfigError, PlanError, SourceError
from driftmap.pipeline.look.quality import measure_windows

N_ROWS = 40
FAST = {"scheduler": "serial", "n_epochs": 30, "n_neighbors": 6, "lookahead": 1, "block_windows": 2}
WINDOWS = ["a", "b", "c", "d"]


@pytest.fixture
def table():
    """Four windows of the same rows, no id twice."""
    rng = np.random.default_rng(0)
    start = rng.normal(size=(N_ROWS, 4))
    rows = np.concatenate([start + 0.05 * rng.normal(size=start.shape) for _ in WINDOWS])
    ids = [f"{window}{row}" for window in WINDOWS for row in range(N_ROWS)]
    columns = {"w": np.repeat(WINDOWS, N_ROWS), "id": ids, "v": rows.astype("f4").tolist()}
    return pa.table(columns)


def relate(first, second, *, weight=None):
    named = [(first, f"{first}{row}", second, f"{second}{row}") for row in range(N_ROWS)]
    frame = pd.DataFrame(named, columns=["window", "id", "other window", "other id"])
    return frame if weight is None else frame.assign(weight=weight)


def relate_all():
    return pd.concat([relate(a, b) for a, b in itertools.pairwise(WINDOWS)], ignore_index=True)


def measure_drift(store):
    found = [store.embedding(label) for label in store.labels]
    # Rows of an ingest are in the order of their ids.
    numbers = [[int(name[1:]) if ids.dtype.kind == "U" else name for name in ids] for ids, _ in found]
    rows = [np.argsort(each) for each in numbers]
    maps = [positions[order] for order, (_, positions) in zip(rows, found, strict=True)]
    return drift(maps, [np.arange(N_ROWS, dtype=np.int32)] * (len(maps) - 1))


def read_maps(store):
    return [store.positions(label).tobytes() for label in store.labels]


def test_every_form_gives_the_same_maps(table, tmp_path):
    pairs = relate_all()
    pairs.to_parquet(tmp_path / "r.parquet")
    pairs.to_csv(tmp_path / "r.csv", index=False, quoting=csv.QUOTE_ALL)
    pairs.to_csv(tmp_path / "r.tsv", index=False, sep="\t")
    pairs.to_json(tmp_path / "r.jsonl", orient="records", lines=True)
    swapped = pairs.rename(
        columns={"window": "other window", "other window": "window", "id": "other id", "other id": "id"}
    )
    same = dict(zip(range(N_ROWS), range(N_ROWS), strict=True))
    forms = {
        "frame": pairs,
        "parquet": tmp_path / "r.parquet",
        "csv": str(tmp_path / "r.csv"),
        "tsv": tmp_path / "r.tsv",
        "jsonl": tmp_path / "r.jsonl",
        "either direction": swapped,
        "dicts": [same] * 3,
        "matrices": {(a, b): csr_array(np.eye(N_ROWS)) for a, b in itertools.pairwise(WINDOWS)},
    }
    stores = {
        name: run(table, tmp_path / name, by="w", id="id", relations=form, **FAST) for name, form in forms.items()
    }
    maps = {name: read_maps(store) for name, store in stores.items()}
    assert all(found == maps["frame"] for found in maps.values())
    apart = run(table, tmp_path / "apart", by="w", id="id", allow_unrelated=True, **FAST)
    assert measure_drift(stores["frame"]) < 0.3 * measure_drift(apart)


def test_blocks_in_parallel_use_the_relations_too(table, tmp_path):
    options = {**FAST, "layout": "exchange"}
    store = run(table, tmp_path / "s", by="w", id="id", relations=relate_all(), **options)
    apart = run(table, tmp_path / "apart", by="w", id="id", allow_unrelated=True, **options)
    assert measure_drift(store) < 0.4 * measure_drift(apart)


def test_a_run_goes_on_with_its_relations_and_no_others(table, tmp_path):
    pairs = relate_all()
    whole = run(table, tmp_path / "whole", by="w", id="id", relations=pairs, **FAST)

    def stop(progress):
        if progress.stage == "layout" and progress.windows_done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(table, tmp_path / "s", by="w", id="id", relations=pairs, progress=stop, **FAST)
    assert not open_store(tmp_path / "s").is_complete
    with pytest.raises(ConfigError, match="was made with other relations"):
        run(table, tmp_path / "s", by="w", id="id", relations=pairs[:-5], **FAST)
    assert read_maps(run(table, tmp_path / "s", by="w", id="id", relations=pairs, **FAST)) == read_maps(whole)
    assert read_maps(run(table, tmp_path / "s", by="w", id="id", **FAST)) == read_maps(whole)


def test_several_partners_pull_a_row_to_their_mean(table, tmp_path):
    rng = np.random.default_rng(1)
    others = pd.DataFrame(
        [("a", f"a{row}", "b", f"b{other}") for row in range(N_ROWS) for other in rng.choice(N_ROWS, 3, replace=False)],
        columns=["window", "id", "other_window", "other_id"],
    ).assign(weight=1.0)
    planned = plan(table, by="w", id="id", relations=others, **FAST)
    assert any("relations: 120 pairs of rows" in line for line in planned.columns)
    store = run(table, tmp_path / "s", by="w", id="id", relations=others, **FAST)
    assert np.isfinite(np.concatenate([store.positions(label) for label in store.labels])).all()


def test_new_windows_come_with_relations_of_their_own(table, tmp_path):
    folder = tmp_path / "rows"
    folder.mkdir()
    pq.write_table(table[: 3 * N_ROWS], folder / "0.parquet")
    first = pd.concat([relate("a", "b"), relate("b", "c")], ignore_index=True)
    run(folder, tmp_path / "s", by="w", id="id", relations=first, **FAST)
    pq.write_table(table[3 * N_ROWS :], folder / "1.parquet")
    with pytest.raises(DriftmapError, match="shares no id"):
        ingest(tmp_path / "s", complete=True, scheduler="serial")
    with pytest.raises(ConfigError, match="by the numbers of rows"):
        ingest(tmp_path / "s", relations=[{0: 0}], scheduler="serial")
    report = ingest(tmp_path / "s", relations=relate("c", "d"), complete=True, scheduler="serial")
    assert report.new == ["d"]
    assert measure_drift(report.store) < 0.3
    assert len(report.store.read_relations().books) == 2
    again = ingest(tmp_path / "s", relations=relate("c", "d"), complete=True, scheduler="serial")
    assert again.did_nothing
    assert len(again.store.read_relations().books) == 2


def test_relations_in_place_of_equal_ids(table, tmp_path):
    rows = np.arange(len(table)) % N_ROWS
    same = table.set_column(1, "id", pa.array([f"e{row}" for row in rows]))
    # The rows of the second window have the ids of others: equal ids are wrong there, and relations say what is right.
    shifted = [
        f"e{(row + 7) % N_ROWS}" if window == "b" else f"e{row}"
        for window, row in zip(same["w"].to_pylist(), rows.tolist(), strict=True)
    ]
    wrong = same.set_column(1, "id", pa.array(shifted))
    pairs = pd.DataFrame(
        [
            (one, f"e{row + 7 if one == 'b' else row}", two, f"e{row + 7 if two == 'b' else row}")
            for one, two in itertools.pairwise(WINDOWS)
            for row in range(N_ROWS - 7)
        ],
        columns=["window", "id", "other_window", "other_id"],
    )
    with pytest.raises(DriftmapError, match=r"contradict|same id"):
        run(wrong, tmp_path / "s", by="w", id="id", relations=pairs, **FAST)
    planned = plan(wrong, by="w", id="id", relations=pairs, relations_only=True, **FAST)
    assert [window.n_shared for window in planned.windows] == [0, N_ROWS - 7, N_ROWS - 7, N_ROWS - 7]
    assert any("in place of equal ids" in line for line in planned.columns)
    store = run(wrong, tmp_path / "s", by="w", id="id", relations=pairs, relations_only=True, **FAST)
    related = [one.related for one in measure_windows(store)]
    assert related == [None, *[pytest.approx((N_ROWS - 7) / N_ROWS)] * 3]
    places = {label: dict(zip(*store.embedding(label), strict=True)) for label in "ab"}
    moved = [np.linalg.norm(places["b"][f"e{row + 7}"] - places["a"][f"e{row}"]) for row in range(N_ROWS - 7)]
    apart = [np.linalg.norm(places["b"][f"e{row}"] - places["a"][f"e{row}"]) for row in range(N_ROWS)]
    assert np.mean(moved) < 0.5 * np.mean(apart)
    exchanged = run(wrong, tmp_path / "x", by="w", id="id", relations=pairs, relations_only=True,
                    **{**FAST, "layout": "exchange"})  # fmt: skip
    assert [one.related for one in measure_windows(exchanged)] == related
    with pytest.raises(ConfigError, match="no relations are: give relations too"):
        plan(wrong, by="w", id="id", relations_only=True, **FAST)
    with pytest.raises(ConfigError, match="relations_only: store has True, now False"):
        run(wrong, tmp_path / "s", by="w", id="id", relations=pairs, **FAST)


def test_figures_of_an_ingest_count_relations(table, tmp_path):
    folder = tmp_path / "rows"
    folder.mkdir()
    pq.write_table(table[: 3 * N_ROWS], folder / "0.parquet")
    first = pd.concat([relate("a", "b"), relate("b", "c")], ignore_index=True)
    planned = plan(folder, by="w", id="id", relations=first, **FAST)
    assert [window.n_shared for window in planned.windows] == [0, N_ROWS, N_ROWS]
    run(folder, tmp_path / "s", by="w", id="id", relations=first, relations_only=True, **FAST)
    pq.write_table(table[3 * N_ROWS :], folder / "1.parquet")
    with pytest.raises(DriftmapError, match="no relation is given"):
        ingest(tmp_path / "s", complete=True, scheduler="serial")
    half = relate("c", "d")[: N_ROWS // 2]
    report = ingest(tmp_path / "s", relations=half, complete=True, scheduler="serial")
    newest = report.store.state()[-1]
    assert newest.quality["related"] == 0.5
    assert newest.quality["drift"] < 0.5


def test_ids_of_any_type_are_named_in_a_csv_file(tmp_path):
    ids = [uuid.UUID(int=number << 8) for number in range(2 * N_ROWS)]
    rows = np.tile(np.random.default_rng(0).normal(size=(N_ROWS, 3)), (2, 1))
    source = pd.DataFrame({"w": np.repeat([1, 2], N_ROWS), "id": ids, **dict(zip("xyz", rows.T, strict=True))})
    pairs = pd.DataFrame({"window": 1, "id": ids[:N_ROWS], "other_window": 2, "other_id": ids[N_ROWS:]}, columns=None)
    pairs.to_csv(tmp_path / "r.csv", index=False)
    store = run(source, tmp_path / "s", by="w", id="id", relations=tmp_path / "r.csv", **FAST)
    assert measure_drift(store) < 0.3


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda pairs: pairs.drop(columns="other id"), SourceError, "no column 'other_id'"),
        (lambda pairs: pairs.assign(weight=-1.0), SourceError, "weight -1.0 in row 0"),
        (lambda pairs: pairs.assign(weight="x"), SourceError, "weights cannot be read"),
        (
            lambda pairs: pairs.assign(window="zz"),
            PlanError,
            r"none of 120 pairs relates rows.* run has not: 'zz'; those",
        ),
        (lambda pairs: pairs[:0], SourceError, "has no rows"),
        (lambda pairs: pairs.assign(**{"other window": pairs["window"]}), SourceError, "two rows of window 'a'"),
        (lambda pairs: pd.concat([pairs, pairs[:1]]), DriftmapError, "twice"),
        (lambda pairs: pairs.assign(id=1), SourceError, "are whole numbers, and those of the source text"),
        (lambda pairs: "no-such-file.csv", SourceError, "no such file"),
        (lambda pairs: [{0: 1}], SourceError, "1 for 4 windows"),
        (lambda pairs: {("a", "zz"): {0: 0}}, SourceError, "no window 'zz'"),
        (lambda pairs: 7, SourceError, "relations cannot be read"),
    ],
)
def test_relations_that_cannot_be_used_are_refused(table, change, error, message):
    with pytest.raises(error, match=message):
        plan(table, by="w", id="id", relations=change(relate_all()), **FAST)


def test_relations_that_contradict_ids_are_refused_before_any_work(table, tmp_path):
    same = table.set_column(1, "id", pa.array([row % N_ROWS for row in range(len(table))]))
    pairs = pd.DataFrame({"window": ["a"], "id": [0], "other_window": ["b"], "other_id": [1]})
    with pytest.raises(DriftmapError, match="contradict each other"):
        run(same, tmp_path / "s", by="w", id="id", relations=pairs, **FAST)
    assert not (tmp_path / "s").exists()
