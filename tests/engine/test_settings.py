"""The one table of settings: what it takes and refuses, and that everything made from it agrees with it."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmap.engine import AlignedUMAP, InvalidInputError
from driftmap.engine.estimator.parameters import IDLE_PARAMETERS
from driftmap.engine.settings import (
    DEFAULTS,
    GRAPH_NAMES,
    LAYOUT_NAMES,
    SETTINGS,
    TARGET_NAMES,
    GraphSettings,
    LayoutSettings,
    Setting,
    TargetSettings,
    check_together,
    extend_values,
    pick_value,
)

NUMBERS = [setting for setting in SETTINGS.values() if setting.kind in ("integer", "number")]
WINDOWS = [np.random.default_rng(0).normal(size=(40, 4))] * 3
IDS = [np.arange(40)] * 3


@pytest.mark.parametrize(
    ("names", "settings", "prefix"),
    [(GRAPH_NAMES, GraphSettings, ""), (LAYOUT_NAMES, LayoutSettings, ""), (TARGET_NAMES, TargetSettings, "target_")],
)
def test_the_dataclasses_are_the_table(names, settings, prefix):
    fields = {prefix + field.name: field.default for field in dataclasses.fields(settings)}
    assert list(fields) == list(names)
    assert fields == {name: DEFAULTS[name] for name in names}


def test_the_estimator_has_the_table_s_names_and_defaults():
    found = {name: p.default for name, p in inspect.signature(AlignedUMAP).parameters.items()}
    own = {"init": "previous", "verbose": False, **dict.fromkeys(IDLE_PARAMETERS)}
    assert found == {**DEFAULTS, **own}


def test_the_estimator_s_docstring_gives_the_table_s_defaults():
    text = inspect.getdoc(AlignedUMAP)
    shown = {}
    for names, defaults in re.findall(r"^([\w, ]+) : .*?, default (.+)$", text, re.MULTILINE):
        for number, name in enumerate(names.split(", ")):
            parts = defaults.split(" and ")
            shown[name] = parts[min(number, len(parts) - 1)].strip('"')
    assert {name: shown[name] for name in SETTINGS} == {name: str(value) for name, value in DEFAULTS.items()}
    is_starred = {name: f"{name} " in text for name in SETTINGS}
    assert all(is_starred.values())


def test_every_default_passes_its_own_check():
    for setting in SETTINGS.values():
        if setting.name != "random_state":  # None and generators are read by the estimator itself
            assert setting.check(setting.default) == setting.default
    check_together(DEFAULTS, 3)


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda setting: setting.name)
def test_bounds_are_kept_on_both_sides(setting):
    kind = int if setting.kind == "integer" else float
    assert setting.high < math.inf
    assert setting.check(kind(setting.high)) == setting.high
    beyond = [setting.high * 2 + 1, setting.low - 2] + [setting.low] * setting.is_above
    for value in [kind(v) for v in beyond] + ([] if kind is int else [math.nan, math.inf, -math.inf, 1e308]):
        with pytest.raises(InvalidInputError, match=rf"^{setting.name} must be .*, got "):
            setting.check(value)
    for value in ("2", True, [None], {}):
        with pytest.raises(InvalidInputError, match=rf"^{setting.name}.* must be "):
            setting.check(value)


@pytest.mark.parametrize("value", [np.int64(7), np.int8(7), 7])
def test_numpy_s_integers_become_plain_ones(value):
    assert type(SETTINGS["n_neighbors"].check(value)) is int
    assert type(SETTINGS["spread"].check(value)) is float


def test_a_setting_may_take_words():
    setting = Setting("pull", "number", "auto", "Weight.", 0, 5, words=("auto",))
    assert setting.check_all("auto", 3) == "auto"
    assert setting.check_all(["auto", 1, np.float32(2)], 3) == ("auto", 1.0, 2.0)
    assert pick_value("auto", 2) == "auto"
    with pytest.raises(InvalidInputError, match="pull must be a number or 'auto', got 'often' of type str"):
        setting.check("often")
    choice = Setting("layout", "choice", "carry", "Where.", words=("carry", "exchange"), per_window=False)
    with pytest.raises(InvalidInputError, match="layout must be 'carry' or 'exchange', got 3"):
        choice.check_all(3)


@pytest.mark.parametrize("given", [[1.0, 2.0], (1.0, 2.0), np.array([1.0, 2.0])])
def test_one_value_per_window_is_a_list_a_tuple_or_an_array(given):
    assert SETTINGS["spread"].check_all(given, 2) == (1.0, 2.0)
    for n_windows in (1, 3):
        with pytest.raises(InvalidInputError, match=f"spread has 2 values for {n_windows} windows"):
            SETTINGS["spread"].check_all(given, n_windows)


def test_an_empty_list_and_a_list_for_all_windows_are_refused():
    with pytest.raises(InvalidInputError, match="spread has 0 values for one per window"):
        SETTINGS["spread"].check_all([])
    with pytest.raises(InvalidInputError, match=r"n_components must be one value for all windows, got \[2, 2\]"):
        SETTINGS["n_components"].check_all([2, 2])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"min_dist": 2.0, "spread": 1.0}, "min_dist must be at most spread, got 2 and 1; raise spread"),
        ({"min_dist": (0.1, 3.0), "spread": 1.0}, "got 3 and 1 for window 1"),
        ({"min_dist": 0.5, "spread": (1.0, 0.2)}, "got 0.5 and 0.2 for window 1"),
        ({"a": 1.0, "b": None}, "a and b go together"),
        ({"n_epochs": (10,), "spread": 1.0}, "n_epochs has 1 values for 2 windows"),
        ({"metric": "cosine", "metric_kwds": {"p": 3}}, "'cosine' takes no arguments"),
        ({"metric": ("cosine", "minkowski"), "metric_kwds": (None, {"q": 3})}, "takes the argument p alone"),
        ({"metric": "minkowski", "metric_kwds": {"p": "3"}}, "p must be a number, got '3'"),
        ({"metric": "minkowski", "metric_kwds": {"p": 0}}, "p must be finite and above 0 and at most 100, got 0"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(values, message):
    with pytest.raises(InvalidInputError, match=message):
        check_together(values, 2)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 9))
def test_a_sequence_goes_on_with_its_last_value(values, n_windows):
    extended = extend_values({"n_epochs": values, "spread": 1.0, "init": values}, n_windows, {0: {"spread": 2.0}})
    assert extended["n_epochs"] == tuple([*values, *[values[-1]] * n_windows][:n_windows])
    assert extended["spread"] == (2.0, *[1.0] * (n_windows - 1))
    assert extended["init"] is values
    settings = LayoutSettings(n_epochs=tuple(values))
    assert settings.extend(n_windows).n_epochs == extended["n_epochs"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"random_state": 2**33}, "random_state must be from 0 to 4294967295"),
        ({"n_components": 50}, "n_components must be from 1 to 10"),
        ({"learning_rate": 1e308}, "learning_rate must be finite and above 0 and at most 100"),
        ({"n_epochs": [5] * 4}, "n_epochs has 4 values for 3 windows"),
        ({"metric": "cosine", "metric_kwds": {"w": 1}}, "'cosine' takes no arguments"),
    ],
)
def test_the_estimator_refuses_before_any_work(parameters, message):
    with pytest.raises(InvalidInputError, match=message):
        AlignedUMAP(**parameters).fit(WINDOWS, ids=IDS)


def test_umap_learn_s_further_parameters_are_taken_with_one_warning():
    given = dict.fromkeys(IDLE_PARAMETERS, 1)
    model = AlignedUMAP(random_state=0, n_epochs=5, **given)
    with pytest.warns(UserWarning, match="do nothing in driftmap") as caught:
        found = model.fit(WINDOWS[:2], ids=IDS[:2])
    assert len(caught) == 1
    assert all(name in str(caught[0].message) for name in IDLE_PARAMETERS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = AlignedUMAP(random_state=0, n_epochs=5).fit(WINDOWS[:2], ids=IDS[:2])
    for one, other in zip(found.embeddings_, plain.embeddings_, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_second_positional_argument_of_update_is_the_target_as_in_umap_learn():
    labels = np.arange(40) % 2
    model = AlignedUMAP(random_state=0, n_epochs=5).fit(WINDOWS[:1], [labels])
    by_position = model.update(WINDOWS[1], labels, relations=np.arange(40)).graphs_[1]
    other = AlignedUMAP(random_state=0, n_epochs=5).fit(WINDOWS[:1], [labels])
    by_name = other.update(WINDOWS[1], relations=np.arange(40), y=labels).graphs_[1]
    np.testing.assert_array_equal(by_position.data, by_name.data)
    with pytest.raises(InvalidInputError, match="came without relations"):
        model.update(WINDOWS[2], np.arange(40))
