"""Where stores lie: folders and S3 are alike to those who use them, and credentials stay where they are."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from tests.pipeline.conftest import SECRET

from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store.disk.location import Location


@pytest.fixture(params=["folder", "s3"])
def location(request, tmp_path):
    if request.param == "folder":
        return Location(tmp_path)
    return Location(request.getfixturevalue("s3")() + "/a prefix/maps")


def test_a_file_is_created_once_and_replaced_at_will(location):
    assert not location.has("a/b.json")
    assert location.read("a/b.json") is None
    assert location.create("a/b.json", b"one")
    assert not location.create("a/b.json", b"two")
    assert location.has("a/b.json")
    assert location.read("a/b.json") == b"one"
    location.replace("a/b.json", b"three")
    assert location.read("a/b.json") == b"three"


def test_files_are_listed_with_their_sizes_and_deleted(location):
    for name in ("a/b", "a/c/d", "e", "ab/f"):
        location.create(name, name.encode())
    assert location.list() == {"a/b": 3, "a/c/d": 5, "e": 1, "ab/f": 4}
    assert location.list("a") == {"a/b": 3, "a/c/d": 5}
    assert location.list("absent") == {}
    assert location.list_top() == {"a", "ab", "e"}
    location.delete(["a/b", "absent"])
    assert location.list("a") == {"a/c/d": 5}


def test_a_process_gets_the_text_alone(location):
    assert location.files is location.files
    pickled = pickle.dumps(location)
    assert SECRET.encode() not in pickled
    assert len(pickled) < 200 + len(str(location))
    again = pickle.loads(pickled)
    assert again == location
    assert hash(again) == hash(location)
    assert str(again) == str(location)


def test_a_put_that_is_sent_again_finds_its_own(s3):
    location = Location(s3())
    location.create("0", b"mine")
    assert location.create("0", b"mine")
    assert not location.create("0", b"other")


def test_paths_and_urls_are_said_as_users_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Location("maps").path == tmp_path / "maps"
    assert Location("~/maps").path == Path.home() / "maps"
    assert Location(Path("a?#b")).folder == tmp_path / "a?#b"
    assert Location("S3://bucket//x/y/".replace("S3", "s3")).path == "s3://bucket/x/y"
    assert Location("s3://bucket").name("commits/0") == "s3://bucket/commits/0"
    assert Location("maps").name("commits/0") == str(tmp_path / "maps/commits/0")
    assert Location(Location("s3://bucket/x")) == Location("s3://bucket/x")


@pytest.mark.parametrize("given", ["s3://", "s3:///x", "s3://b/x?y", Path("s3://bucket/x"), "ftp://b/x", "gs:///x"])
def test_other_urls_are_refused(given):
    with pytest.raises(StoreError, match=r"no place for a store; give .*(s3|gs)://BUCKET/PREFIX"):
        Location(given)


def test_credentials_in_a_url_are_refused_and_not_shown():
    with pytest.raises(StoreError, match="leave credentials out") as caught:
        Location(f"s3://key:{SECRET}@bucket/maps")
    assert SECRET not in str(caught.value)


def test_what_cannot_be_reached_is_one_short_error(s3, monkeypatch):
    with pytest.raises(StoreError, match="s3://absent-bucket/maps cannot be written: there is no such bucket; make it"):
        Location("s3://absent-bucket/maps").create("0", b"")
    with pytest.raises(StoreError, match="no such bucket"):
        Location("s3://absent-bucket/maps").list_top()
    monkeypatch.setattr("driftmap.pipeline.store.disk.remote._RETRIES", {"max_retries": 0})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StoreError, match=r"s3://b/maps cannot be read: .*look at the network") as caught:
        Location("s3://b/maps").read("0")
    assert len(str(caught.value)) < 400
    assert SECRET not in str(caught.value)


def test_missing_credentials_are_said_and_not_where_they_were_looked_for():
    said = "Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token in 3 ms - 403 Forbidden"
    expected = r"no credentials are in .*; set AWS_ACCESS_KEY_ID and .*, or AWS_PROFILE$"
    with pytest.raises(StoreError, match=expected), Location("s3://maps/a")._explain("read"):
        raise OSError(said)


def test_a_folder_that_cannot_be_written_is_one_short_error(tmp_path):
    (tmp_path / "a").write_text("a file where a folder is wanted")
    with pytest.raises(StoreError, match=r"cannot be written: .*permissions"):
        Location(tmp_path).create("a/b", b"")


def test_a_profile_is_read_where_aws_keeps_it(s3, tmp_path, monkeypatch):
    (tmp_path / "credentials").write_text(f"[maps]\naws_access_key_id = a\naws_secret_access_key = {SECRET}\n")
    (tmp_path / "config").write_text("[profile maps]\nregion = us-east-1\n")
    location = Location(s3() + "/maps")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "maps")
    assert location.create("0", b"x")
    monkeypatch.setenv("AWS_PROFILE", "absent")
    with pytest.raises(StoreError, match="AWS profile 'absent' cannot be used"):
        Location("s3://b/maps").read("0")


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "/etc/hostname", "a\0b"])
def test_a_name_outside_of_the_folder_is_refused(tmp_path, name):
    (tmp_path / "outside").write_bytes(b"secret")
    (tmp_path / "in/a").mkdir(parents=True)
    for look in (Location(tmp_path / "in").read, Location(tmp_path / "in").has):
        with pytest.raises(StoreError, match="names a file outside of itself"):
            look(name)


def test_a_folder_is_no_file_and_a_link_to_itself_is_one_message(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    location = Location(tmp_path)
    assert location.read("a") is None
    assert not location.has("a")
    with pytest.raises(StoreError, match="cannot be read"):
        location.read("loop")


def test_files_of_a_group_are_synced_once_each_with_their_folders(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr("driftmap.pipeline.store.disk.location._sync_path", synced.append)
    names = [f"w/{number}/c/{chunk}" for number in range(3) for chunk in range(4)]
    assert Location(tmp_path).create_all(((name, b"x") for name in names), marks={"w/zarr.json": b"{}"})
    folders = ["", "w", *(f"w/{number}{rest}" for number in range(3) for rest in ("", "/c"))]
    assert sorted(synced) == sorted(tmp_path / name for name in (*names, "w/zarr.json", *folders))


def test_files_may_be_synced_later_in_one_go(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr("driftmap.pipeline.store.disk.location._sync_path", synced.append)
    location, unsynced = Location(tmp_path), []
    for number in range(3):
        assert location.create_all([(f"w/{number}", b"x")], unsynced=unsynced)
    assert not synced
    location.sync(unsynced)
    assert sorted(synced) == sorted(tmp_path / name for name in ("", "w", "w/0", "w/1", "w/2"))
    synced.clear()
    location.sync([])
    assert not synced
