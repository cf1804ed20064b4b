"""The configuration of a run: what is accepted, what is refused and how, and what stores keep of it."""

from __future__ import annotations

import dataclasses
import json
import pickle
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from driftmap.engine.settings import GraphSettings, LayoutSettings, TargetSettings
from driftmap.pipeline.config.keywords import SettingKeywords
from driftmap.pipeline.config.models import validate
from driftmap.pipeline.config.run_config import (
    OPTION_NAMES,
    GraphConfig,
    LayoutConfig,
    RunConfig,
    TargetConfig,
    differences,
)
from driftmap.pipeline.config.run_settings import LAYOUT_ONLY, RUN_SETTINGS
from driftmap.pipeline.config.source_spec import SourceSpec
from driftmap.pipeline.config.times.durations import Duration, parse_duration
from driftmap.pipeline.config.times.time_spans import count_steps, floor_to_border, shift_times
from driftmap.pipeline.config.window_rule import WindowRule
from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.ingestion.options import IngestOptions

SPEC = SourceSpec(path="/data/posts.parquet", format="parquet", time="date", id="user", label=("topic",))


def make(**options):
    return RunConfig.from_options(SPEC, **{"window": "30D", "stride": "7D", **options})


def test_defaults_are_the_engines():
    config = make()
    assert config.graph_settings() == GraphSettings()
    assert config.layout_settings() == LayoutSettings()


def test_every_setting_of_the_engine_is_an_option():
    for model, settings in ((GraphConfig, GraphSettings), (LayoutConfig, LayoutSettings)):
        names = [name for name in model.model_fields if name != "layout"]  # where blocks are laid out: the pipeline's
        assert names == [field.name for field in dataclasses.fields(settings)]
        assert set(model.model_fields) <= set(OPTION_NAMES)
    targets = [f"target_{field.name}" for field in dataclasses.fields(TargetSettings)]
    assert [*TargetConfig.model_fields] == targets


def test_a_layout_of_another_kind_is_refused_and_an_old_store_has_none():
    with pytest.raises(ConfigError, match="layout must be 'auto' or 'carry' or 'exchange', got 'parallel'"):
        make(layout="parallel")
    saved = make().to_json()
    del saved["layout"]["layout"]
    assert RunConfig.from_json(saved) == make(layout="carry")
    assert differences(RunConfig.from_json(saved), make(layout="exchange")) == {
        "layout": "layout: store has 'carry', now 'exchange'"
    }


@pytest.mark.parametrize("layout", ["carry", "exchange"])
def test_a_run_that_leaves_the_layout_open_goes_on_with_the_one_of_the_store(layout):
    stored = make(layout=layout)
    assert make().layout.layout == "auto"
    assert differences(stored, make()) == {}
    assert stored.take_layout(make(n_epochs=7)).layout == make(layout=layout, n_epochs=7).layout


def test_options_reach_the_settings_they_name():
    config = make(n_neighbors=7, metric="cosine", min_dist=0.3, n_epochs=50, lookahead=1, random_state=5)
    assert config.graph_settings() == GraphSettings(n_neighbors=7, metric="cosine")
    assert config.layout_settings() == LayoutSettings(min_dist=0.3, n_epochs=50)
    assert (config.lookahead, config.random_state, config.windows.window) == (1, 5, "30D")


def test_numpy_scalars_arrays_and_one_value_per_window_are_accepted():
    config = make(n_neighbors=np.int64(9), learning_rate=np.array([1.0, 0.5]), min_dist=[0.1, np.float64(0.2)])
    assert config.graph_settings().n_neighbors == 9
    assert config.layout_settings().learning_rate == (1.0, 0.5)
    assert config.layout_settings().min_dist == (0.1, 0.2)


def test_none_counts_as_not_given():
    assert make(n_epochs=None, block_windows=None, by=None) == make()


def test_what_the_source_says_of_its_columns_holds():
    spec = SPEC.model_copy(update={"by": "year"})
    config = RunConfig.from_options(spec, by="year", label="topic", id="user")
    assert config.source is spec
    assert config.windows.by == "year"


