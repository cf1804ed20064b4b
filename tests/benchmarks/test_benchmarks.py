"""The benchmarks measure what they say, and still fit the engine."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure
from sklearn.manifold import trustworthiness
from tests.benchmarks import bench_lambda, bench_pages, peer
from tests.benchmarks.__main__ import main
from tests.benchmarks.arrangement import ARRANGEMENT, FOLLOWS, Arrangement, rank_correlation
from tests.benchmarks.bench_large import time_rows, time_update
from tests.benchmarks.bench_movement import judge_movement
from tests.benchmarks.bench_pace import PACES, choose, compare_paces, list_losses
from tests.benchmarks.bench_quality import describe_misses, list_missed
from tests.benchmarks.bench_stages import measure_stages
from tests.benchmarks.bench_strength import FREE as NO_PULL
from tests.benchmarks.bench_strength import (
    PEER,
    SHOWN,
    choose_most_kept,
    choose_stillest,
    compare_rules,
    leave_each_out,
    list_failures,
    mean_drift,
)
from tests.benchmarks.data_sets import DataSet, load
from tests.benchmarks.measures import measure
from tests.benchmarks.parts import NAMES, time_parts
from tests.benchmarks.schedule import Costs, forecast, play
from tests.benchmarks.timed_fit import read_windows, save_windows

from driftmap.engine import AlignedUMAP
from driftmap.engine.layout.start import initialise
from driftmap.engine.neighbours import search as knn


@pytest.fixture
def wandering() -> tuple[DataSet, list]:
    """Two groups of rows in three windows, and maps that are the data, moved by (1, 0) from window to window."""
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], 30)
    rows = (rng.normal(size=(60, 2)) + 20 * label[:, None]).astype(np.float32)
    same = np.arange(60, dtype=np.int32)
    data = DataSet("wandering", [rows] * 3, [label] * 3, [same, same])
    return data, [rows + np.array([t, 0], np.float32) for t in range(3)]


def test_figures_of_maps_that_are_the_data(wandering):
    data, maps = wandering
    figures = measure(data, maps)
    spread = np.sqrt(data.windows[0].astype(float).var(axis=0).mean())
    assert figures["trust"] == figures["neighbours"] == figures["across"] == 1.0
    assert figures["drift1"] == pytest.approx(1 / spread, rel=1e-5)
    assert np.isnan(figures["drift5"])
    assert figures["bad_rows"] == 0


def test_rows_without_a_place_are_counted_and_left_out(wandering):
    data, maps = wandering
    maps[1] = maps[1].copy()
    maps[1][7] = np.nan
    shuffled = np.random.default_rng(1).permutation(60)
    maps[2] = maps[2][shuffled]
    figures = measure(data, maps)
    assert figures["bad_rows"] == 1
    assert figures["trust"] == pytest.approx((2 + trustworthiness(data.windows[2], maps[2], n_neighbors=15)) / 3)


def test_digits_are_the_tutorials_slices():
    data = load("digits")
    assert [len(rows) for rows in data.windows] == [400] * 10
    assert data.pairs()[0] == {row: row - 150 for row in range(150, 400)}
    np.testing.assert_array_equal(data.windows[0][150:], data.windows[1][:250])
    cut = data.first(2, 200)
    assert [len(rows) for rows in cut.windows] == [200, 200]
    assert cut.pairs() == [{row: row - 150 for row in range(150, 200)}]


def test_windows_come_back_from_their_file(tmp_path):
    data = load("digits").first(3)
    save_windows(tmp_path / "windows.npz", data.windows, data.relations)
    windows, relations = read_windows(tmp_path / "windows.npz")
    assert relations == data.pairs()
    for read, rows in zip(windows, data.windows, strict=True):
        np.testing.assert_array_equal(read, rows)


def test_every_part_of_a_fit_is_timed():
    data = load("digits").first(2, 250)
    with time_parts() as seconds:
        AlignedUMAP(n_epochs=2, random_state=0).fit(data.windows, relations=data.relations)
    assert list(seconds) == list(NAMES)
    assert all(value > 0 for value in seconds.values())
    assert not any(hasattr(function, "__wrapped__") for function in (knn.build_knn_graph, initialise.spectral_start))


def test_missed_bars_are_named():
    shape = {**dict.fromkeys(ARRANGEMENT, 0.6), FOLLOWS: 0.5}
    theirs = [{"trust": 0.9, "neighbours": 0.5, "drift1": 0.2, "drift5": 0.4, "across": 0.7, **shape}]
    good = {**theirs[0], "trust": 0.8995, "neighbours": 0.6, "drift1": 0.1, FOLLOWS: 0.65, "bad_rows": 0}
    assert list_missed([good], theirs) == []
    assert list_missed([good], []) == []
    assert list_missed([good, {**good, "trust": 0.897}], theirs) == ["trust"]
    assert list_missed([good, {**good, "trust": 0.91}], theirs) == ["spread of trust"]
    worse = {**good, "drift1": 0.21, "bad_rows": 2, "distances": 0.59, FOLLOWS: 0.55}
    assert list_missed([worse], theirs) == ["bad_rows", "distances", FOLLOWS, "drift1"]
    told = describe_misses({"one": {"ours": [worse], "peer": theirs, "missed": ["drift1"]}})
    assert told == (
        "Missed: one (drift1).\nGeometric mean of drift1 against umap-learn's: 1.050 (at most 0.6: MISSED)."
    )


def test_arrangement_of_maps_that_are_the_data():
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(80, 2)).astype(np.float32)]
    rows += [rows[0] + rng.normal(scale=0.4, size=(80, 2)).astype(np.float32) * (np.arange(80) % 3 == 0)[:, None]]
    label, same = np.arange(80) % 5, np.arange(80, dtype=np.int32)
    shape = Arrangement(DataSet("noisy", rows, [label] * 2, [same]))
    found = shape.measure([3 * window + 1 for window in rows])
    assert [found[name] for name in ARRANGEMENT] == pytest.approx([1, 1, 1])
    assert found[FOLLOWS] > 0.5
    shuffled = shape.measure([rng.permutation(window) for window in rows])
    assert all(abs(shuffled[name]) < 0.2 for name in ("distances", FOLLOWS))
    assert abs(shuffled["triplets"] - 0.5) < 0.1
    assert np.isnan(shape.measure([np.full((80, 2), np.nan)] * 2)["triplets"])


def test_rank_correlation_by_hand():
    assert rank_correlation([1, 2, 3, np.nan], [10, 30, 20, 5]) == pytest.approx(0.5)
    assert np.isnan(rank_correlation([1, 1, 1], [1, 2, 3]))


def test_the_curve_of_strengths_marks_both_defaults(tmp_path):
    def draw(values):
        figures = {"trust": 0.9, "neighbours": 0.5}
        return [{"alignment_regularisation": v, "drift1": 0.1 * i, **figures} for i, v in enumerate(values)]

    curves = {"driftmap": draw([0.001, 0.25, "auto"]), peer.NAME: draw([0.01])}
    panel = Figure().subplots()
    for who, curve in curves.items():
        bench_lambda._draw_curve(panel, who, curve)
    assert [list(line.get_xdata()) for line in panel.lines] == [[0.0, 0.1], [0.2], [0.0], [0.0]]
    assert [text.get_text() for text in panel.texts] == ["0.001", "0.25", "auto", "0.01"]
    bench_lambda.draw_curves({"some": curves}, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 5_000
    rows = bench_lambda.format_curves("some", curves).splitlines()[2:]
    assert len(rows) == len(bench_lambda.LAMBDAS) + 1
    assert "auto" in rows[-1]
    assert rows[3].count("0.9000") == 1


def test_cost_of_auto_from_the_command_line(tmp_path):
    out = tmp_path / "figures.json"
    result = CliRunner().invoke(
        main, ["auto-cost", "--data", "digits", "--rounds", "1", "--out", str(out)], catch_exceptions=False
    )
    assert result.exit_code == 0
    assert "CPU s of a fit" in result.output
    found = json.loads(out.read_text())["auto_cost"]["digits"]
    assert [len(taken) for taken in found["seconds"].values()] == [1, 1]
    assert found["ratio"] > 0


def test_movers_are_counted_where_they_lie():
    """Two clusters of 30; of four movers one arrives, one is left at the first cluster, two lie where no one is."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 2)) + 50 * np.repeat([0, 1], 30)[:, None]
    is_mover = np.zeros(60, dtype=bool)
    is_mover[:4] = True
    last = rows + 1
    last[0] = [51, 51]
    last[2:4] = [300, 300]
    label = np.repeat(["a", "b"], 30)
    end = np.where(is_mover, "b", label)
    data = DataSet("two", [rows.astype(np.float32)] * 2, [label, end], [np.arange(60, dtype=np.int32)])
    found = judge_movement(data, [rows, last], is_mover)
    spread = np.sqrt(np.mean([rows.var(axis=0).mean(), last.var(axis=0).mean()]))
    assert (found["movers"], found["wrong"], found["empty"]) == (4, 1, 2)
    assert found["still"] == pytest.approx(np.sqrt(2) / spread)


