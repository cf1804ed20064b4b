"""Credentials of URLs are in no message: not in that of an error, a log, a lock's command line or a terminal."""

from __future__ import annotations

import json
import pickle
import string

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmap.pipeline import open_store, plan, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.cli.commands.watch_options import write_log
from driftmap.pipeline.errors import (
    ConfigError,
    PipelineError,
    SourceError,
    StoreError,
    hide_credentials,
    hide_credentials_within,
)
from driftmap.pipeline.ingestion.watch.outcome import describe_outcome
from driftmap.pipeline.store.disk import remote
from driftmap.pipeline.store.log import lock

SECRET = "hunter2"
URLS = [
    f"s3://key:{SECRET}@bucket/maps",
    f"s3://bucket/maps?X-Amz-Signature={SECRET}",
    f"s3://bucket/maps#{SECRET}",
    f"https://user:{SECRET}@host/data.parquet",
    f"https://host/data.parquet?sig={SECRET}&se=2030",
    f"HTTPS://user:a@b{SECRET}@host/data.parquet",
    f"gs://bucket/x?token='{SECRET}'",
    f"tls://user:{SECRET}@host:8786",
    f"tcp://host:8786?token={SECRET}",
    f"user:{SECRET}@host:8786",
]

parts = st.text(string.ascii_letters + string.digits + "-._~%!$&'()*+,;=:", min_size=1)


@given(parts, parts, parts, parts, st.sampled_from(["{}", "'{}'", 'at "{}": no', "({}); give", "{}, {}", "[{}]"]))
def test_user_password_query_and_fragment_leave_every_url(user, password, query, fragment, sentence):
    secrets = [f"<{name}>" for name in (user, password, query, fragment)]  # no part of what stays
    url = f"https://{secrets[0]}:{secrets[1]}@example.org:443/a/b?x={secrets[2]}#{secrets[3]}"
    shown = hide_credentials(sentence.replace("{}", url))
    assert not [secret for secret in secrets if secret in shown]
    assert "https://example.org:443/a/b" in shown
    assert hide_credentials(shown) == shown


@given(st.text())
def test_other_text_is_left_as_it_is(text):
    assert hide_credentials(text.replace("/", "")) == text.replace("/", "")
    hide_credentials(text)


def test_what_is_around_a_url_stays():
    assert hide_credentials("no s3://a:b@c/d?e=f, nor 'tcp://h:1'; a@b?c, /data/x@y?z#1") == (
        "no s3://c/d, nor 'tcp://h:1'; a@b?c, /data/x@y?z#1"
    )
    assert hide_credentials_within({"a": ["s3://u@h", 3, None], "b": ("s3://h?q",)}) == {
        "a": ["s3://h", 3, None],
        "b": ["s3://h"],
    }


def test_errors_hide_them_in_every_form():
    error = StoreError(f"cannot be read: {URLS[0]}")
    assert SECRET not in str(error) + repr(error) + str(error.args) + str(pickle.loads(pickle.dumps(error)))
    assert issubclass(SourceError, PipelineError)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "rows.parquet"
    rows = np.random.default_rng(0).normal(size=(24, 3))
    columns = {f"x{axis}": rows[:, axis] for axis in range(3)}
    pq.write_table(pa.table({"w": np.repeat([1, 2], 12), "id": np.tile(np.arange(12), 2), **columns}), path)
    return path


@pytest.mark.parametrize("url", URLS)
def test_no_command_shows_them(source, tmp_path, monkeypatch, capfd, url):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(f"source = {json.dumps(url)}\nby = 'w'\nn_epochs = {json.dumps(url)}\n")
    how = ["--by", "w", "--store", "maps"]
    tried = [
        ["run", str(source), *how, "--scheduler", url],
        ["run", str(source), *how, "--scheduler", url, "--tls", "."],
    ]
    if "://" in url:  # else it is a word like any other, or the name of a folder
        tried += [
            ["run", str(source), *how, "--workers", url],
            ["run", str(source), *how, "--scheduler", "serial", "--window", url],
            ["run", "run.toml"],
            ["run", url, *how],
            ["plan", url, "--by", "w"],
            ["run", str(source), "--by", "w", "--store", url],
            *([command, url] for command in ("status", "verify", "migrate", "prune", "ingest")),
            *([command, url, "-o", "x.parquet"] for command in ("export", "report")),
        ]
    for arguments in tried:
        assert run_command(arguments) == 2, arguments
        said = capfd.readouterr()
        assert SECRET not in said.out + said.err, arguments
        assert said.err


@pytest.mark.parametrize("url", [url for url in URLS if "://" in url])
def test_no_error_of_python_shows_them(source, tmp_path, url):
    store = tmp_path / "s"
    for what, where, scheduler in [(url, store, "serial"), (source, url, "serial"), (source, store, url)]:
        with pytest.raises(PipelineError) as refused:
            run(what, where, by="w", id="id", scheduler=scheduler)
        assert SECRET not in repr(refused.value)
    with pytest.raises(PipelineError) as refused:
        plan(url, by="w")
    assert SECRET not in repr(refused.value)
    assert not store.exists()


def test_an_endpoint_with_a_password_is_not_shown(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:{SECRET}@127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setattr(remote, "_RETRIES", {"max_retries": 0})
    with pytest.raises(StoreError) as refused:
        open_store("s3://bucket/maps")
    assert SECRET not in str(refused.value)


def test_logs_outcomes_and_the_lock_hide_them(source, tmp_path, monkeypatch, capsys):
    write_log("failed", reason=f"at {URLS[0]}", parts=[URLS[1]])
    assert SECRET not in capsys.readouterr().err
    assert SECRET not in describe_outcome(OSError(f"at {URLS[4]}")).reason
    monkeypatch.setattr("sys.argv", ["driftmap", "run", URLS[3], "--scheduler", URLS[7]])
    run(source, tmp_path / "s", by="w", id="id", scheduler="serial", n_neighbors=3, n_epochs=2)
    files = [file for file in (tmp_path / "s").rglob("*.json") if SECRET in file.read_text()]
    assert files == []
    assert "https://host/data.parquet --scheduler tls://host:8786" in lock._describe_self(None)["command"]


def test_the_status_of_a_store_that_holds_one_hides_it(source, tmp_path, monkeypatch, capsys):
    store = run(source, tmp_path / "s", by="w", id="id", scheduler="serial", n_neighbors=3, n_epochs=2)
    config = store.config
    monkeypatch.setattr(type(store), "config", {**config, "source": {**config["source"], "path": URLS[1]}})
    for arguments in (["status", str(store.path)], ["status", str(store.path), "--json"]):
        assert run_command(arguments) == 0
        said = capsys.readouterr()
        assert SECRET not in said.out + said.err
    assert run_command(["report", str(store.path), "-o", str(tmp_path / "page.html")]) == 0
    assert SECRET not in (tmp_path / "page.html").read_text()


def test_the_address_of_a_scheduler_has_no_user(source, tmp_path):
    with pytest.raises(ConfigError, match="address holds a user, a password or a query"):
        run(source, tmp_path / "s", by="w", scheduler="tcp://me:pw@host:8786")
