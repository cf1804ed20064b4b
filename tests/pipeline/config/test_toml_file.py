"""TOML files: the options of a run by the names of the command line."""

from __future__ import annotations

import pytest

from driftmap.engine.settings import GraphSettings
from driftmap.pipeline.config.run_config import RunConfig
from driftmap.pipeline.config.source_spec import SourceSpec
from driftmap.pipeline.config.toml_file import load_toml
from driftmap.pipeline.errors import ConfigError

SPEC = SourceSpec(path="/data/posts.parquet", format="parquet", time="date", id="user", label=("topic",))


def test_toml_holds_the_same_names(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text(
        'source = "posts.parquet"\nstore = "/maps.zarr"\nwindow = "30D"\nn_neighbors = 7\nmetric = "minkowski"\n'
        'label = ["topic", "language"]\nmetric_kwds = { p = 3 }\n'
    )
    options = load_toml(file)
    assert options.pop("source") == str(tmp_path / "posts.parquet")
    assert options.pop("store") == "/maps.zarr"
    config = RunConfig.from_options(SPEC, **options)
    assert config.graph_settings() == GraphSettings(n_neighbors=7, metric="minkowski", metric_kwds={"p": 3})


def test_a_byte_order_mark_is_no_option(tmp_path):
    (tmp_path / "run.toml").write_bytes(b"\xef\xbb\xbfn_neighbors = 7\n")
    assert load_toml(tmp_path / "run.toml") == {"n_neighbors": 7}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"window = 30D", "is not valid TOML"),
        (b"\xff\xfe", "is not valid TOML"),
        (b"[graph]\nn_neighbors = 5", "'graph' is a table; the options are flat"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_bad_toml_file_is_refused(tmp_path, text, message):
    file = tmp_path / "run.toml"
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(ConfigError, match=message):
        load_toml(file)
