"""What is read from a store to be looked at: the figures of each window, and the page."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from driftmap.engine.types import FuzzyGraph, KnnGraph, WindowGraph
from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.look.page_data import MISSING, encode_maps, read_maps
from driftmap.pipeline.look.quality import measure_windows
from driftmap.pipeline.look.report import embed_json, write_report
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.attempts import write_graph, write_positions

N_ROWS = 40
N_NEIGHBORS = 5
EVIL = "<script>document.title='owned'</script><!-- & \u2028 ]]>"


def nearest(rows: np.ndarray) -> KnnGraph:
    distances = np.linalg.norm(rows[:, None] - rows[None], axis=-1)
    order = np.argsort(distances, axis=1, kind="stable")[:, :N_NEIGHBORS]
    return KnnGraph(order.astype(np.int32), np.take_along_axis(distances, order, axis=1).astype(np.float32))


def add_window(store: Store, index: int, ids: np.ndarray, positions: np.ndarray, labels: dict) -> None:
    attempt = store.new_attempt(index)
    no_edges = FuzzyGraph(np.zeros(len(ids) + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    n_bytes = write_graph(attempt, ids, labels, WindowGraph(nearest(positions), no_edges))
    store.commit_graph(
        {
            "index": index,
            "label": attempt.label,
            "attempt": attempt.name,
            "n_rows": len(ids),
            "n_edges": 0,
            "has_ids": True,
            "label_columns": list(labels),
            "seconds": 0.1,
            "bytes": n_bytes,
        }
    )


def add_maps(store: Store, maps: list[np.ndarray]) -> None:
    for index, positions in enumerate(maps):
        write_positions(store.new_attempt(index, "one"), positions.astype(np.float32))
    last = len(maps) - 1
    store.commit_layout({"block": 0, "attempt": "one", "final": [*range(last)], "provisional": [last], "seconds": 1.0})


@pytest.fixture
def parts():
    """Three windows whose ids move on by ten rows each; the map is the data itself, moved by .1 a window."""
    rng = np.random.default_rng(0)
    places = rng.normal(size=(N_ROWS + 20, 2))
    ids = [np.array([f"row {i}" for i in range(10 * t, 10 * t + N_ROWS)]) for t in range(3)]
    ids = [np.where(one == "row 25", EVIL, one) for one in ids]
    maps = [places[10 * t : 10 * t + N_ROWS] + 0.1 * t for t in range(3)]
    labels = [
        {"kind": np.array(["even", "odd"] * (N_ROWS // 2)), "weight": np.linspace(0, 1, N_ROWS) + t} for t in range(3)
    ]
    labels[1]["kind"] = np.where(np.arange(N_ROWS) == 3, EVIL, labels[1]["kind"])
    return ids, maps, labels


@pytest.fixture
def store(tmp_path, parts):
    windows = [
        {"label": label, "n_rows": N_ROWS, "start": None, "end": None, "digest": "d"} for label in ("a", "<b>", "c")
    ]
    config = {"graph": {"n_neighbors": N_NEIGHBORS, "metric": "cosine"}}
    store = Store.create(tmp_path / "run.zarr", config=config, windows=windows, fingerprint={})
    ids, maps, labels = parts
    for index in range(3):
        add_window(store, index, ids[index], maps[index], labels[index])
    add_maps(store, maps)
    return store


def decode(text: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=dtype)


def test_quality_of_maps_that_keep_everything(store):
    first, *later = measure_windows(store)
    assert (first.label, first.n_rows, first.status) == ("a", N_ROWS, "final")
    assert first.neighbours == 1
    assert first.drift is None
    assert first.related is None
    for row in later:
        assert row.neighbours == 1
        assert row.related == 0.75
        assert 0 < row.drift < 0.5
    assert later[-1].status == "provisional"


def test_quality_counts_a_map_that_keeps_nothing_as_low(store, parts):
    ids, _, labels = parts
    rng = np.random.default_rng(1)
    other = Store.create(
        store.path.with_name("shuffled.zarr"),
        config={},
        windows=[{"label": "a", "n_rows": N_ROWS, "start": None, "end": None, "digest": "d"}] * 2,
        fingerprint={},
    )
    for index in range(2):
        add_window(other, index, ids[index], rng.normal(size=(N_ROWS, 2)), labels[index])
    add_maps(other, [rng.normal(size=(N_ROWS, 2)) for _ in range(2)])
    rows = measure_windows(other)
    assert all(row.neighbours < 0.4 for row in rows)
    assert rows[1].drift > 1


def test_windows_without_a_map_are_listed_without_figures(tmp_path, parts):
    windows = [{"label": "a", "n_rows": N_ROWS, "start": None, "end": None, "digest": "d"}]
    store = Store.create(tmp_path / "new.zarr", config={}, windows=windows, fingerprint={})
    (row,) = measure_windows(store)
    assert (row.status, row.neighbours, row.related, row.drift) == ("planned", None, None, None)
    with pytest.raises(StoreError, match="has a map yet"):
        write_report(store, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_page_data_gives_every_row_its_place_and_label(store, parts):
    ids, maps, labels = parts
    data = json.loads(json.dumps(encode_maps(read_maps(store, max_rows=10**6))))
    assert sorted(data["entities"]) == sorted(set(np.concatenate(ids).tolist()))
    everything = np.concatenate(maps)
    centre = (everything.min(axis=0) + everything.max(axis=0)) / 2
    half = np.ptp(everything, axis=0).max() / 2
    for window, window_ids, places, columns in zip(data["windows"], ids, maps, labels, strict=True):
        entities = decode(window["entities"], "<i4")
        assert (np.diff(entities) > 0).all()
        rows = {name: row for row, name in enumerate(window_ids.tolist())}
        order = [rows[data["entities"][entity]] for entity in entities]
        shown = decode(window["positions"], "<i2").reshape(-1, 2) / 32767 * half + centre
        np.testing.assert_allclose(shown, places[order], atol=half / 32767)
        kinds = [data["columns"][0]["values"][code] for code in decode(window["columns"][0], "<i4")]
        assert kinds == columns["kind"][order].tolist()
        np.testing.assert_allclose(decode(window["columns"][1], "<f4"), columns["weight"][order], rtol=1e-6)
    assert data["columns"][1]["kind"] == "number"
    assert (data["columns"][1]["min"], data["columns"][1]["max"]) == (0, 3)


def test_rows_without_a_place_are_marked(store, parts):
    windows = read_maps(store, max_rows=10**6)
    broken = windows[0].places.copy()
    broken[7] = np.nan
    data = encode_maps([windows[0]._replace(places=broken), *windows[1:]])
    shown = decode(data["windows"][0]["positions"], "<i2").reshape(-1, 2)
    assert (shown == MISSING).all(axis=1).sum() == 1
    assert data["entities"][decode(data["windows"][0]["entities"], "<i4")[(shown == MISSING)[:, 0]][0]] == "row 7"


def test_large_runs_show_the_same_entities_in_every_window(store, parts):
    ids, _, _ = parts
    shown = [set(one.ids.tolist()) for one in read_maps(store, max_rows=60)]
    assert 20 < sum(map(len, shown)) < 100
    everywhere = set.union(*shown)
    for window_ids, window_shown in zip(ids, shown, strict=True):
        assert window_shown == everywhere & set(window_ids.tolist())


def test_three_components_and_one_are_shown_as_a_plane(store):
    windows = read_maps(store, max_rows=10**6)
    for n_components in (1, 3):
        places = [np.random.default_rng(0).normal(size=(N_ROWS, n_components)) for _ in windows]
        data = encode_maps([w._replace(places=p.astype(np.float32)) for w, p in zip(windows, places, strict=True)])
        assert len(decode(data["windows"][0]["positions"], "<i2")) == 2 * N_ROWS


def test_many_categories_are_ordered_by_how_frequent_they_are(store):
    window = read_maps(store, max_rows=10**6)[0]
    kinds = np.array([f"k{i:02d}" for i in range(20)] + ["k19"] * 12 + ["k07"] * 8)
    data = encode_maps([window._replace(columns={"kind": kinds})])
    assert data["columns"][0]["values"][:3] == ["k19", "k07", "k00"]


class Page(HTMLParser):
    """Elements and scripts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text: dict[str, list[str]] = {"script": [], "style": [], "th": [], "title": []}
        self._open: str | None = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_endtag(self, tag):
        self._open = None

    def handle_data(self, data):
        if self._open in self.text:
            self.text[self._open].append(data)


