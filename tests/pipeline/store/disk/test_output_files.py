"""Output files are whole, or the old one stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.store.disk.output_files import check_output, whole_file
from driftmap.pipeline.store.tables.table_files import find_table_writer


def test_a_file_is_replaced_when_all_is_written(tmp_path):
    target = tmp_path / "maps.csv"
    target.write_text("old")
    target.chmod(0o640)
    with whole_file(target) as unfinished:
        unfinished.write_text("new")
        assert unfinished.suffix == ".csv"
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [target]


def write_half(target, error):
    with whole_file(target) as unfinished:
        unfinished.write_text("half")
        raise error


def test_what_fails_or_is_stopped_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "maps.csv"
    target.write_text("old")
    for error in (OSError("disk full"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            write_half(target, error)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    with whole_file(tmp_path / "link.txt") as unfinished:
        unfinished.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_a_device_is_written_to_as_it_is():
    with whole_file("/dev/null") as unfinished:
        unfinished.write_text("gone")
    assert str(unfinished) == "/dev/null"


def test_a_loop_of_links_is_refused_and_a_link_to_a_new_file_is_not(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "new").symlink_to("made")
    with pytest.raises(OSError, match="symbolic links"), whole_file(tmp_path / "loop"):
        raise AssertionError("nothing is to be written")
    assert (tmp_path / "loop").is_symlink()
    with whole_file(tmp_path / "new") as unfinished:
        unfinished.write_text("x")
    assert (tmp_path / "made").read_text() == "x"
    assert (tmp_path / "new").is_symlink()


@pytest.mark.parametrize("url", ["s3://user:secret@b/x.parquet?sig=secret", "https://h/x.csv?token=secret"])
def test_a_url_with_secrets_or_of_a_server_is_refused_and_they_are_not_shown(tmp_path, monkeypatch, url):
    monkeypatch.chdir(tmp_path)
    for path in (url, Path(url)):
        for write in (lambda path: whole_file(path).__enter__(), find_table_writer):
            with pytest.raises(
                ConfigError, match=r"(URL \((s3|https)\) was given as the file to write|a s3 URL with '@')"
            ) as caught:
                write(path)
            assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def read_bucket(bucket):
    import boto3

    found = boto3.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    return {one["Key"]: boto3.client("s3").get_object(Bucket=bucket, Key=one["Key"]) for one in found}


def test_an_object_in_a_bucket_is_written_whole_or_the_old_one_stays(s3, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    url = s3()
    bucket = url.removeprefix("s3://")
    with whole_file(f"{url}/a/page.html") as unfinished:
        unfinished.write_text("new")
        assert unfinished.suffix == ".html"
        assert read_bucket(bucket) == {}
    (found,) = read_bucket(bucket).items()
    assert (found[0], found[1]["ContentType"], found[1]["Body"].read()) == ("a/page.html", "text/html", b"new")
    for error in (OSError("disk full"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            write_half(f"{url}/a/page.html", error)
    assert [one["Body"].read() for one in read_bucket(bucket).values()] == [b"new"]
    assert list(tmp_path.iterdir()) == []


def test_a_bucket_that_is_missing_or_no_file_is_refused_before_work(s3, tmp_path):
    with pytest.raises(ConfigError, match="no such bucket"):
        check_output("s3://nowhere-at-all/maps.csv")
    for url in (s3(), f"{s3()}/"):
        with pytest.raises(ConfigError, match="names a whole bucket; a file to write in it was expected"):
            check_output(url)
    with pytest.raises(ConfigError, match=r"as text: s3://BUCKET/FILE"):
        check_output(Path("s3://b/maps.csv"))
    assert check_output(tmp_path / "maps.csv") == tmp_path / "maps.csv"
