"""Output files are whole, or the old one stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.store.disk.output_files import whole_file
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
def test_a_url_is_no_file_to_write_and_is_not_shown(tmp_path, monkeypatch, url):
    monkeypatch.chdir(tmp_path)
    for path in (url, Path(url)):
        for write in (lambda path: whole_file(path).__enter__(), find_table_writer):
            with pytest.raises(ConfigError, match=r"a URL \((s3|https)\) was given as the file to write") as caught:
                write(path)
            assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
