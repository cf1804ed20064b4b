"""Types of entity ids: how ids are kept and compared, and how they are given back as they came.

Ids are kept as integers or as bytes of one width (`keys`). Whole numbers and text are kept as they are; of every other
type the name is kept with the source's specification (`SourceSpec.id_type`), and its values are

| type | kept as |
|---|---|
| uint64 | uint64 |
| UUID | its usual text |
| bytes, of one length or of several | hexadecimal text: numpy's own bytes end at their last zero |
| dates, times, durations | their count as int64 |
| decimals | text |
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    Keys = np.ndarray[Any, Any]

UUID = "uuid"
UINT64 = "uint64"
BINARY = "binary"

UUID_EXTENSION = "arrow.uuid"
"""Arrow's name of the extension type."""

UUID_BYTES = 16
_PARAMETRIC = re.compile(
    r"fixed_size_binary\[(?P<width>\d+)\]|timestamp\[(?P<unit>s|ms|us|ns), tz=(?P<zone>.+)\]"
    r"|decimal(?P<bits>32|64|128|256)\((?P<precision>\d+), (?P<scale>-?\d+)\)"
)


def name_id_type(kind: pa.DataType) -> str | None:
    """Name the type of an id column; None for whole numbers and text, which are kept as they are, and for no ids."""
    import pyarrow as pa  # late: opening a store needs none of it
    import pyarrow.types as pt

    if getattr(kind, "extension_name", "") == UUID_EXTENSION:
        return UUID
    if isinstance(kind, pa.BaseExtensionType):
        return name_id_type(kind.storage_type)
    if pt.is_dictionary(kind):
        return name_id_type(kind.value_type)
    if pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_binary_view(kind):
        return BINARY
    is_dated = pt.is_temporal(kind) and not pt.is_interval(kind)
    if pt.is_fixed_size_binary(kind) or pt.is_uint64(kind) or pt.is_decimal(kind) or is_dated:
        return str(kind)
    return None


def join_id_types(kinds: list[pa.DataType]) -> str | None:
    """Name the one type of an id column that has these in several files; where they differ, files are read as it.

    Of integers uint64 holds the others; bytes of several lengths hold those of one.
    """
    names = [name_id_type(kind) for kind in kinds]
    if UINT64 in names:
        return UINT64
    return BINARY if BINARY in names and all(is_bytes(name) for name in names) else names[0]


def is_bytes(id_type: str | None) -> bool:
    """Whether ids are bytes, UUIDs included, which are kept as text."""
    return id_type in (BINARY, UUID) or (id_type or "").startswith("fixed_size_binary")


def find_width(id_type: str) -> int | None:
    """Find the length of ids that are bytes of one length; None for others."""
    found = _PARAMETRIC.fullmatch(id_type)
    return UUID_BYTES if id_type == UUID else int(found["width"]) if found and found["width"] else None


def as_arrow_type(id_type: str) -> pa.DataType:
    """Give the Arrow type of a name that `name_id_type` gave."""
    import pyarrow as pa

    if id_type == UUID:
        return pa.uuid() if hasattr(pa, "uuid") else pa.binary(UUID_BYTES)
    found = _PARAMETRIC.fullmatch(id_type)
    if found is None:
        return pa.type_for_alias(id_type)
    if found["width"]:
        return pa.binary(int(found["width"]))
    if found["unit"]:
        return pa.timestamp(found["unit"], found["zone"])
    return getattr(pa, f"decimal{found['bits']}")(int(found["precision"]), int(found["scale"]))


def encode_bytes(values: pa.Array, *, is_uuid: bool = False) -> pa.Array:
    """Write bytes, none missing, as hexadecimal text; those of UUIDs in their usual form."""
    import pyarrow as pa

    raw = values.cast(pa.large_binary())
    _, offset_buffer, data = raw.buffers()
    if not len(raw):
        return pa.array([], pa.large_string())
    offsets = np.frombuffer(offset_buffer, dtype=np.int64)[raw.offset : raw.offset + len(raw) + 1]
    begin, end = int(offsets[0]), int(offsets[-1])
    digits = memoryview(data)[begin:end].hex().encode() if data is not None else b""
    ends = offsets - begin
    if is_uuid:
        rows = np.frombuffer(digits, dtype=np.uint8).reshape(len(raw), 2 * UUID_BYTES)
        digits = np.insert(rows, (8, 12, 16, 20), ord("-"), axis=1).tobytes()
        doubled = 36 * np.arange(len(raw) + 1, dtype=np.int64)
    else:
        doubled = 2 * ends.astype(np.int64)
    return pa.Array.from_buffers(pa.large_string(), len(raw), [None, pa.py_buffer(doubled), pa.py_buffer(digits)])


