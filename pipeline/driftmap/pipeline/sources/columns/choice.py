"""Which columns make up the vectors: chosen by name, glob and range, or by rule; pinned, and compared with the pin."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.types as pt

from driftmap.pipeline.config.vector_pin import VectorPin
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.columns.periods import find_periods, refuse_periods
from driftmap.pipeline.sources.row_ranges import name_some

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from driftmap.pipeline.config.source_spec import SourceSpec

_INDEX_NAME = re.compile(r"__index_level_\d+__|Unnamed: \d+|")
"""Names that pandas gives to an index without one, in Parquet and by CSV."""

_ROW_NUMBERS = ("index", "row_nr")
"""Names that pandas' `reset_index` and polars' `with_row_index` give to numbers of rows."""
_LEVEL_NAME = re.compile(r"level_\d+")
"""Names that pandas' `reset_index` gives to the levels of an index."""
_MOST_LEVELS = 3
"""Indexes of pandas have hardly more levels: of more such columns each is a feature."""

_GLOB_SIGNS = frozenset("*?[")


def choose_vectors(schema: pa.Schema, spec: SourceSpec, folders: Iterable[str] = ()) -> VectorPin:
    """Choose the columns of the vectors.

    Where `spec.vectors` names some, it is these; a glob or range among its entries takes columns of numbers only.
    Else it is the only column of lists of numbers; else all columns of numbers, true/false included. Never taken
    unless named outright: columns with another role, indexes of pandas, numbers of rows by their name, and columns that
    are `folders`. Periods of pandas never are. `spec.exclude` is taken off in any case.

    Raises
    ------
    SourceError
        When there are none, or it is not clear which.
    """
    periods = find_periods(schema)
    refuse_periods({name: freq for name, freq in periods.items() if name in (*spec.named_columns, spec.vectors)})
    _refuse_unfit_labels(schema, spec)
    kinds = {field.name: None if field.name in periods else kind_of(field.type) for field in schema}
    dropped = _match(spec.exclude, schema.names, "exclude", spec.path)
    reasons = _find_reasons(schema, spec, set(folders))
    numbers = {name for name, kind in kinds.items() if kind is not None} - reasons.keys() - set(dropped)
    named_so = find_row_numbers(schema.names)
    numbered = {field.name for field in schema if field.name in named_so and pt.is_integer(field.type)}
    if numbers - numbered:  # else they are all that there is
        reasons = dict.fromkeys(numbered, "numbers of rows, by its name; --vectors takes it") | reasons
    if spec.vectors is not None:
        asked = (spec.vectors,) if isinstance(spec.vectors, str) else spec.vectors
        outright = {name for name in asked if name in kinds}
        matched = _match(asked, schema.names, "vectors", spec.path)
        names = [n for n in matched if n in outright or (kinds[n] is not None and n not in reasons)]
        names = [name for name in names if name not in dropped]
        _refuse_not_numbers(names, schema, kinds)
        if not names:
            raise SourceError(
                f"vectors: {name_some([repr(name) for name in asked])} leave no column of numbers; the columns are "
                f"{name_some(schema.names)}"
            )
        return _make_pin(names, schema, kinds, ())
    free = [name for name in schema.names if name not in reasons and name not in dropped and kinds[name] is not None]
    lists = [name for name in free if str(kinds[name]).startswith("list of ")]
    if len(set(lists)) > 1:
        raise SourceError(f"vectors may be in any of the columns {name_some(lists)}; name one of them (vectors)")
    names = lists or free
    if not names:
        raise SourceError(
            f"{spec.path or 'the source'} has no column of vectors: neither lists of numbers nor numeric "
            f"columns besides time, id, label and by; it has {name_some(schema.names)}"
        )
    return _make_pin(names, schema, kinds, _explain_left_out(schema, names, kinds, reasons, dropped, spec))