def test_a_source_that_came_cut_into_windows_needs_no_rule():
    assert RunConfig.from_options(SPEC.model_copy(update={"by": "window"})).windows.by == "window"
    by_rows = RunConfig.from_options(SPEC.model_copy(update={"by": "window"}), rows=100)
    assert (by_rows.windows.by, by_rows.windows.rows) == (None, 100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_neighbors": 1}, "n_neighbors must be from 2 to 100000, got 1"),
        ({"n_neighbors": "few"}, "n_neighbors must be an integer, got 'few' of type str"),
        ({"n_neighbors": 5.5}, "n_neighbors must be an integer, got 5.5 of type float"),
        ({"metric": "taxi"}, "metric: 'taxi' was given; one of .*cosine, .*euclidean, .*manhattan, .* was expected"),
        ({"n_epochs": [10, "many"]}, r"n_epochs\[1\] must be an integer, got \'many\' of type str"),
        ({"learning_rate": 0}, "learning_rate must be finite and above 0 and at most 100, got 0"),
        ({"min_dist": float("nan")}, "min_dist must be finite and from 0 to 1000, got nan"),
        ({"set_op_mix_ratio": 1.5}, "set_op_mix_ratio must be finite and from 0 to 1, got 1.5"),
        ({"random_state": -1}, "random_state must be from 0 to 4294967295, got -1"),
        ({"lookahead": None, "block_windows": 0}, "block_windows must be from 1 to 1000000, got 0"),
        ({"a": 1.5}, "a and b go together: got a=1.5, b=None; give both"),
        ({"n_neighbors": [5, 6]}, r"n_neighbors must be one value for all windows, got \(5, 6\)"),
        ({"learning_rate": 1e308}, "learning_rate must be finite and above 0 and at most 100, got 1e\\+308"),
        ({"n_components": 50}, "n_components must be from 1 to 10, got 50"),
        ({"alignment_window_size": 0}, "alignment_window_size must be from 1 to 1000, got 0"),
        ({"min_dist": 2}, "min_dist must be at most spread, got 2 and 1; raise spread"),
        ({"min_dist": [0.1, 0.2], "spread": [1, 0.1]}, "min_dist must be at most spread, got 0.2 and 0.1 for window 1"),
        ({"metric": "cosine", "metric_kwds": {"p": 3}}, "metric 'cosine' takes no arguments"),
        ({"metric_kwds": [1]}, "metric_kwds must be"),
        ({"allow_unrelated": "perhaps"}, "allow_unrelated is 'perhaps'; it should be a valid boolean"),
        ({"stride": "7"}, "stride: '7' is not a length of time.*such as 30D, 12h or 1M"),
        ({"window": "1.5D"}, "window: '1.5D' is not a length of time"),
        ({"window": "0D"}, "window: '0D' is not a length of time"),
        ({"window": "30m"}, "window: '30m' may be months or minutes; write M for months or min for minutes"),
        ({"stride": "1m"}, "stride: '1m' may be months or minutes"),
        ({"window": "9999999999W"}, "window: '9999999999W' is longer than ten thousand years"),
        ({"window": "1M"}, "window is '1M' and stride '7D'; a window of months or years starts with"),
        ({"rows": 100}, "window and rows are both given; windows are made by one of them"),
        ({"window": None}, "nothing says how to make windows"),
        ({"window": None, "rows": 100}, "stride is '7D', but window is not given"),
        ({"row_stride": 5}, "row_stride is 5, but rows is not given"),
        ({"window": None, "stride": None, "by": "year"}, "by is 'year' for the windows, but None for the source"),
        ({"n_neighbours": 5}, "no option is named 'n_neighbours'; did you mean n_neighbors?"),
        ({"xyzzy": 5}, "no option is named 'xyzzy'; there are: time, id"),
    ],
)
def test_a_bad_option_is_named_with_what_came_and_what_was_expected(options, message):
    with pytest.raises(ConfigError, match=message):
        make(**options)


def test_all_bad_options_are_named_at_once():
    with pytest.raises(ConfigError) as caught:
        make(n_neighbors=1, spread=-1)
    assert [line.split(" must ")[0] for line in str(caught.value).splitlines()] == ["n_neighbors", "spread"]


def test_windows_in_time_need_a_time_column():
    with pytest.raises(ConfigError, match="window is '30D', but no time column is named; give time"):
        RunConfig.from_options(SPEC.model_copy(update={"time": None}), window="30D")


