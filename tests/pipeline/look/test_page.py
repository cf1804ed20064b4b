"""The page of a store: its data, what it says of changes, and that it is inert; `test_page_browser` opens it."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from tests.pipeline.small_stores import N_NEIGHBORS, SmallWindow, make_store

from driftmap.engine.relations.relations import relate_ids
from driftmap.pipeline.look.changes import BIN_EDGES, measure_changes
from driftmap.pipeline.look.page_codec import StreamWriter, decode_page
from driftmap.pipeline.look.page_data import measure_frame, read_page
from driftmap.pipeline.look.quality import measure_windows
from driftmap.pipeline.look.report import write_report
from driftmap.pipeline.look.run_codes import encode_column, number_values, read_run

N_ROWS = 40
EVIL = "<script>document.title='owned'</script><!-- & \u2028 ]]>"


@pytest.fixture
def parts():
    """Three windows whose ids move on by ten rows each; the map is the data itself, moved by .1 a window."""
    places = np.random.default_rng(0).normal(size=(N_ROWS + 20, 2))
    ids = [np.array([f"row {i}" for i in range(10 * t, 10 * t + N_ROWS)]) for t in range(3)]
    ids = [np.where(one == "row 25", EVIL, one) for one in ids]
    kinds = [np.array(["even", "odd"] * (N_ROWS // 2)) for _ in range(3)]
    kinds[1] = np.where(np.arange(N_ROWS) == 3, EVIL, kinds[1])
    return [
        SmallWindow(
            label,
            ids[t],
            places[10 * t : 10 * t + N_ROWS] + 0.1 * t,
            {"kind": kinds[t], "weight": np.linspace(0, 1, N_ROWS) + t},
        )
        for t, label in enumerate(("a", "<b>", "c"))
    ]


@pytest.fixture
def store(tmp_path, parts):
    return make_store(tmp_path / "run.zarr", parts, config={"graph": {"n_neighbors": N_NEIGHBORS, "metric": "cosine"}})


def read_back(store, **options):
    return decode_page(read_page(store, measure_windows(store), **options).text)


def follow_streams(header, streams):
    """Per window: entities, then places and codes as the page adds them up."""
    last = np.zeros((2 + len(header["columns"]), len(header["entities"])), dtype=np.int64)
    for window in header["windows"]:
        entities = np.cumsum(streams[window["entities"]]) - 1
        last[:, entities] += np.vstack([streams[k] for k in (window["x"], window["y"], *window["columns"])])
        yield entities, last[:, entities].copy()


@pytest.mark.parametrize(
    "values",
    [[], [0], [-1, 1, -128, 127], [300, -70_000, 8_000_000], np.random.default_rng(0).integers(-(2**30), 2**30, 999)],
)
def test_streams_come_back(values):
    writer = StreamWriter()
    numbers = [writer.add([5]), writer.add(values), writer.add([-6])]
    header, streams = decode_page(writer.close({"name": EVIL}))
    assert numbers == [0, 1, 2]
    assert header["name"] == EVIL
    np.testing.assert_array_equal(streams[1], np.asarray(values, dtype=np.int64))
    assert streams[2].tolist() == [-6]


def test_page_data_gives_every_row_its_place_and_label(store, parts):
    header, streams = read_back(store)
    assert sorted(header["entities"]) == sorted({name for part in parts for name in part.ids.tolist()})
    everything = np.concatenate([part.positions for part in parts])
    centre, half = (everything.min(axis=0) + everything.max(axis=0)) / 2, np.ptp(everything, axis=0).max() / 2
    kind, weight, cluster = header["columns"]
    for part, (entities, now) in zip(parts, follow_streams(header, streams), strict=True):
        rows = {name: row for row, name in enumerate(part.ids.tolist())}
        order = [rows[header["entities"][entity]] for entity in entities]
        assert sorted(order) == list(range(N_ROWS))
        shown = now[:2].T / header["steps"] * half + centre
        np.testing.assert_allclose(shown, part.positions[order], atol=half / header["steps"])
        assert [kind["values"][code] for code in now[2]] == part.columns["kind"][order].tolist()
        np.testing.assert_allclose(
            weight["low"] + now[3] * weight["step"], part.columns["weight"][order], atol=weight["step"]
        )
    assert cluster["name"] == "cluster"
    assert (weight["low"], weight["low"] + weight["step"] * 65_534) == (0, pytest.approx(3))


def test_rows_without_a_place_are_left_out(store, monkeypatch):
    whole = store.positions
    broken = whole(0).copy()
    broken[7] = np.nan
    monkeypatch.setattr(store, "positions", lambda index: broken if index == 0 else whole(index))
    header, streams = read_back(store)
    first = [header["entities"][entity] for entity, *_ in zip(np.cumsum(streams[header["windows"][0]["entities"]]) - 1)]
    assert len(first) == N_ROWS - 1
    assert "row 7" not in first
    assert header["windows"][0]["n_rows"] == N_ROWS


def test_a_large_run_is_a_sample_of_entities_that_keeps_rare_labels_and_counts_all_rows(tmp_path):
    rng = np.random.default_rng(0)
    ids = np.array([f"id {i}" for i in range(3000)])
    kinds = np.where(np.arange(3000) < 30, "rare", "common")
    parts = [SmallWindow(str(t), ids, rng.normal(size=(3000, 2)), {"kind": kinds}) for t in range(2)]
    store = make_store(tmp_path / "run.zarr", parts)
    page = read_page(store, measure_windows(store), max_rows=1000)
    header, streams = decode_page(page.text)
    assert page.is_sample
    assert page.n_rows == 6000
    assert 800 < page.n_drawn < 1200
    shown = [{header["entities"][entity] for entity in entities} for entities, _ in follow_streams(header, streams)]
    assert shown[0] == shown[1] == set(header["entities"])
    assert len(shown[0] & set(ids[:30].tolist())) >= 20
    assert header["n_entities"] == 3000
    for window in header["windows"]:
        assert streams[window["density"]].sum() == 3000
        assert all(0 <= entity < len(header["entities"]) for entity, _, _ in window["movers"])
    small = read_page(store, measure_windows(store), max_bytes=20_000)
    assert len(small.text) <= 20_000
    assert small.is_sample
    assert not read_page(store, measure_windows(store)).is_sample


@pytest.mark.parametrize(("n", "per_row"), [(20_000, 10.0), (50_000, 8.0)])
def test_pages_are_small(tmp_path, n, per_row):
    rng = np.random.default_rng(0)
    ids, places = np.arange(10**6, 10**6 + n), 5 * rng.normal(size=(n, 2))
    kinds = rng.integers(0, 20, n)
    parts = []
    for t in range(4):
        places = places + 0.5 * rng.normal(size=(n, 2))
        parts.append(SmallWindow(str(t), ids, places, {"kind": np.where(rng.random(n) < 0.02, 3, kinds)}))
    store = make_store(tmp_path / "run.zarr", parts)
    assert len(read_page(store, measure_windows(store)).text) < per_row * 4 * n


@pytest.mark.parametrize("n_components", [1, 3])
def test_three_components_and_one_are_shown_as_a_plane(tmp_path, parts, n_components):
    rng = np.random.default_rng(0)
    parts = [part._replace(positions=rng.normal(size=(N_ROWS, n_components))) for part in parts]
    store = make_store(tmp_path / "plane.zarr", parts)
    page = read_page(store, measure_windows(store))
    assert page.n_components == n_components
    _, now = next(follow_streams(*decode_page(page.text)))
    assert (np.ptp(now[1]) > 0) == (n_components == 3)


def test_many_categories_are_ordered_by_how_frequent_they_are():
    kinds = np.array([f"k{i:02d}" for i in range(20)] + ["k19"] * 12 + ["k07"] * 8)
    column = encode_column("kind", [kinds])
    assert column.values[:2] == ["k19", "k07"]
    assert [column.values[code] for code in column.codes[0]] == kinds.tolist()


def test_kinds_of_columns():
    few, many = np.arange(5), np.arange(30)
    assert encode_column("few", [few[::-1]]).values == ["0", "1", "2", "3", "4"]
    assert encode_column("many", [many + 7])[1:2] + encode_column("many", [many + 7])[4:] == ("number", 7.0, 1.0)
    half = encode_column("half", [np.array([0.5, np.nan, 1.5]), np.array([2])])
    assert half.codes[0][1] == -1
    np.testing.assert_allclose(half.low + half.step * half.codes[1], [2])
    assert encode_column("nothing", [np.array([np.nan])]).codes[0].tolist() == [-1]
    assert encode_column("flag", [np.array([True, False])]).values == ["False", "True"]


def test_ids_meet_across_windows_whatever_their_bytes():
    values, codes = number_values([np.array([b"a\xff", b"b"]), np.array(["b", "c"])])
    assert values.tolist() == ["a\\xff", "b", "c"]
    assert [code.tolist() for code in codes] == [[0, 1], [1, 2]]


def test_changes_are_those_of_the_rows(store, parts):
    run = read_run(store)
    spread = measure_frame(store, run).spread
    first, second, _ = measure_changes(store, run, spread)
    assert (sum(first.histogram), first.movers, first.drift) == (0, [], {})
    relation = relate_ids(parts[0].ids, parts[1].ids)
    old = np.flatnonzero(relation >= 0)
    way = np.linalg.norm(parts[1].positions[relation[old]] - parts[0].positions[old], axis=1) / spread
    assert sum(second.histogram) == len(old) == 30
    assert second.histogram[np.searchsorted(BIN_EDGES, way[0])] == 30  # all moved by the same
    for entity, distance, own in second.movers:
        assert run.names[entity] in parts[1].ids
        assert distance == pytest.approx(way[0], rel=1e-5)
        assert own <= distance + 1e-9
    evil, even, odd = second.drift[0]
    assert even == pytest.approx(way[0], rel=1e-5)
    assert odd == pytest.approx(way[0], rel=1e-5)
    assert evil == pytest.approx(way[0], rel=1e-5)
    assert [(event.kind, run.columns[0].values[event.label]) for event in second.events] == [("birth", EVIL)]


def two_heaps(gap: float, n: int = 60) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.uniform(-0.5, 0.5, size=(n, 2)) + np.where(np.arange(n) % 2, gap, -gap)[:, None]


def test_labels_appear_split_merge_turn_and_go(tmp_path):
    ids = np.arange(60)
    a, b = np.repeat("a", 60), np.where(np.arange(60) < 20, "b", "a")
    gone = np.where(np.arange(60) < 20, "c", "a")
    labels, gaps = [a, a, a, b, gone], [0, 3, 0, 0, 0]
    parts = [
        SmallWindow(str(t), ids, two_heaps(gap), {"kind": kinds})
        for t, (kinds, gap) in enumerate(zip(labels, gaps, strict=True))
    ]
    store = make_store(tmp_path / "run.zarr", parts)
    run = read_run(store)
    values = run.columns[0].values
    events = [
        [(e.kind, values[e.label], e.n_rows, e.other) for e in change.events]
        for change in measure_changes(store, run, 1.0)
    ]
    assert events[0] == []
    assert events[1] == [("split", "a", 60, 2)]
    assert events[2] == [("merge", "a", 60, 2)]
    assert events[3] == [("birth", "b", 20, -1), ("turn", "a", 20, values.index("b"))]
    assert events[4] == [("birth", "c", 20, -1), ("death", "b", 20, -1), ("turn", "b", 20, values.index("c"))]


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
    assert set(re.findall(r"https?://[^\"' ]+", text)) <= {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert not [name for _, a in page.tags for name in a if name.startswith("on") or name == "style"]
    decode_page(data)


def test_ids_labels_and_titles_are_data(page_path):
    page = Page(page_path.read_text(encoding="utf-8"))
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert page.text["title"] == [f"Run {EVIL} · driftmap"]
    assert "<b>" in page.text["th"]
    header, _ = decode_page(page.text["script"][0])
    assert EVIL in header["entities"]
    assert EVIL in header["columns"][0]["values"]


def test_a_page_that_is_there_is_replaced_and_the_same_store_gives_the_same_page(store, page_path):
    before = page_path.read_bytes()
    page_path.write_text("old", encoding="utf-8")
    assert write_report(store, page_path, title=f"Run {EVIL}") == page_path
    assert page_path.read_bytes() == before
