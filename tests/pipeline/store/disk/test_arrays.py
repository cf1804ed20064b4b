"""Arrays are compared with the digest in their own metadata, or, of older groups, in that of the group."""

from __future__ import annotations

import json
import shutil
from unittest import mock

import numpy as np
import pytest

from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store.disk import arrays
from driftmap.pipeline.store.disk.arrays import read_checked, write_arrays, write_shared_arrays
from driftmap.pipeline.store.disk.checks import VALUES, check_group
from driftmap.pipeline.store.disk.location import Location

GROUPS = ("windows/0/a", "windows/1/b")
VALUES_OF = {"values": np.arange(6, dtype=np.float32), "texts": np.array(["a", "é", ""]), "none": np.zeros((0, 2))}


@pytest.fixture(params=["new", "older"])
def root(request, tmp_path):
    """Two groups of the same arrays and other values; of older ones the arrays' own metadata hold no digests."""
    make = arrays.encode_metadata
    plain = mock.patch.object(
        arrays,
        "encode_metadata",
        lambda values, chunks, attributes: make(
            values, chunks, {name: one for name, one in attributes.items() if name == "driftmap_kind"}
        ),
    )
    for number, group in enumerate(GROUPS):
        changed = {name: values if values.dtype.kind == "U" else values + number for name, values in VALUES_OF.items()}
        if request.param == "older":
            with plain:
                write_arrays(tmp_path, group, changed)
        else:
            write_arrays(tmp_path, group, changed)
    assert (VALUES in (tmp_path / GROUPS[0] / "values/zarr.json").read_text()) == (request.param == "new")
    return Location(tmp_path)


def test_arrays_come_back(root):
    for name, values in VALUES_OF.items():
        np.testing.assert_array_equal(read_checked(root, GROUPS[0], name, "w", len(values)), values)


def test_what_was_exchanged_is_refused(root):
    first, second = (root.folder / group / "values" for group in GROUPS)
    aside = root.folder / "aside"
    is_alike = (first / "zarr.json").read_bytes() == (second / "zarr.json").read_bytes()
    for part in ("", "c", *(["zarr.json"] if not is_alike else [])):
        (first / part).rename(aside)
        (second / part).rename(first / part)
        aside.rename(second / part)
        with pytest.raises(StoreError, match=r"holds other values|of another place|is damaged"):
            read_checked(root, GROUPS[0], "values", "w")
        (first / part).rename(aside)
        (second / part).rename(first / part)
        aside.rename(second / part)
    np.testing.assert_array_equal(read_checked(root, GROUPS[0], "values", "w"), VALUES_OF["values"])


def test_flipped_bits_of_the_metadata_is_refused_or_harmless(root):
    for name, values in VALUES_OF.items():
        file = root.folder / GROUPS[0] / name / "zarr.json"
        content, n_refused = file.read_bytes(), 0
        for bit in range(0, 8 * len(content), 11):
            changed = bytearray(content)
            changed[bit // 8] ^= 1 << bit % 8
            file.write_bytes(changed)
            try:
                np.testing.assert_array_equal(read_checked(root, GROUPS[0], name, "w"), values)
            except StoreError:
                n_refused += 1
            assert check_group(root, GROUPS[0], [name]) or bytes(changed) == content
        file.write_bytes(content)
        assert n_refused > 4 * len(content) / 11


@pytest.mark.parametrize("attributes", [[], None, "x", {VALUES: 3}, {VALUES: None, "driftmap_array": 3}])
def test_attributes_of_any_kind_are_one_message(root, attributes):
    file = root.folder / GROUPS[0] / "values/zarr.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "attributes": attributes}))
    with pytest.raises(StoreError, match=r"zarr\.json is damaged|of another place"):
        read_checked(root, GROUPS[0], "values", "window 'w'")


def test_what_a_power_failure_tore_is_written_again(tmp_path):
    root = Location(tmp_path)
    write_shared_arrays(root, "shared/x", VALUES_OF)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    for torn in (b"", b"{", None):
        for file, content in before.items():
            if torn is None:
                file.write_bytes(bytes(len(content)))
            else:
                file.write_bytes(torn)
        write_shared_arrays(root, "shared/x", VALUES_OF)
        assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    shutil.rmtree(tmp_path / "shared/x/texts")
    write_shared_arrays(root, "shared/x", VALUES_OF)
    assert read_checked(root, "shared/x", "texts", "w").tolist() == VALUES_OF["texts"].tolist()


def test_marks_of_groups_above_are_mended_and_those_of_others_left(tmp_path):
    (tmp_path / "windows").mkdir()
    (tmp_path / "windows/zarr.json").write_bytes(b"\0\0\0")
    (tmp_path / "zarr.json").write_text('{"attributes": {"mine": 1}, "zarr_format": 3, "node_type": "group"}\n')
    write_arrays(tmp_path, GROUPS[0], VALUES_OF)
    assert json.loads((tmp_path / "windows/zarr.json").read_text())["node_type"] == "group"
    assert "mine" in (tmp_path / "zarr.json").read_text()
