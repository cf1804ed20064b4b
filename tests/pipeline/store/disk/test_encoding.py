"""Files of arrays are those that zarr writes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec
from zarr.storage import LocalStore

from driftmap.pipeline.store.disk.encoding import (
    DamagedArrayError,
    Form,
    encode_chunks,
    encode_group_metadata,
    encode_metadata,
)

RNG = np.random.default_rng(0)


def write_with_zarr(folder, values, chunk_shape, attributes):
    """Files of the same array, as zarr writes them."""
    zarr.create_array(
        LocalStore(folder),
        data=values,
        chunks=chunk_shape,
        serializer=BytesCodec(),
        compressors=[BloscCodec(cname="lz4", shuffle="shuffle", typesize=values.dtype.itemsize), Crc32cCodec()],
        filters=None,
        attributes=attributes,
        config={"write_empty_chunks": True},
    )
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def encode_array(values, chunk_shape, attributes):
    return encode_metadata(values, chunk_shape, attributes), dict(encode_chunks(values, chunk_shape))


@pytest.mark.parametrize("dtype", ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"])
@pytest.mark.parametrize(("shape", "n_rows"), [((5_000,), 5_000), ((7, 3), 3), ((0, 2), 1), ((3, 0), 3), ((0,), 1)])
def test_files_are_those_of_zarr(tmp_path, dtype, shape, n_rows):
    values = RNG.integers(0, 100, size=shape).astype(dtype)
    chunk_shape = n_rows, *(max(1, length) for length in shape[1:])
    attributes = {"driftmap_kind": "text"} if dtype == "u1" else {}
    metadata, chunks = encode_array(values, chunk_shape, attributes)
    assert {"zarr.json": metadata, **chunks} == write_with_zarr(tmp_path, values, chunk_shape, attributes)
    form = Form.of(metadata)
    assert list(form.list_keys()) == list(chunks)
    assert form.attributes == attributes
    found = form.decode(chunks.values())
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, zarr.open_array(LocalStore(tmp_path), mode="r")[...])


def test_large_chunks_are_those_of_zarr(tmp_path):
    values = RNG.normal(size=(100_000, 4)).astype(np.float32)
    metadata, chunks = encode_array(values, (60_000, 4), {})
    assert {"zarr.json": metadata, **chunks} == write_with_zarr(tmp_path, values, (60_000, 4), {})
    np.testing.assert_array_equal(Form.of(metadata).decode(chunks.values()), values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codecs": [{"name": "bytes"}]}, "not of an array as driftmap writes it"),
        ({"data_type": "complex64"}, "not of an array as driftmap writes it"),
        ({"data_type": "nothing"}, "cannot be read"),
        ({"shape": [7, 4]}, "not of an array as driftmap writes it"),
        ({"shape": [7]}, "cannot be read"),
        ({"data_type": "float64"}, "84 bytes, 168 were written"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(changes, message):
    values = RNG.normal(size=(7, 3)).astype(np.float32)
    metadata, chunks = encode_array(values, (7, 3), {})
    changed = json.dumps({**json.loads(metadata), **changes}).encode()
    with pytest.raises(DamagedArrayError, match=message):
        Form.of(changed).decode(chunks.values())


def test_a_chunk_of_another_array_or_of_nothing_is_refused():
    values = RNG.normal(size=(7, 3)).astype(np.float32)
    metadata, _ = encode_array(values, (7, 3), {})
    _, others = encode_array(values[:5], (5, 3), {})
    with pytest.raises(DamagedArrayError, match="a chunk holds 60 bytes, 84 were written"):
        Form.of(metadata).decode(others.values())
    for chunk in (b"", b"\0\0\0\0", b"abc"):
        with pytest.raises(DamagedArrayError):
            Form.of(metadata).decode([chunk])


def test_metadata_of_groups_is_that_of_zarr(tmp_path):
    zarr.create_group(LocalStore(tmp_path), zarr_format=3, attributes={"name": "ä", "n": [1, "x"]})
    assert encode_group_metadata({"name": "ä", "n": [1, "x"]}) == (tmp_path / "zarr.json").read_bytes()
