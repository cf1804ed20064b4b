"""Types of columns in files of text, which say none: found from all values, and the same for every part of a file."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.columns.choice import find_row_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from driftmap.pipeline.config.source_spec import SourceSpec

_WHOLE = r"^-?(0|[1-9][0-9]{0,17})$"
"""Whole numbers as they are written back: `007` and what int64 cannot hold stay text."""
_PADDED = r"^[+-]?0[0-9]"
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$|^-?(0|[1-9][0-9]*)$"
_TRUTH = r"^([Tt]rue|[Ff]alse|TRUE|FALSE)$"

KINDS = {"integer": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "text": pa.string()}
"""What a column with a role is read as, by the name that a source's specification keeps."""


class TypeFinder:
    """Finds the types of a file's columns, part by part.

    Parameters
    ----------
    path
        Of the file, for messages.
    spec
        Roles; and, of a run, types and pin. Of a run the first part suffices: it shows which columns are there.
    is_text
        Whether values say nothing of their type, as in CSV: then columns with a role come as text.
    """

    def __init__(self, path: str, spec: SourceSpec, *, is_text: bool) -> None:
        self._path = path
        self._spec = spec
        self._is_text = is_text
        self._given = dict(spec.text_types)
        self.is_whole = spec.pin is None or not set(self._given) >= set(spec.named_columns)
        """Whether all parts are looked at."""
        self._types: dict[str, list[pa.DataType]] = {}
        self._kinds: dict[str, list[frozenset[str]]] = {}
        self.nulls: dict[str, int] = {}
        """Missing values of each column besides those with a role, where all of the file was looked at."""
        self.ranges: dict[str, tuple[float, float]] = {}
        """Least and largest value of columns of numbers, or of lists of numbers, likewise."""
        self.lengths: dict[str, tuple[int, int]] = {}
        """Least and largest length of columns of lists, likewise."""

    @property
    def wants_more(self) -> bool:
        """Whether the next part is to be looked at."""
        return self.is_whole or not self._types

    @property
    def known(self) -> dict[str, pa.DataType]:
        """Types that are known before."""
        if self._is_text:
            return dict.fromkeys(self._spec.named_columns, pa.string()) | self._find_pinned()
        return {name: KINDS[kind] for name, kind in self._given.items()} | self._find_pinned()

    def add(self, table: pa.Table) -> None:
        """Look at a part."""
        for name in table.schema.names:
            column = table.column(name)
            self._types.setdefault(name, []).append(column.type)
            if name in self._spec.named_columns:
                if self._is_text and name not in self._given:
                    self._kinds.setdefault(name, []).append(find_text_kinds(column))
            elif self.is_whole:
                self._note(name, column)

    def find_roles(self) -> dict[str, str]:
        """Find what the columns with a role are read as."""
        spec, found = self._spec, {}
        for name in spec.named_columns:
            if name in self._given:
                found[name] = self._given[name]
            elif name in self._kinds:
                is_time = name == spec.time
                is_id = name == spec.id
                found[name] = "text" if is_time else choose_text_kind(self._kinds[name], is_id=is_id)
            elif name in self._types:
                found[name] = _name_kind(merge_kinds(self._types[name], name, self._path, is_text=False))
        return {name: kind for name, kind in found.items() if kind}

    def find_types(self, roles: Mapping[str, str], names: Sequence[str] | None) -> dict[str, pa.DataType]:
        """Find the types of all columns, those with a role as they are read."""
        pinned = self._find_pinned()
        types: dict[str, pa.DataType] = {}
        numbered = find_row_numbers(names or tuple(self._types))
        for name in names or self._types:
            if name in roles:
                types[name] = KINDS[roles[name]]
            elif name in pinned:
                types[name] = pinned[name]
            else:
                kinds = self._types.get(name, [])
                merged = merge_kinds(kinds, name, self._path, is_text=self._is_text)
                types[name] = merged if name in numbered and pt.is_integer(merged) else widen(merged)
        return types

    def _find_pinned(self) -> dict[str, pa.DataType]:
        pin = self._spec.pin
        if pin is None:
            return {}
        inner = {"bool": pa.bool_(), "list of bool": pa.list_(pa.bool_())}
        return {
            name: inner.get(kind, pa.list_(pa.float64()) if kind.startswith("list of ") else pa.float64())
            for name, kind in zip(pin.names, pin.types, strict=True)
        }

    def _note(self, name: str, column: pa.ChunkedArray) -> None:
        self.nulls[name] = self.nulls.get(name, 0) + column.null_count
        if pt.is_list(column.type):
            self._widen(self.lengths, name, pc.list_value_length(column))
            column = pc.list_flatten(column)
        if pt.is_integer(column.type) or pt.is_floating(column.type):
            self._widen(self.ranges, name, column)

    def _widen(self, bounds: dict[str, Any], name: str, values: pa.ChunkedArray) -> None:
        found: Mapping[str, Any] = pc.min_max(values).as_py()
        if found["min"] is not None:
            low, high = bounds.get(name, (found["min"], found["max"]))
            bounds[name] = min(low, found["min"]), max(high, found["max"])