@pytest.fixture
def page_path(store, tmp_path):
    return write_report(store, tmp_path / "deep" / "page.html", title=f"Run {EVIL}")


def test_page_needs_no_network_and_runs_only_its_own_script(page_path):
    text = page_path.read_text(encoding="utf-8")
    page = Page(text)
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    data, script = page.text["script"]
    for kind, body in (("script", script), ("style", page.text["style"][0])):
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert not [a for _, a in page.tags if "src" in a or "href" in a]
    assert not re.search(r"https?://", text)
    assert not [name for _, a in page.tags for name in a if name.startswith("on") or name == "style"]
    json.loads(data)


def test_ids_labels_and_titles_are_data(page_path):
    page = Page(page_path.read_text(encoding="utf-8"))
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert page.text["title"] == [f"Run {EVIL} · driftmap"]
    assert "<b>" in page.text["th"]
    assert EVIL in json.loads(page.text["script"][0])["entities"]


@pytest.mark.parametrize("text", [EVIL, "</script>", "<!--<script>", "\u2028\u2029", "\ud800", "é🙂"])
def test_embedded_json_is_inert_and_comes_back(text):
    embedded = embed_json({"x": text})
    assert not re.search(r"[<>&\u2028\u2029]", embedded)
    assert json.loads(embedded) == {"x": text}


