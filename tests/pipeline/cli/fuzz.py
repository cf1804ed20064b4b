"""Input of every kind for the command: settings, schemas, metadata, logs and locks that nobody would write."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import resource
import signal
import warnings
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
from hypothesis import strategies as st

from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.config.run_settings import RUN_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

TIME_LIMIT, MEMORY_LIMIT = 20, 2 * 2**30

SAFE = st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"])
"""A text of these names nothing outside of the folder."""
TEXTS = st.one_of(
    st.text(SAFE, max_size=12),
    st.sampled_from(
        ["", "[/]", "[red]", "\x1b[2J", "é日本", "e*", "e0:e9", "__import__('os').system('touch executed')",
         "$(touch executed)", "; touch executed", "${HOME}", "%s%n", "{0.__class__}", "a" * 3000, "NaN", "inf", "-1",
         "1e400", "auto", "2D", "1e9D"]
    ),
)  # fmt: skip
NUMBERS = st.one_of(
    st.integers(-3, 70),
    st.sampled_from([2**31, 2**63, -(2**63), 10**30, 0, -1]),
    st.floats(),
    st.sampled_from([1e308, 5e-324, -0.0, 0.5, float("nan"), float("inf")]),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
JSONS: st.SearchStrategy[Any] = st.one_of(VALUES, st.none())


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def try_command(*arguments: object) -> Ended:
    """Run a command in this process; it must end in time, with a code of its own, and one message where it refuses."""
    out, err = io.StringIO(), io.StringIO()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings(), _limit_time():
        warnings.simplefilter("ignore")
        code = run_command([str(argument) for argument in arguments])
    ended = Ended(code, out.getvalue(), err.getvalue())
    assert code in {0, 2} or (arguments[0] == "verify" and code == 1), ended
    assert "Traceback" not in ended.err, ended
    assert code != 2 or sum(line.startswith("Error:") for line in ended.err.splitlines()) == 1, ended
    assert "\x1b" not in ended.out + ended.err, ended
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MEMORY_LIMIT, arguments
    return ended


@contextlib.contextmanager
def _limit_time() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise AssertionError(f"the command took more than {TIME_LIMIT} s")

    former = signal.signal(signal.SIGALRM, stop)
    signal.alarm(TIME_LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)


def write_toml(options: dict[str, Any]) -> str:
    """Write options as TOML."""
    return "".join(f"{_to_toml(name)} = {_to_toml(value)}\n" for name, value in options.items())


def _to_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_to_toml(name)} = {_to_toml(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_to_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") if isinstance(value, str) else str(value)


SOURCE_NAMES = ["time", "id", "label", "vectors", "exclude", "by", "window", "stride", "rows", "row_stride", "timezone"]
OTHER_NAMES = ["order", "allow_unrelated", "on_empty", "memory_limit", "workers", "worker_memory"]
OPTION_NAMES = [*RUN_SETTINGS, *SOURCE_NAMES, *OTHER_NAMES]


@st.composite
def options_of_a_run(draw: st.DrawFn) -> dict[str, Any]:
    """Options by name, most of a right kind, with values that may be of any."""
    names = draw(st.lists(st.one_of(st.sampled_from(OPTION_NAMES), TEXTS), min_size=1, max_size=4, unique=True))
    options = {name: draw(st.one_of(NUMBERS, VALUES)) for name in names}
    if draw(st.booleans()):
        options = {"by": "w", "id": "id", **options}
    return options


def _lists(values: st.SearchStrategy[Any], size: int | None = None) -> st.SearchStrategy[Any]:
    return st.lists(values, min_size=size or 0, max_size=size if size is not None else 4)


FLOATS = st.one_of(st.floats(-10, 10, width=16), st.sampled_from([float("nan"), float("inf"), 60000.0]))
COLUMNS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    **{str(kind): (kind, st.integers(0, 100)) for kind in (pa.int8(), pa.uint16(), pa.int64(), pa.uint64())},
    **{str(kind): (kind, FLOATS) for kind in (pa.float16(), pa.float32(), pa.float64())},
    "bool": (pa.bool_(), st.booleans()),
    "string": (pa.string(), TEXTS),
    "large_string": (pa.large_string(), TEXTS),
    "binary": (pa.binary(), st.binary(max_size=9)),
    "fixed binary": (pa.binary(4), st.binary(min_size=4, max_size=4)),
    "decimal": (pa.decimal128(12, 2), st.integers(-999, 999).map(lambda cents: Decimal(cents) / 100)),
    "date": (pa.date32(), st.dates(dt.date(1, 1, 2), dt.date(9999, 12, 30))),
    "time": (pa.time64("us"), st.times()),
    "timestamp s": (pa.timestamp("s"), st.integers(-(2**40), 2**40)),
    "timestamp ns": (pa.timestamp("ns", "Europe/Berlin"), st.integers(-(2**62), 2**62)),
    "duration": (pa.duration("ms"), st.integers(0, 10**9)),
    "null": (pa.null(), st.none()),
    "list": (pa.list_(pa.float32()), _lists(FLOATS)),
    "lists of one length": (pa.list_(pa.float64()), _lists(FLOATS, 3)),
    "fixed list": (pa.list_(pa.float32(), 3), _lists(FLOATS, 3)),
    "list of texts": (pa.list_(pa.string()), _lists(TEXTS)),
    "struct": (pa.struct([("a", pa.int32())]), st.fixed_dictionaries({"a": st.integers(0, 9)})),
    "map": (pa.map_(pa.string(), pa.int32()), st.lists(st.tuples(TEXTS, st.integers(0, 9)), max_size=2)),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """A table of any columns, which may hold missing values; some have windows, ids and vectors of a usual kind."""
    n_rows = draw(st.sampled_from([0, 1, 2, 7, 24]))
    names = ["w", "id", *draw(st.lists(TEXTS, max_size=3))]
    arrays = []
    for _ in names:
        kind, values = COLUMNS[draw(st.sampled_from(sorted(COLUMNS)))]
        if draw(st.integers(0, 4)) == 0:
            values = st.one_of(st.none(), values)
        array = pa.array(draw(st.lists(values, min_size=n_rows, max_size=n_rows)), kind)
        is_packed = kind in (pa.string(), pa.int64()) and draw(st.booleans())
        arrays.append(array.dictionary_encode() if is_packed else array)
    if draw(st.booleans()):
        arrays[0] = pa.array([number % 2 for number in range(n_rows)])
    if draw(st.booleans()):
        arrays[1] = pa.array([number // 2 for number in range(n_rows)])
    if draw(st.booleans()):
        names.append("v")
        flat = pa.array([float(number * number % 17) for number in range(3 * n_rows)], pa.float32())
        arrays.append(pa.FixedSizeListArray.from_arrays(flat, 3))
    return pa.table(arrays, names)


@st.composite
def changes(draw: st.DrawFn, document: Any) -> bytes:
    """A document of JSON in which something was changed, taken away or added; now and then, no JSON at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.one_of(st.binary(max_size=40), st.sampled_from([b"[" * 100_000, b"", b"null", b'{"a": 1e999}'])))
    document = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        holder, key = _choose_place(draw, document)
        if holder is None:
            return json.dumps(draw(JSONS)).encode()
        if draw(st.integers(0, 3)) == 0:
            del holder[key]
        else:
            holder[key] = draw(
                st.one_of(JSONS, st.sampled_from(["../../outside", "/etc/passwd", -1, 2**62, 10**12, []]))
            )
        if isinstance(holder, dict) and draw(st.integers(0, 9)) == 0:
            holder[draw(TEXTS)] = draw(JSONS)
    return json.dumps(document).encode()


def _choose_place(draw: st.DrawFn, document: Any) -> tuple[Any, Any]:
    """Choose a value somewhere in a document: what holds it, and its key there."""
    holder, key = None, None
    while isinstance(document, dict | list) and document and (holder is None or draw(st.booleans())):
        holder = document
        key = draw(st.sampled_from(sorted(document) if isinstance(document, dict) else list(range(len(document)))))
        document = holder[key]
    return holder, key
