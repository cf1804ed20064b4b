"""Clusters that are named by the words of their rows."""

from __future__ import annotations

import numpy as np
import pytest
from tests.pipeline.look.planted_reasons import plant_reasons
from tests.pipeline.small_stores import SmallWindow, make_store, read_page_header

from driftmap.pipeline.look.answers import find_answers
from driftmap.pipeline.look.clusters import read_clusters
from driftmap.pipeline.look.page_data import measure_frame
from driftmap.pipeline.look.report import write_report
from driftmap.pipeline.look.run_codes import read_run


@pytest.mark.parametrize("seed", [0, 1])
def test_sentences_name_the_cluster_that_grew_by_its_words(tmp_path, seed):
    planted = plant_reasons(tmp_path / "s", seed)
    run = read_run(planted.store)
    assert run.columns == []  # what is shown is no label
    said = find_answers(planted.store, run, measure_frame(planted.store, run).spread).sentences
    grown = next(one for one in said if one.kind == "growth")
    name = grown.text.removeprefix("Cluster ").split(" grew ")[0]
    assert len(name.split(", ")) == 2
    assert set(name.split(", ")) <= set(planted.words)


def test_the_page_names_clusters_and_what_sentences_light(tmp_path):
    planted = plant_reasons(tmp_path / "s", 0)
    header = read_page_header(write_report(planted.store, tmp_path / "page.html"))
    column = header["columns"][-1]
    text, c, code = next(one[3:6] for one in header["answers"]["all"] if one[2] == "growth")
    assert c == len(header["columns"]) - 1
    assert text.lower().startswith(column["values"][code] + " grew")


def test_names_are_the_same_for_any_order_of_rows_and_differ(tmp_path):
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], 30)
    positions = np.array([[0, 0], [20, 0], [0, 20]])[groups] + rng.normal(size=(90, 2))
    texts = [("blue words", "blue words", "green letters")[g] for g in groups]
    names = []
    for order in (np.arange(90), rng.permutation(90)):
        window = SmallWindow("w", np.arange(90)[order], positions[order], {}, [texts[i] for i in order])
        store = make_store(tmp_path / str(len(names)), [window, window._replace(label="x")])
        names.append(sorted(read_clusters(store, read_run(store)).names.values()))
    assert [name.split(" (")[0] for name in names[0]] == ["blue, words", "blue, words", "green, letters"]
    assert len({*names[0]}) == 3
    assert [name.split(" (")[0] for name in names[1]] == [name.split(" (")[0] for name in names[0]]


def test_without_words_clusters_have_numbers(tmp_path):
    rng = np.random.default_rng(0)
    window = SmallWindow("w", np.arange(40), rng.normal(size=(40, 2)))
    store = make_store(tmp_path / "s", [window, window._replace(label="x")])
    found = read_clusters(store, read_run(store))
    assert found.names == {}
    assert found.name(3) == "cluster 3"