def test_a_page_that_is_there_is_replaced_and_the_same_store_gives_the_same_page(store, page_path):
    before = page_path.read_bytes()
    page_path.write_text("old", encoding="utf-8")
    assert write_report(store, page_path, title=f"Run {EVIL}") == page_path
    assert page_path.read_bytes() == before


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_page_draws_in_a_browser_and_obeys_its_own_policy(page_path, tmp_path):
    flags = ["headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking"]
    flags += ["disable-component-update", "disable-sync", "enable-logging=stderr", "virtual-time-budget=3000"]
    command = ["chromium", *(f"--{flag}" for flag in flags), f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    done = subprocess.run([*command, page_path.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    page = Page(done.stdout)
    assert "CONSOLE" not in done.stderr
    root = next(a for tag, a in page.tags if tag == "html")
    assert root["data-ready"] == "3"
    cells = [a for tag, a in page.tags if a.get("class") == "cell"]
    assert [a["aria-current"] for a in cells] == ["true", "false", "false"]
    assert len([a for _, a in page.tags if a.get("class") == "chip"]) == 3
    assert page.text["title"] == [f"Run {EVIL} · driftmap"]


# How the three dichromacies see linear RGB: Machado, Oliveira, Fernandes 2009, severity 1.
DICHROMACIES = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def to_oklab(linear: np.ndarray) -> np.ndarray:
    cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.cbrt(np.clip(linear, 0, 1) @ np.transpose(cones)) @ np.transpose(lab)


@pytest.mark.parametrize("vision", ["full", *DICHROMACIES])
def test_palette(page_path, vision):
    script = page_path.read_text(encoding="utf-8")
    colours = re.findall(r'"#(\w{6})"', re.search(r"const PALETTE = (\[.*?\]);", script)[1])
    assert len(colours) == 10
    rgb = np.array([[int(colour[i : i + 2], 16) for i in (0, 2, 4)] for colour in colours]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = to_oklab(linear if vision == "full" else linear @ np.transpose(DICHROMACIES[vision]))
    distances = np.linalg.norm(seen[:, None] - seen[None], axis=-1)[~np.eye(10, dtype=bool)]
    assert distances.min() > 0.1
