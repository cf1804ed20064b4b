"""Distances given as functions: the caller's own, or those of a library, compiled by numba.

Dimensions: n rows; d features; b rows of a block.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import numpy.typing as npt

from driftmap.engine.core.jit import exact_uncached
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.neighbours.rows import ROUNDING, is_sparse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from driftmap.engine.neighbours.rows import Rows

    Float64Array = npt.NDArray[np.float64]


def prepare_metric(function: Any, kwds: Mapping[str, Any], name: str | None, rows: Rows) -> tuple[Any, dict[str, Any]]:
    """Return a metric ready for numba and its arguments in order; `name` is None for a function of the caller's."""
    label = repr(name or getattr(function, "__name__", function))
    if not name:
        _refuse_objects(function)
    arguments = read_metric_arguments(function, kwds, label, rows)
    return (function if name else compile_metric(function, rows, tuple(arguments.values()))), arguments


def read_metric_arguments(function: Any, kwds: Mapping[str, Any], name: str, rows: Rows) -> dict[str, Any]:
    """Put the arguments of a metric, its defaults included, in the order of its signature.

    Parameters
    ----------
    function
        A distance of two rows, sparse ones as (indices, values) each, and arguments.
    kwds
        Arguments by name; where the names are not the function's, in the order given, as pynndescent takes them.
    name
        How messages call the metric.
    rows
        Of the window: arguments that hold a value, or a row of values, per feature must fit.

    Raises
    ------
    InvalidInputError
        When an argument is missing, there are too many, or one is not as long as a row.
    """
    parameters = list(inspect.signature(getattr(function, "py_func", function)).parameters.values())
    parameters, n_features = parameters[4 if is_sparse(rows) else 2 :], rows.shape[1]
    names = [p.name for p in parameters]
    if any(p.kind == p.VAR_POSITIONAL for p in parameters):  # a function that umap-learn's way of calling fits
        return {key: _as_argument(value) for key, value in kwds.items()}
    if len(kwds) > len(names):
        msg = f"metric {name} takes {len(names)} arguments ({', '.join(names)}), got metric_kwds={dict(kwds)}."
        raise InvalidInputError(msg)
    if names == ["vinv"] and set(kwds) == {"V"}:  # scipy's V is the covariance, and would be taken for its inverse
        msg = f"metric {name} takes the inverse of the covariance: give metric_kwds={{'vinv': np.linalg.inv(V)}}."
        raise InvalidInputError(msg)
    given = dict(kwds) if set(kwds) <= set(names) else dict(zip(names, kwds.values(), strict=False))
    values = {}
    for p in parameters:
        # a default that is an array only stands for one: numba would read beyond its end
        if p.name not in given and (p.default is p.empty or isinstance(p.default, np.ndarray)):
            msg = f"metric {name} needs metric_kwds with {p.name!r}, got {dict(kwds)}."
            raise InvalidInputError(msg)
        value = _as_argument(given.get(p.name, p.default))
        wanted = (n_features,) * p.default.ndim if isinstance(p.default, np.ndarray) else None
        if wanted is not None and np.shape(value) != wanted:
            msg = f"metric {name} needs {p.name} of shape {wanted} for {n_features} features, got {np.shape(value)}."
            raise InvalidInputError(msg)
        values[p.name] = value
    return values


def compile_metric(function: Callable[..., Any], rows: Rows, args: tuple[Any, ...]) -> Any:
    """Return the caller's metric as a numba function of two rows that gives a number, tried on two of the rows.

    A plain Python function is compiled. One that gives a distance and its gradient, as umap-learn's may, is used for
    its distance. For sparse rows a metric takes (indices, values) of one row and of the other.

    Raises
    ------
    InvalidInputError
        When numba cannot compile the function, or it gives no number.
    """
    name = getattr(function, "__name__", repr(function))
    compiled = _compile(function)
    pair = (*_row(rows, 0), *_row(rows, rows.shape[0] - 1))
    tried = [np.array(part) for part in pair]
    try:
        value = compiled(*tried, *args)
    except (numba.core.errors.NumbaError, TypeError) as error:
        first = str(error).strip().splitlines()[0]
        msg = (
            f"metric {name!r} cannot be compiled or called with two rows{_describe_arguments(args)}: {first}. Write it"
            " with plain loops and numpy calls that numba knows, decorate it with numba.njit, and try it on two rows."
        )
        raise InvalidInputError(msg) from error
    except Exception as error:  # whatever the caller's function raises
        raise InvalidInputError(_explain_failure(function, error)) from error
    if not all(map(np.array_equal, tried, pair)):
        compiled = _give_copies(compiled, is_sparse=is_sparse(rows))
    if isinstance(value, tuple):
        compiled, value = _take_first(compiled), value[0]
    if not np.isscalar(value) or isinstance(value, str | complex):
        msg = f"metric {name!r} must give one number for two rows, got {type(value).__name__}."
        raise InvalidInputError(msg)
    return compiled