def test_a_relative_path_is_refused():
    with pytest.raises(ConfigError, match="path: an absolute path was expected"):
        validate(SourceSpec, {"path": "posts.parquet", "format": "parquet"})


def test_json_brings_back_the_same_configuration():
    config = make(min_dist=[0.1, 0.2], metric="minkowski", metric_kwds={"p": 3}, block_windows=4, by=None)
    saved = json.dumps(config.to_json())
    assert RunConfig.from_json(json.loads(saved)) == config
    assert pickle.loads(pickle.dumps(config)) == config
    assert hash(SPEC) == hash(SPEC.model_copy())


def test_flat_options_bring_back_the_same_configuration():
    config = make(n_epochs=[5, 6], metric="cosine", lookahead=0)
    options = config.to_options()
    assert options.pop("source") == "/data/posts.parquet"
    assert set(options) == set(OPTION_NAMES)
    assert RunConfig.from_options(SPEC, **options) == config


def test_what_a_store_holds_is_not_held_against_today_s_bounds():
    saved = make(min_dist=[0.1, 0.2]).to_json()
    saved["layout"] |= {"n_components": 50, "min_dist": 2.0, "alignment_window_size": 0}
    saved["graph"]["n_neighbors"] = 10**6
    saved["lookahead"] = 5000
    config = RunConfig.from_json(saved)
    assert (config.layout.n_components, config.layout.min_dist, config.lookahead) == (50, 2.0, 5000)
    mended = config.take_layout(make(min_dist=0.3, lookahead=1))
    assert (mended.layout.min_dist, mended.lookahead, mended.graph.n_neighbors) == (0.3, 1, 10**6)


@pytest.mark.parametrize(("given", "expected"), [({}, 0.035), ({"alignment_regularisation": 0.01}, 0.01)])
def test_a_store_keeps_its_strength_unless_another_is_given(given, expected):
    stored = make(alignment_regularisation=0.035, repulsion_strength=1.0)
    assert stored.take_layout(make(min_dist=0.3, **given)).layout.repulsion_strength == 1.0
    assert stored.take_layout(make(repulsion_strength="auto")).layout.repulsion_strength == "auto"
    assert stored.take_layout(make(min_dist=0.3, **given)).layout.alignment_regularisation == expected


@pytest.mark.parametrize("name", ["repulsion_strength", "alignment_regularisation"])
@pytest.mark.parametrize("value", ["often", ["auto", "often"], [], {}])
def test_what_a_damaged_log_holds_instead_of_a_number_is_refused(name, value):
    saved = make().to_json()
    saved["layout"][name] = value
    with pytest.raises(ConfigError, match=f"{name} is .* it should be a valid number"):
        RunConfig.from_json(saved)
    saved["layout"][name] = ["auto", 0.5]
    assert getattr(RunConfig.from_json(saved).layout, name) == ("auto", 0.5)


def test_the_types_that_an_editor_shows_are_the_options():
    assert set(SettingKeywords.__annotations__) == set(OPTION_NAMES)
    models = (RunConfig, GraphConfig, TargetConfig, LayoutConfig)
    fields = {name: field for model in models for name, field in model.model_fields.items()}
    assert {name: fields[name].default for name in RUN_SETTINGS} == {n: s.default for n, s in RUN_SETTINGS.items()}
    assert {*LAYOUT_ONLY} == {*LayoutConfig.model_fields, "lookahead", "block_windows"}
    for name, setting in RUN_SETTINGS.items():
        shown = SettingKeywords.__annotations__[name].__forward_arg__
        assert ("Sequence" in shown) == setting.per_window
        if setting.kind in ("integer", "number"):
            assert shown.startswith({"integer": "int", "number": "float"}[setting.kind])


def test_json_of_something_else_is_refused():
    saved = make().to_json()
    with pytest.raises(ConfigError, match="unknown option colour"):
        RunConfig.from_json({**saved, "colour": "red"})
    del saved["windows"]
    with pytest.raises(ConfigError, match="windows is missing"):
        RunConfig.from_json(saved)


def test_configurations_that_agree_have_no_differences():
    assert differences(make(n_neighbors=5), make(n_neighbors=5)) == {}


