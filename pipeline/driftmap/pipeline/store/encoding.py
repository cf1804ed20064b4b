"""Arrays as files of Zarr v3: the same bytes that zarr writes, without its event loop.

Writing the six arrays of a graph of 2,000 rows took 24 ms of a core through zarr and takes 4 so, of 100 rows 17 and 3.
Reading goes through zarr (tests/pipeline/test_encoding.py compares the files).
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np
from numcodecs import Blosc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILL_VALUES = {"b": False, "i": 0, "u": 0, "f": 0.0}
"""What zarr takes for a value that was not written, by the kind of a dtype: the ones that are stored."""


def encode_group_metadata(attributes: Mapping[str, Any]) -> bytes:
    """Make the metadata of a group."""
    return _to_json({"attributes": attributes, "zarr_format": 3, "node_type": "group"})


def encode_array(
    values: np.ndarray[Any, Any], chunk_shape: tuple[int, ...], attributes: Mapping[str, Any]
) -> tuple[bytes, dict[str, bytes]]:
    """Make the metadata of an array, and its chunks by their keys.

    Parameters
    ----------
    values
        Numbers or booleans in this machine's order, contiguous.
    chunk_shape
        Whole rows, and how many of them.
    attributes
        As JSON.
    """
    return _encode_metadata(values, chunk_shape, attributes), dict(_encode_chunks(values, chunk_shape))


def _encode_metadata(
    values: np.ndarray[Any, Any], chunk_shape: tuple[int, ...], attributes: Mapping[str, Any]
) -> bytes:
    dtype = values.dtype
    in_bytes: dict[str, Any] = {"name": "bytes"}
    if dtype.itemsize > 1:
        in_bytes["configuration"] = {"endian": "little"}
    packed = {"typesize": dtype.itemsize, "cname": "lz4", "clevel": 5, "shuffle": "shuffle", "blocksize": 0}
    return _to_json(
        {
            "shape": values.shape,
            "data_type": dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk_shape}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": FILL_VALUES[dtype.kind],
            "codecs": [in_bytes, {"name": "blosc", "configuration": packed}, {"name": "crc32c"}],
            "attributes": attributes,
            "zarr_format": 3,
            "node_type": "array",
            "storage_transformers": [],
        }
    )


def _encode_chunks(values: np.ndarray[Any, Any], chunk_shape: tuple[int, ...]) -> Iterator[tuple[str, bytes]]:
    if not values.size:
        return
    codec, n_rows = _make_codec(values.dtype.itemsize), chunk_shape[0]
    stored = values.astype(values.dtype.newbyteorder("<"), copy=False)
    for number, start in enumerate(range(0, len(values), n_rows)):
        chunk = stored[start : start + n_rows]
        if len(chunk) < n_rows:  # every chunk is whole
            chunk = np.concatenate([chunk, np.zeros((n_rows - len(chunk), *chunk.shape[1:]), chunk.dtype)])
        packed = bytes(codec.encode(chunk.reshape(-1).view(np.uint8)))
        key = "/".join(["c", str(number), *["0"] * (values.ndim - 1)])
        yield key, packed + google_crc32c.value(packed).to_bytes(4, "little")


@lru_cache
def _make_codec(itemsize: int) -> Blosc:
    return Blosc(cname="lz4", clevel=5, shuffle=Blosc.SHUFFLE, typesize=itemsize)


def _to_json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=2).encode()
