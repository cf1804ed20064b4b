"""The benchmarks of the repulsion and of single large windows choose and measure what they say."""

from __future__ import annotations

import numpy as np
import pytest
from tests.benchmarks.bench_pace import list_losses
from tests.benchmarks.bench_repulsion import DEFAULT, PLAIN, Rule, choose, compare_repulsion
from tests.benchmarks.bench_strength import PEER, SHOWN
from tests.benchmarks.bench_windows import compare_windows, measure_map
from tests.benchmarks.data_sets import load

from driftmap.engine import pick_repulsion


def test_the_default_rule_is_the_engines():
    assert [DEFAULT.weigh(n) for n in (150, 450, 10_000)] == pytest.approx(
        list(map(pick_repulsion, (150, 450, 10_000)))
    )
    assert (PLAIN.weigh(10_000), Rule(100, 0.5, 4).weigh(900), str(PLAIN)) == (1, 3, "1")


def test_the_rule_is_chosen_that_keeps_the_most_and_loses_little():
    theirs = dict(zip(SHOWN, PEER["un_votes"], strict=True))

    def figures(gain, neighbours):
        return {**theirs, "trust": theirs["trust"] + gain, "neighbours": theirs["neighbours"] + neighbours}

    found = [figures(0.004, 0.01), figures(0.006, 0.01), figures(0.005, 0.012), figures(0.02, 0.005)]
    assert list_losses("un_votes", found, 3) == ["neighbours"]
    assert choose({"un_votes": found}) == 1
    assert choose({}) is None


def test_rules_are_measured_on_a_set(monkeypatch):
    monkeypatch.setattr("tests.benchmarks.bench_repulsion.load", lambda name: load(name).first(2, 250))
    said: list[str] = []
    found = compare_repulsion(["digits"], [0], rules=(PLAIN, DEFAULT, Rule(1, 0, 3)), say=said.append)
    plain, own, strong = found["means"]["digits"].values()
    assert plain != own != strong
    assert all(0.9 < means["trust"] < 1 for means in (plain, own, strong))
    assert "(auto)" in said[0]
    assert "none: all choose" in said[-1]


def test_a_map_that_is_the_data_keeps_all_of_it():
    rows = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    kept = measure_map(rows, lambda: 2 * rows)
    assert [kept[name] for name in ("trust", "neighbours", "distances")] == pytest.approx([1, 1, 1])
    lost = measure_map(rows, rows[::-1].copy)
    assert lost["neighbours"] < 0.2
    assert abs(lost["distances"]) < 0.1


@pytest.mark.slow
def test_windows_are_measured_beside_umap_learn():
    said: list[str] = []
    ours, theirs = compare_windows(["300x8"], [0, 1], say=said.append)["300x8"].values()
    assert (len(ours), len(theirs)) == (2, 1)
    assert all(0.5 < run["trust"] < 1 and run["cpu_seconds"] > 0 for run in (*ours, *theirs))
    assert "300x8: 300 rows" in said[0]
    assert "umap-learn" in said[0]