def test_differences_name_the_option_and_both_values():
    now = RunConfig.from_options(SPEC.model_copy(update={"id": None}), window="30D", n_neighbors=20, min_dist=[0.1])
    assert list(differences(make(), now).values()) == [
        "id: store has 'user', now None",
        "stride: store has '7D', now None",
        "n_neighbors: store has 15, now 20",
        "min_dist: store has 0.1, now [0.1]",
    ]


def test_a_block_size_left_open_is_no_difference():
    assert differences(make(block_windows=4), make()) == {}
    changes = differences(make(block_windows=4), make(block_windows=5))
    assert changes == {"block_windows": "block_windows: store has 4, now 5"}


def test_arrays_differ_by_what_they_hold_not_by_where_they_are():
    def config(path):
        return RunConfig.from_options(SourceSpec(path=path, format="arrays", id="id"), rows=10)

    assert differences(config("/store/source"), config("")) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30D", (30, "D")), (" 12h ", (12, "h")), ("15 min", (15, "min")), ("1M", (1, "M")), ("2Y", (2, "Y"))],
)
def test_durations_are_a_number_and_a_unit(text, expected):
    assert parse_duration(text) == Duration(*expected)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (timedelta(days=60), "60D"),
        (pd.Timedelta("36h"), "36h"),
        (np.timedelta64(90, "m"), "90min"),
        (np.timedelta64(1, "D"), "1D"),
        (timedelta(seconds=61), "61s"),
    ],
)
def test_a_length_of_time_may_be_a_timedelta(given, written):
    assert make(window=given, stride=given).windows.window == written
    assert str(IngestOptions(grace=given).grace) == written


@pytest.mark.parametrize("given", [60, 1.5, True, timedelta(0), timedelta(days=-1), timedelta(microseconds=5), pd.NaT])
def test_what_is_no_length_of_time_is_refused_with_what_to_write(given):
    with pytest.raises(ConfigError, match=r"window: .* is not a length of time; .* such as '30D', '12h' or '1M'"):
        make(window=given)


@pytest.mark.parametrize(("window", "stride"), [("030 D", " 7D"), ("30d", "7 d")])
def test_a_rule_keeps_durations_in_one_spelling(window, stride):
    rule = WindowRule(window=window, stride=stride)
    assert (rule.window, rule.stride) == ("30D", "7D")


@pytest.mark.parametrize(("given", "kept"), [("2w", "2W"), ("1y", "1Y"), ("12H", "12h"), ("90min", "90min")])
def test_units_that_can_mean_one_thing_alone_are_taken_as_people_write_them(given, kept):
    assert WindowRule(window=given).window == kept
    assert str(IngestOptions(grace=given).grace) == kept


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("s", "2024-05-16T13:14:15"),
        ("min", "2024-05-16T13:14"),
        ("h", "2024-05-16T13:00"),
        ("D", "2024-05-16"),
        ("W", "2024-05-13"),
        ("M", "2024-05-01"),
        ("Y", "2024-01-01"),
    ],
)
def test_borders_are_the_calendars(unit, expected):
    moment = np.datetime64("2024-05-16T13:14:15.678901", "us")  # a Thursday
    border = floor_to_border(moment, unit)
    assert border == np.datetime64(expected)
    assert border.dtype == np.dtype("datetime64[us]")
    assert floor_to_border(border, unit) == border


def test_borders_before_1970_are_borders_too():
    moment = np.datetime64("1969-12-30T01:00", "us")
    assert floor_to_border(moment, "D") == np.datetime64("1969-12-30")
    assert floor_to_border(moment, "W") == np.datetime64("1969-12-29")
    assert floor_to_border(moment, "M") == np.datetime64("1969-12-01")


@pytest.mark.parametrize(("text", "start"), [("7D", "2024-02-27T00:00"), ("3M", "2023-11-01"), ("1Y", "2020-01-01")])
def test_steps_that_are_counted_reach_the_moment_and_no_step_more(text, start):
    step, origin, last = parse_duration(text), np.datetime64(start, "us"), np.datetime64("2025-03-01T12:00", "us")
    n_steps = count_steps(origin, last, step)
    places = shift_times(np.full(2, origin), step, np.array([n_steps, n_steps + 1]))
    assert places[0] <= last < places[1]
