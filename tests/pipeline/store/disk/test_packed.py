"""Groups that are one file: Zarr opens them, damage to them is found, and what is too large is not packed."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import zarr

from driftmap.engine.types import FuzzyGraph, KnnGraph, WindowGraph
from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store import attempts
from driftmap.pipeline.store.attempts import GRAPH_ARRAYS, Attempt, name_small_attempt, pack_without_graph, write_graph
from driftmap.pipeline.store.disk.arrays import read_checked, write_arrays
from driftmap.pipeline.store.disk.checks import check_group
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.disk.packed import GroupFiles, keep_members, pack_files

GROUP = "windows/0/a.zip"
ARRAYS = {
    "ids": np.array([f"row {row}" for row in range(40)]),
    "numbers": np.arange(120, dtype=np.float32).reshape(40, 3),
    "none": np.zeros(0, dtype=np.int64),
}


@pytest.fixture
def root(tmp_path):
    write_arrays(tmp_path, GROUP, ARRAYS)
    return Location(tmp_path)


def make_graph(n_rows):
    knn = KnnGraph(np.zeros((n_rows, 3), dtype=np.int32), np.zeros((n_rows, 3), dtype=np.float32))
    fuzzy = FuzzyGraph(np.zeros(n_rows + 1, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32))
    return WindowGraph(knn, fuzzy)


def test_it_is_one_file_and_comes_back(root):
    assert [*root.list()] == [GROUP]
    for name, values in ARRAYS.items():
        found = read_checked(root, GROUP, name, "window 'w'", len(values))
        assert found.dtype == values.dtype
        assert np.array_equal(found, values)
    assert check_group(root, GROUP, [*ARRAYS]) == []


def test_zarr_opens_it_as_a_store(root):
    with zarr.storage.ZipStore(root.folder / GROUP, mode="r") as files:
        group = zarr.open_group(files, mode="r")
        assert np.array_equal(group["numbers"][:], ARRAYS["numbers"])


def test_the_same_arrays_make_the_same_bytes(root, tmp_path):
    (tmp_path / "again").mkdir()
    write_arrays(tmp_path / "again", GROUP, ARRAYS)
    assert (tmp_path / "again" / GROUP).read_bytes() == (root.folder / GROUP).read_bytes()


def test_it_is_written_once(root):
    with pytest.raises(StoreError, match="is there already"):
        write_arrays(root, GROUP, ARRAYS)


def test_no_flipped_bit_gives_other_values(root):
    file = root.folder / GROUP
    whole = file.read_bytes()
    n_refused = 0
    for place in range(0, 8 * len(whole), 23):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        file.write_bytes(damaged)
        is_refused = False
        for name, values in ARRAYS.items():
            try:
                assert np.array_equal(read_checked(root, GROUP, name, "window 'w'"), values)
            except StoreError as error:
                assert "window 'w'" in str(error)  # noqa: PT017 - of some arrays only
                is_refused = True
        assert not is_refused or check_group(root, GROUP, [*ARRAYS])
        n_refused += is_refused
    assert n_refused > 0.5 * len(range(0, 8 * len(whole), 23))


@pytest.mark.parametrize("content", [b"", b"PK", b"\0" * 500, None], ids=["empty", "short", "zeros", "missing"])
def test_a_file_that_is_no_pack_is_named(root, content):
    file = root.folder / GROUP
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StoreError, match=r"window 'w': array 'ids' .*a\.zip is (missing|damaged)"):
        read_checked(root, GROUP, "ids", "window 'w'")
    assert [flaw.array for flaw in check_group(root, GROUP, ["ids"])] == ["ids"]


def test_a_pack_in_the_place_of_another_is_refused(root):
    write_arrays(root, "windows/1/b.zip", {**ARRAYS, "numbers": ARRAYS["numbers"] + 1})
    first, second = (root.folder / group for group in (GROUP, "windows/1/b.zip"))
    first.write_bytes(second.read_bytes())
    with pytest.raises(StoreError, match="files were exchanged"):
        read_checked(root, GROUP, "numbers", "window 'w'")
    assert check_group(root, GROUP, ["numbers"])


def test_members_that_are_compressed_or_claim_to_be_large_are_not_unpacked(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("zarr.json", b"0" * 10**7)
    (tmp_path / "a.zip").write_bytes(content.getvalue())
    there = GroupFiles(Location(tmp_path), "a.zip")
    assert there.read("zarr.json") is None
    assert there.explain("zarr.json") == "its file a.zip is damaged"


def test_some_members_are_kept():
    content = pack_files({"a": b"1", "b": b"2"})
    assert keep_members(content, lambda name: name == "a") == pack_files({"a": b"1"})
    assert keep_members(content, lambda name: True) is None
    assert keep_members(content[:-9], lambda name: name == "a") is None


def test_a_graph_that_is_small_is_packed_where_the_format_knows_it(tmp_path, monkeypatch):
    graph = make_graph(20)
    arrays = (*graph.knn, *graph.fuzzy)
    assert name_small_attempt(arrays, may_pack=True).endswith(".zip")
    assert "." not in name_small_attempt(arrays, may_pack=False)
    monkeypatch.setattr(attempts, "PACKED_BYTES", 648)
    assert name_small_attempt(arrays, may_pack=True).endswith(".zip")  # 20 rows of 3 neighbours, and 21 offsets
    assert "." not in name_small_attempt([*arrays, np.zeros(1)], may_pack=True)


def test_a_graph_is_cut_out_of_its_pack(tmp_path):
    attempt = Attempt(Location(tmp_path), 0, "g.zip", "w")
    write_graph(attempt, np.arange(20), {"side": np.array(["left"] * 20)}, make_graph(20))
    group = "windows/00000000/g.zip"
    content, n_bytes = pack_without_graph(attempt.root, group)
    assert n_bytes == len((tmp_path / group).read_bytes()) - len(content)
    attempt.root.replace(group, content)
    pruned = Attempt(Location(tmp_path), 0, "g.zip", "w")
    assert np.array_equal(pruned.read("ids"), np.arange(20))
    assert check_group(attempt.root, group, ["ids", "label_0"]) == []
    assert len(check_group(attempt.root, group, GRAPH_ARRAYS)) == len(GRAPH_ARRAYS)
    assert pack_without_graph(attempt.root, group) is None
