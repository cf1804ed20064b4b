"""Files of arrays are those that zarr writes."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec
from zarr.storage import LocalStore

from driftmap.pipeline.store.encoding import encode_array, encode_group_metadata

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


@pytest.mark.parametrize("dtype", ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"])
@pytest.mark.parametrize(("shape", "n_rows"), [((5_000,), 5_000), ((7, 3), 3), ((0, 2), 1), ((3, 0), 3), ((0,), 1)])
def test_files_are_those_of_zarr(tmp_path, dtype, shape, n_rows):
    values = RNG.integers(0, 100, size=shape).astype(dtype)
    chunk_shape = n_rows, *(max(1, length) for length in shape[1:])
    attributes = {"driftmap_kind": "text"} if dtype == "u1" else {}
    metadata, chunks = encode_array(values, chunk_shape, attributes)
    assert {"zarr.json": metadata, **chunks} == write_with_zarr(tmp_path, values, chunk_shape, attributes)


def test_large_chunks_are_those_of_zarr(tmp_path):
    values = RNG.normal(size=(100_000, 4)).astype(np.float32)
    metadata, chunks = encode_array(values, (60_000, 4), {})
    assert {"zarr.json": metadata, **chunks} == write_with_zarr(tmp_path, values, (60_000, 4), {})


def test_metadata_of_groups_is_that_of_zarr(tmp_path):
    zarr.create_group(LocalStore(tmp_path), zarr_format=3, attributes={"name": "ä", "n": [1, "x"]})
    assert encode_group_metadata({"name": "ä", "n": [1, "x"]}) == (tmp_path / "zarr.json").read_bytes()