def compare_all(rows: Rows, function: Any, args: tuple[Any, ...], block: int) -> Iterator[Float64Array]:
    """Give the distances of blocks of rows to all rows, each (b, n), by a function that numba compiled."""
    start = 0
    for found in compare_rows(rows, rows, function, args, block):
        own = np.arange(len(found))
        found[own, start + own] = 0.0  # whatever the function makes of it
        start += len(found)
        yield found


def compare_rows(rows: Rows, others: Rows, function: Any, args: tuple[Any, ...], block: int) -> Iterator[Float64Array]:
    """Give the distances of blocks of rows to all other rows, both dense or both sparse.

    Raises
    ------
    InvalidInputError
        When the function raises anything.
    """
    for start in range(0, rows.shape[0], block):
        found = np.empty((min(block, rows.shape[0] - start), others.shape[0]))
        try:
            if is_sparse(rows):
                one, two = ((r.indptr, r.indices, r.data) for r in (rows, others))
                _fill_sparse_block(one, two, start, function, args, found)
            else:
                _fill_block(rows, others, start, function, args, found)
        except Exception as error:  # metrics refuse rows as they like
            raise InvalidInputError(_explain_failure(function, error)) from error
        found[(found < 0.0) & (found > -ROUNDING)] = 0.0
        yield found


@exact_uncached
def _fill_block(rows: Any, others: Any, start: int, function: Any, args: Any, found: Any) -> None:
    for b in range(len(found)):
        for j in range(len(others)):
            found[b, j] = function(rows[start + b], others[j], *args)


@exact_uncached
def _fill_sparse_block(rows: Any, others: Any, start: int, function: Any, args: Any, found: Any) -> None:
    indptr, indices, data = rows
    other_indptr, other_indices, other_data = others
    for b in range(len(found)):
        one = slice(indptr[start + b], indptr[start + b + 1])
        for j in range(len(other_indptr) - 1):
            two = slice(other_indptr[j], other_indptr[j + 1])
            found[b, j] = function(indices[one], data[one], other_indices[two], other_data[two], *args)


@functools.lru_cache(maxsize=64)
def _compile(function: Callable[..., Any]) -> Any:
    return function if numba.extending.is_jitted(function) else exact_uncached(function)


@functools.lru_cache(maxsize=64)
def _take_first(function: Any) -> Any:
    def take_first(*arguments: Any) -> Any:
        return function(*arguments)[0]

    take_first.__name__ = function.__name__
    return exact_uncached(take_first)


@functools.lru_cache(maxsize=64)
def _give_copies(function: Any, *, is_sparse: bool) -> Any:
    """Keep a metric that writes to what it is given, as umap-learn's symmetric_kl does, from changing the rows."""

    def compare(one: Any, two: Any, *arguments: Any) -> Any:
        return function(one.copy(), two.copy(), *arguments)

    def compare_sparse(places: Any, values: Any, other_places: Any, others: Any, *arguments: Any) -> Any:
        return function(places.copy(), values.copy(), other_places.copy(), others.copy(), *arguments)

    made = compare_sparse if is_sparse else compare
    made.__name__ = function.__name__  # which messages name
    return exact_uncached(made)


def _refuse_objects(function: Any) -> None:
    """Refuse what can be called and is no function: numba compiles no other."""
    if not numba.extending.is_jitted(function) and not inspect.isfunction(function):
        msg = (
            f"metric {function!r} is of type {type(function).__name__}, which numba does not compile; give a function "
            "of two rows, and its arguments by metric_kwds."
        )
        raise InvalidInputError(msg)


def _explain_failure(function: Any, error: Exception) -> str:
    name = getattr(function, "__name__", repr(function))
    return (
        f"metric {name!r} cannot compare these rows: {error} ({type(error).__name__}). Change the rows (often some are "
        "all zero, or hold numbers below 0), or take another metric."
    )


def _row(rows: Rows, i: int) -> tuple[Any, ...]:
    if not is_sparse(rows):
        return (rows[i],)
    part = slice(rows.indptr[i], rows.indptr[i + 1])
    return rows.indices[part], rows.data[part]


def _as_argument(value: Any) -> Any:
    if isinstance(value, list | tuple | np.ndarray):
        array = np.asarray(value)
        return np.ascontiguousarray(array, dtype=np.float64) if array.dtype.kind in "fiub" else value
    return value.item() if isinstance(value, np.generic) else value


def _describe_arguments(args: tuple[Any, ...]) -> str:
    return f" and {len(args)} arguments" if args else ""