def test_a_rule_is_chosen_by_the_other_sets():
    """Three rules: the strongest fails on one set alone, the weakest is not still enough."""
    strong, middle, weak = rules = ((0.1, 0.0, 1), (0.05, 0.0, 1), (0.01, 0.0, 1))

    def figures(name, gains, drifts):
        theirs = dict(zip(SHOWN, PEER[name], strict=True))
        return {
            rule: {
                **theirs,
                "trust": theirs["trust"] + gain,
                "neighbours": theirs["neighbours"] + 3 * gain,
                "drift1": theirs["drift1"] * share,
            }
            for rule, gain, share in zip(rules, gains, drifts, strict=True)
        }

    results = {
        "counties": figures("counties", (-0.004, 0.001, 0.002), (0.3, 0.5, 0.8)),
        "gapminder": figures("gapminder", (0.001, 0.002, 0.003), (0.3, 0.5, 0.8)),
        "un_votes": figures("un_votes", (0.001, 0.002, 0.003), (0.3, 0.5, 0.8)),
    }
    assert list_failures("counties", results["counties"][strong]) == ["trust", "neighbours"]
    assert leave_each_out(results, choose_stillest) == {
        "counties": strong,
        "gapminder": middle,
        "un_votes": middle,
        "": middle,
    }
    assert leave_each_out(results, choose_most_kept)["counties"] == middle
    assert mean_drift(results, weak) == pytest.approx(0.8)
    assert choose_most_kept({name: {weak: found[weak]} for name, found in results.items()}) is None