def find_text_kinds(column: pa.ChunkedArray) -> frozenset[str]:
    """Find what texts can be read as, empty ones aside: any of integer, float and bool, besides text."""
    values = pc.drop_null(pc.if_else(pc.equal(column, ""), None, column))
    tests = {"integer": _WHOLE, "float": _NUMBER, "bool": _TRUTH}
    return frozenset(
        name for name, test in tests.items() if pc.all(pc.match_substring_regex(values, test), min_count=0).as_py()
    )


def choose_text_kind(kinds: Iterable[frozenset[str]], *, is_id: bool) -> str:
    """Choose what a column is read as, by what each of its parts can be read as; ids are whole numbers or text."""
    common = reduce(frozenset.intersection, kinds)
    order = ("integer",) if is_id else ("integer", "float", "bool")
    return "text" if common == {"integer", "float", "bool"} else next((k for k in order if k in common), "text")


def read_texts(column: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
    """Read texts as what their column is; empty ones are missing.

    Raises
    ------
    pyarrow.ArrowInvalid
        When one is something else, or a whole number with zeros before it, which would not be written back as it came.
    """
    texts = pc.if_else(pc.equal(column, ""), None, column)
    if kind == "integer":
        padded = texts.filter(pc.match_substring_regex(texts, _PADDED))
        if len(padded):
            msg = f"{padded[0].as_py()!r} begins with a zero, and whole numbers without were expected, as in the run"
            raise pa.ArrowInvalid(msg)
    return texts if kind == "text" else texts.cast(KINDS[kind])


def merge_kinds(types: Iterable[pa.DataType], name: str, path: str, *, is_text: bool) -> pa.DataType:
    """Join the types that Arrow found for a column in several parts of a file.

    Parameters
    ----------
    types
        Of each part.
    name, path
        Of the column and the file, for the message.
    is_text
        Whether what differs is text, as in CSV; else it is refused.
    """
    joined = pa.null()
    for kind in types:
        found = _merge(joined, kind)
        if found is None and not is_text:
            raise SourceError(f"{path}: column {name!r} holds {joined} and {kind}; write it as one type")
        joined = pa.string() if found is None else found
    return joined


def _merge(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if one == other or pt.is_null(other):
        return one
    if pt.is_null(one):
        return other
    if {one, other} == {pa.int64(), pa.float64()}:
        return pa.float64()
    if pt.is_list(one) and pt.is_list(other):
        inner = _merge(one.value_type, other.value_type)
        return None if inner is None else pa.list_(inner)
    is_textual = [pt.is_temporal(kind) or pt.is_string(kind) for kind in (one, other)]
    return pa.string() if all(is_textual) else None


def widen(kind: pa.DataType) -> pa.DataType:
    """Give the type that numbers of vectors are read as: text says of none whether it is whole everywhere."""
    if pt.is_list(kind):
        return pa.list_(widen(kind.value_type))
    return pa.float64() if pt.is_integer(kind) or pt.is_null(kind) else kind


def _name_kind(kind: pa.DataType) -> str:
    """Name what a column of JSON is read as; nothing for one that can have no role."""
    if pt.is_temporal(kind):
        return "text"
    return next((name for name, known in KINDS.items() if kind == known), "text" if pt.is_null(kind) else "")
