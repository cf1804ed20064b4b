"""Run, ingestion and page on S3, with workers of a cluster that read and write there themselves."""

from __future__ import annotations

import json
import re

import boto3
import pytest
from tests.pipeline.conftest import SECRET
from tests.pipeline.growing import OPTIONS, read_maps, write_days

from driftmap.pipeline import ingest, open_store, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.store.disk.location import Location


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    """A source of six days; two more come later."""
    folder = tmp_path_factory.mktemp("days") / "days"
    write_days(folder, range(6))
    return folder


@pytest.fixture(scope="module")
def store(s3, cluster, certs, days, tmp_path_factory):
    """A store on S3 that a cluster made of data there, and that took in two more days; and one of this process."""
    alone = tmp_path_factory.mktemp("alone") / "maps"
    bucket = s3()
    url = f"{bucket}/team/maps"
    upload(days, bucket)
    places = (
        (days, alone, {"scheduler": "serial"}),
        (f"{bucket}/days", url, {"scheduler": cluster, "tls": certs}),
    )
    for source, where, place in places:
        run(source, where, **place, **OPTIONS)
    write_days(days, range(6, 8))
    upload(days, bucket, newer_than="day-005.parquet")
    for _, where, place in places:
        assert ingest(where, **place).new == ["2024-01-06"]
    return open_store(url), open_store(alone)


def upload(folder, bucket, newer_than=""):
    for file in folder.iterdir():
        if file.name > newer_than:
            Location(bucket).create(f"{folder.name}/{file.name}", file.read_bytes())


def test_it_is_the_same_as_in_one_process_on_disk(store):
    far, near = store
    assert far.is_complete
    assert read_maps(far) == read_maps(near)


def test_status_and_page_are_made_from_s3(store, tmp_path, capsys):
    far, _ = store
    assert run_command(["status", str(far.location), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["is_complete"]
    assert run_command(["report", str(far.location), "-o", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").stat().st_size > 10_000


def test_credentials_are_nowhere_in_the_store_or_in_what_processes_say(store, processes):
    far, _ = store
    bucket, _, prefix = str(far.location).removeprefix("s3://").partition("/")
    client = boto3.client("s3")
    names = [found["Key"] for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
             for found in page["Contents"]]  # fmt: skip
    assert len(names) > 50
    for name in names:
        assert SECRET.encode() not in client.get_object(Bucket=bucket, Key=name)["Body"].read(), name
    logs = [path.read_text(errors="replace") for path in processes.folder.glob("*.log")]
    assert len(logs) >= 2
    assert not any(re.search(SECRET, log) for log in logs)