def test_rules_go_on_from_the_figures_that_are_kept(tmp_path):
    kept, rules, told = tmp_path / "figures.jsonl", (NO_PULL, (0.2, 0.0, 1)), []
    first = compare_rules(["digits"], [0], kept=kept, rules=rules, say=told.append)
    assert len(kept.read_text().splitlines()) == 2
    means = first["means"]["digits"]
    assert means["0.2"]["drift1"] < means["0.001"]["drift1"]
    assert "left out" in told[-1]
    lines = kept.read_text().replace('"trust": 0.', '"trust": 0.0')
    kept.write_text(lines)
    again = compare_rules(["digits"], [0], kept=kept, rules=rules, say=told.append)
    assert again["means"]["digits"]["0.2"]["trust"] < 0.1


def test_kept_maps_of_the_peer_are_used_until_something_differs(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    data = load("digits").first(2, 50)
    made = []

    def fit(given, **settings):
        made.append(settings)
        return type("Model", (), {"embeddings_": [rows[:, :2] for rows in given.windows]})

    monkeypatch.setattr(peer, "fit", fit)
    monkeypatch.setattr(peer, "_warm_up", lambda: None)
    first, second = peer.find_maps(data), peer.find_maps(data)
    assert (first.is_kept, second.is_kept) == (False, True)
    np.testing.assert_array_equal(second.maps[1], data.windows[1][:, :2])
    peer.find_maps(data, n_epochs=50)
    peer.find_maps(load("digits").first(2, 51))
    peer.find_maps(data, is_fresh=True)
    assert [settings["n_epochs"] for settings in made] == [200, 50, 200, 200]
    assert len(peer.find_seeds(data, 3, is_only_kept=True)) == 1
    assert [found.is_kept for found in peer.find_seeds(data, 2)] == [True, False]
    assert made[-1]["transform_seed"] == 43
    assert len(peer.find_seeds(data, 3, is_only_kept=True)) == 2


def test_quality_from_the_command_line(tmp_path):
    out = tmp_path / "figures.json"
    options = ["--data", "digits", "--seeds", "0,1", "--no-peer", "--n-epochs", "20", "--out", str(out)]
    result = CliRunner().invoke(main, ["quality", *options], catch_exceptions=False)
    assert result.exit_code == 0
    assert "driftmap" in result.output
    runs = json.loads(out.read_text())["quality"]["digits"]["ours"]
    assert [run["seed"] for run in runs] == [0, 1]
    assert all(0.9 < run["trust"] < 1 for run in runs)


FREE = Costs(read=0, carry=0, first=0, move=0, write=0, hop=0, schedule=0)


def test_a_schedule_is_played_by_hand():
    """Two workers; tasks of 1, 2 and 3 seconds, the last after both others."""
    seconds, needs, places = [1.0, 2.0, 3.0], [(), (), (0, 1)], [0, 1, 0]
    assert play(seconds, needs, places, FREE) == 5
    assert play(seconds, needs, [0, 0, 0], FREE) == 6
    slow = FREE._replace(hop=0.1, schedule=0.5)
    assert play(seconds, needs, places, slow) == pytest.approx(0.5 + 0.5 + 0.1 + 2 + 0.5 + 0.1 + 3)


@pytest.mark.parametrize("n_workers", [1, 4, 50, 500])
def test_no_forecast_beats_its_bound(n_workers):
    costs = Costs(read=0.04, carry=0.02, first=0.4, move=0.49, write=0.01, hop=0.002, schedule=0.0005)
    played = forecast(200, n_workers, 40, costs)
    assert played.work_seconds == pytest.approx(200 * 0.54 + 199 * 0.02 + 0.4)
    assert played.carry_seconds == pytest.approx(199 * 0.02 + 0.4)
    assert played.bound_seconds <= played.seconds < 1.3 * played.bound_seconds


def test_exchanges_from_the_command_line(tmp_path):
    out = tmp_path / "figures.json"
    options = ["--data", "digits", "--seeds", "0", "--exchanges", "2,40", "--windows", "0", "--out", str(out)]
    result = CliRunner().invoke(main, ["exchange", *options], catch_exceptions=False)
    assert result.exit_code == 0
    assert "blocks of 4" in result.output
    found = json.loads(out.read_text())["exchange"]["quality"]["digits"]
    assert list(found) == ["joint", "2", "40"]
    assert found["40"][0]["drift1"] < 1.5 * found["joint"][0]["drift1"]


def test_pages_are_weighed(tmp_path, monkeypatch):
    monkeypatch.setattr(bench_pages, "SIZES", {"small": (3, 300, 1.0), "too large": (2, 300, 0.01)})
    out = tmp_path / "figures.json"
    result = CliRunner().invoke(main, ["pages", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "under 1.0 MB, all rows" in result.output
    assert "OVER 0.01 MB" in result.output
    found = json.loads(out.read_text())["pages"]
    assert 0.05 < found["small"]["megabytes"] < 0.5


def make_paced(trust: float, cpu: float, drift: float = 0.1) -> dict[str, float]:
    """Figures that meet all bars on Gapminder's countries."""
    return {"trust": trust, "neighbours": 0.55, "drift1": drift, "drift5": 0.2, "across": 0.75, "cpu": cpu}


def test_the_cheapest_pace_is_chosen_that_loses_little():
    found = [make_paced(0.91, 1.0), make_paced(0.91, 0.5), make_paced(0.908, 0.2), make_paced(0.9099, 0.4, drift=0.5)]
    assert list_losses("gapminder", found, 2) == ["trust"]
    assert list_losses("gapminder", found, 3) == ["drift1"]
    assert choose({"gapminder": found}) == 1
    assert choose({"gapminder": found[:1]}) == 0
    assert choose({}) is None


def test_paces_are_measured_on_a_set(wandering, monkeypatch):
    data, _ = wandering
    monkeypatch.setattr("tests.benchmarks.bench_pace.load", lambda _: data)
    said: list[str] = []
    results = compare_paces(["wandering"], [0], paces=PACES[:2], say=said.append)
    (found,) = results["means"].values()
    assert len(found) == 2
    assert all(0 < means["trust"] <= 1 and means["cpu"] > 0 for means in found)
    assert found[0] != found[1]
    assert "(default)" in said[0]


def test_the_memory_of_stages_is_beside_what_is_estimated():
    said: list[str] = []
    found = measure_stages([3_000], said.append)
    assert [*found] == ["start 3000", "clusters 3000"]
    assert all(0 <= one["bytes"] < 10**9 and one["cpu_seconds"] > 0 for one in found.values())
    assert "at most, as estimated" in said[0]


def test_the_time_of_a_row_is_that_of_its_size():
    said: list[str] = []
    found = time_rows([200, 400], said.append)
    assert [*found] == [200, 400]
    assert all(1 < ns < 100_000 for ns in found.values())
    assert "1.00x" in said[0]


def test_an_update_is_timed_beside_a_fit():
    said: list[str] = []
    found = time_update(300, said.append)
    assert found["fit"] > 0
    assert found["update"] > 0
    assert f"{2 * found['update'] / found['fit']:.2f}x" in said[0]
