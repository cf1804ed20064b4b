"""Arrays of integers and one JSON header -> one compressed text that the page's `decode.js` reads.

The bytes, before zlib: the length of the header (uint32, little endian), the header (JSON, ASCII), then the streams.
A stream is one array: zigzag, so that small negative numbers are small, and its bytes plane by plane, all low bytes
first; zlib then finds the high planes empty.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_LEVEL = 6


class StreamWriter:
    """Collects streams; each is named by its number."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._specs: list[tuple[int, int, int]] = []
        self._n_bytes = 0

    def add(self, values: npt.ArrayLike) -> int:
        """Add integers in the range of int32; returns the number of the stream."""
        signed = np.asarray(values, dtype=np.int64)
        folded = ((signed << 1) ^ (signed >> 63)).astype("<u4")
        highest = int(folded.max()) if len(folded) else 0
        width = max(1, (highest.bit_length() + 7) // 8)
        planes = np.ascontiguousarray(folded.view(np.uint8).reshape(len(folded), 4)[:, :width].T).tobytes()
        self._specs.append((self._n_bytes, len(folded), width))
        self._parts.append(planes)
        self._n_bytes += len(planes)
        return len(self._specs) - 1

    def close(self, header: dict[str, Any]) -> str:
        """Join the streams and a header, which gets their places as `streams`, into base64 of zlib."""
        return base64.b64encode(zlib.compress(self.pack(header), _LEVEL)).decode("ascii")

    def pack(self, header: dict[str, Any]) -> bytes:
        """Join the streams and a header as `close` does, without compressing them."""
        text = json.dumps({**header, "streams": self._specs}, allow_nan=False, separators=(",", ":")).encode("ascii")
        return b"".join([np.uint32(len(text)).astype("<u4").tobytes(), text, *self._parts])


def decode_page(text: str) -> tuple[dict[str, Any], list[npt.NDArray[np.int64]]]:
    """Read what `StreamWriter.close` wrote: the header and every stream."""
    return unpack_page(zlib.decompress(base64.b64decode(text)))


def unpack_page(whole: bytes) -> tuple[dict[str, Any], list[npt.NDArray[np.int64]]]:
    """Read what `StreamWriter.pack` wrote."""
    length = int(np.frombuffer(whole[:4], "<u4")[0])
    header = json.loads(whole[4 : 4 + length])
    streams = []
    for offset, count, width in header["streams"]:
        raw = np.frombuffer(whole, np.uint8, count * width, 4 + length + offset).reshape(width, count)
        folded = sum((raw[plane].astype(np.int64) << (8 * plane) for plane in range(width)), np.zeros(count, np.int64))
        streams.append((folded >> 1) ^ -(folded & 1))
    return header, streams