def check_pin(schema: pa.Schema, spec: SourceSpec, folders: Iterable[str], where: str) -> None:
    """Refuse a schema that is not of the pinned columns.

    Parameters
    ----------
    schema
        Of one file, or of a table.
    spec
        With its pin.
    folders
        Columns that are names of folders.
    where
        The file, for the message.

    Raises
    ------
    SourceError
        Naming the column, what it is and what was expected.
    """
    pin = spec.pin
    if pin is None:
        return
    for name, expected in zip(pin.names, pin.types, strict=True):
        if name not in schema.names:
            raise SourceError(f"{where} has no column {name!r}, of which the vectors of this run are made ({pin})")
        if schema.names.count(name) > 1:
            raise SourceError(f"{where} has more than one column {name!r}; rename one of them")
        found = kind_of(schema.field(name).type)
        if not fits(found, expected):
            raise SourceError(
                f"{where}: column {name!r} holds {schema.field(name).type}, and {expected} was expected, as in the "
                f"run ({pin}); convert it"
            )
        _check_length(schema.field(name), pin, where)
    if pin.is_list:
        return
    extra = [name for name in _choose_quietly(schema, spec, folders) if name not in pin.names]
    if extra:
        raise SourceError(
            f"{where} has columns that the run had not, and that would be in the vectors: {name_some(extra)} "
            f"({pin}); remove them from the file, or make a new store with them"
        )


def merge_types(pins: Sequence[VectorPin]) -> VectorPin:
    """Join the pins of several files of the same columns: a type that differs is a `number`.

    Raises
    ------
    SourceError
        When a column is true/false in one file only, or lists here and single numbers there.
    """
    types = []
    for name, *kinds in zip(pins[0].names, *(pin.types for pin in pins), strict=True):
        different = set(kinds)
        bases = {kind.removeprefix("list of ") for kind in different}
        is_list = {kind.startswith("list of ") for kind in different}
        if len(is_list) > 1 or (len(bases) > 1 and "bool" in bases):
            raise SourceError(
                f"column {name!r} is not of one type in all files ({', '.join(sorted(different))}); convert it to one"
            )
        types.append(kinds[0] if len(different) == 1 else ("list of " if is_list.pop() else "") + "number")
    return pins[0].model_copy(update={"types": tuple(types)})