def as_id_column(keys: Keys, id_type: str | None) -> pa.Array:
    """Give ids as an Arrow column of the type that they came in."""
    import pyarrow as pa

    if id_type is None:
        return as_value_column(keys)
    kind = as_arrow_type(id_type)
    if is_bytes(id_type):
        is_extension = isinstance(kind, pa.BaseExtensionType)
        storage = pa.array(_as_bytes(keys), kind.storage_type if is_extension else kind)
        return pa.ExtensionArray.from_storage(kind, storage) if is_extension else storage
    if keys.dtype.kind in "SU":
        return pa.array(_as_texts(keys), pa.string()).cast(kind)
    if keys.dtype.kind == "M":  # of a column that is the time too
        return pa.array(keys).cast(kind)
    if id_type in ("date32[day]", "time32[s]", "time32[ms]"):
        return pa.array(keys.astype(np.int32)).cast(kind)
    return pa.array(keys).cast(kind)


def decode_ids(keys: Keys, id_type: str | None) -> Keys:
    """Give ids as numpy holds them: dates as datetime64 (UTC), what it has no type for as Python's objects.

    Objects are `bytes`, `uuid.UUID`, `decimal.Decimal` and `datetime.time`.
    """
    if id_type in (None, UINT64):
        return keys
    column = as_id_column(keys, id_type)
    if id_type.startswith(("date", "timestamp", "duration")):
        return np.array(column.to_numpy(zero_copy_only=False))
    decoded = np.empty(len(keys), dtype=object)
    decoded[:] = [uuid.UUID(text) for text in _as_texts(keys)] if id_type == UUID else column.to_pylist()
    return decoded


def show_ids(windows: list[Keys], id_type: str | None) -> list[Keys]:
    """Give the ids of several windows as they are shown and searched: numbers, or text.

    UUIDs are text, dates ISO dates; bytes are text where all of them are printable text, and hexadecimal otherwise.
    """
    if id_type in (None, UINT64, UUID):
        return windows
    if is_bytes(id_type):
        texts = [[_read_printable(value) for value in _as_bytes(keys)] for keys in windows]
        if any(text is None for window in texts for text in window):
            return [np.array(_as_texts(keys), dtype=np.str_) for keys in windows]
        return [np.array(window, dtype=np.str_) for window in texts]
    return [np.array([_show(value) for value in as_id_column(keys, id_type).to_pylist()], np.str_) for keys in windows]


def _show(value: object) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _read_printable(value: bytes) -> str | None:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


def _as_texts(keys: Keys) -> list[str]:
    texts: list[str] = (np.char.decode(keys, "utf-8") if keys.dtype.kind == "S" else keys).tolist()
    return texts


def _as_bytes(keys: Keys) -> list[bytes]:
    return [bytes.fromhex(text.replace("-", "")) for text in _as_texts(keys)]


def as_value_column(keys: Keys) -> pa.Array:
    """Give numbers, dates or texts as an Arrow column; bytes of a store of before 0.2 as text where they are."""
    import pyarrow as pa

    if keys.dtype.kind == "U":
        return pa.array(keys.tolist(), pa.string())  # of numpy's texts Arrow takes what comes before a zero
    if keys.dtype.kind == "O" and all(isinstance(key, bytes) for key in keys.tolist()):
        return pa.array([key.decode("utf-8", errors="replace") for key in keys.tolist()], pa.string())
    if keys.dtype.kind != "S":
        return pa.array(keys)
    try:
        return pa.array(_as_texts(keys), pa.string())
    except UnicodeDecodeError:
        return pa.array(keys.tolist(), pa.binary())