def kind_of(kind: pa.DataType) -> str | None:
    """Name the kind of a column that can be in vectors; None for others."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind):
        inner = kind_of(kind.value_type)
        return None if inner is None or inner.startswith("list of ") else f"list of {inner}"
    if pt.is_boolean(kind):
        return "bool"
    if pt.is_integer(kind):
        return "integer"
    return "float" if pt.is_floating(kind) or pt.is_decimal(kind) else None


def fits(found: str | None, expected: str) -> bool:
    """Whether a column of one kind is what was expected: that kind, or any number where files differ in it."""
    if found == expected:
        return True
    is_number = found is not None and found.removeprefix("list of ") in ("integer", "float")
    return is_number and expected == ("list of number" if str(found).startswith("list of ") else "number")


def find_index_columns(schema: pa.Schema) -> set[str]:
    """Find the columns that were an index of pandas: named so in the metadata, or by a name that pandas gives."""
    found = {name for name in schema.names if _INDEX_NAME.fullmatch(name)}
    try:
        saved: Any = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        indexes = saved.get("index_columns", [])
        return found | {name for name in indexes if isinstance(name, str) and name in schema.names}
    except (ValueError, AttributeError, TypeError):  # metadata of another program
        return found


def find_row_numbers(names: Iterable[str]) -> set[str]:
    """Find the columns that, by their names, hold numbers of rows, if they hold whole numbers.

    Parameters
    ----------
    names
        Of all columns.

    Returns
    -------
    set of str
        Some of the names.
    """
    levels = {name for name in names if _LEVEL_NAME.fullmatch(name)}
    return {name for name in names if name in _ROW_NUMBERS} | (levels if len(levels) <= _MOST_LEVELS else set())


def _refuse_unfit_labels(schema: pa.Schema, spec: SourceSpec) -> None:
    """Refuse columns beside the vectors that hold lists, records or lengths of time, before any window is read."""
    for name in spec.beside:
        kind = schema.field(name).type if schema.names.count(name) == 1 else pa.null()
        if pt.is_duration(kind) or (pt.is_nested(kind) and not isinstance(kind, pa.BaseExtensionType)):
            remedy = f"; convert it, such as with frame[{name!r}].dt.total_seconds()" if pt.is_duration(kind) else ""
            raise SourceError(f"label column {name!r} holds {kind}; numbers, text or dates were expected{remedy}")


def _find_reasons(schema: pa.Schema, spec: SourceSpec, folders: set[str]) -> dict[str, str]:
    reasons = dict.fromkeys(find_index_columns(schema), "an index of pandas")
    reasons |= dict.fromkeys(folders, "a name of folders")
    return reasons | dict.fromkeys(spec.named_columns, "")


def _match(asked: Sequence[str], there: Sequence[str], option: str, path: str) -> list[str]:
    found: dict[str, None] = {}
    for text in asked:
        if text in there:
            if list(there).count(text) > 1:
                raise SourceError(f"{path or 'the source'} has more than one column {text!r}; rename one of them")
            found[text] = None
            continue
        matched = _match_range(text, there)
        if matched is None and _GLOB_SIGNS & set(text):
            matched = [name for name in there if fnmatchcase(name, text)]
        if not matched:
            known = ", ".join(there[:50]) + (f" and {len(there) - 50} more" if len(there) > 50 else "")
            raise SourceError(
                f"{option}: {path or 'the source'} has no column {text!r}; its columns are: {known}. Give names, globs "
                "such as 'e*', or ranges such as e0:e9, each by itself"
            )
        found |= dict.fromkeys(matched)
    return list(found)


def _match_range(text: str, there: Sequence[str]) -> list[str] | None:
    for place in (match.start() for match in re.finditer(":", text)):
        first, last = text[:place], text[place + 1 :]
        if first in there and last in there:
            low, high = sorted((list(there).index(first), list(there).index(last)))
            return list(there[low : high + 1])
    return None


def _refuse_not_numbers(names: Sequence[str], schema: pa.Schema, kinds: dict[str, str | None]) -> None:
    for name in names:
        if kinds[name] is None:
            raise SourceError(
                f"vectors: column {name!r} holds {schema.field(name).type}; numbers, true/false or lists of numbers "
                "were expected"
            )
    lists = [name for name in names if str(kinds[name]).startswith("list of ")]
    if lists and len(names) > 1:
        others = [name for name in names if name != lists[0]]
        raise SourceError(
            f"vectors: {lists[0]!r} is a column of lists, and {name_some(list(map(repr, others)))} are named too; "
            "one column of lists, or any number of single numbers, was expected"
        )


def _make_pin(
    names: Sequence[str], schema: pa.Schema, kinds: dict[str, str | None], left_out: Sequence[str]
) -> VectorPin:
    twice = next((name for name in names if schema.names.count(name) > 1), None)
    if twice is not None:
        raise SourceError(f"the source has more than one column {twice!r}; rename one of them")
    types = tuple(str(kinds[name]) for name in names)
    dimension: int | None = len(names)
    if types[0].startswith("list of "):
        dimension = _fixed_length(schema.field(names[0]).type)
    return VectorPin(names=tuple(names), types=types, dimension=dimension, left_out=tuple(left_out))


def _explain_left_out(
    schema: pa.Schema,
    names: Sequence[str],
    kinds: dict[str, str | None],
    reasons: dict[str, str],
    dropped: Sequence[str],
    spec: SourceSpec,
) -> list[str]:
    said = []
    for name in dict.fromkeys(schema.names):
        if name in names or name in spec.named_columns:
            continue
        if kinds[name] is None:
            kind = schema.types[schema.names.index(name)]  # of several of one name, the first
            reason = "periods of pandas" if name in find_periods(schema) else str(kind)
        else:
            reason = reasons.get(name) or (
                "excluded" if name in dropped else f"a number beside the lists of {names[0]}"
            )
        said.append(f"{name} ({reason})")
    return said


def _choose_quietly(schema: pa.Schema, spec: SourceSpec, folders: Iterable[str]) -> tuple[str, ...]:
    """Choose as for a new run; nothing where that cannot be: what was pinned is there, so no more is wanted."""
    patterns = [text for text in spec.exclude if text in schema.names or _GLOB_SIGNS & set(text) or ":" in text]
    kept = []
    for text in patterns:  # what was excluded need not be there any more
        try:
            _match((text,), schema.names, "exclude", "")
        except SourceError:
            continue
        kept.append(text)
    try:
        return choose_vectors(schema, spec.model_copy(update={"exclude": tuple(kept)}), folders).names
    except SourceError:
        return ()


def _check_length(field: pa.Field, pin: VectorPin, where: str) -> None:
    length = _fixed_length(field.type) if pin.is_list else None
    if length is not None and pin.dimension is not None and length != pin.dimension:
        raise SourceError(
            f"{where}: the lists of column {field.name!r} have {length:,} numbers, and {pin.dimension:,} were "
            "expected, as in the run"
        )


def _fixed_length(kind: pa.DataType) -> int | None:
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    return int(kind.list_size) if pt.is_fixed_size_list(kind) else None
