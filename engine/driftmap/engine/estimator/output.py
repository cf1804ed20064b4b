"""Maps -> what `set_output` asks for: arrays, or frames of pandas or polars, loaded only then."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from driftmap.engine.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.engine.types import Float32Array

OUTPUTS = ("default", "pandas", "polars")
"""What a map can be returned as; "default" is an array."""


def check_output(output: Any, name: str = "transform") -> str:
    """Return one of `OUTPUTS` whose library can be loaded.

    Raises
    ------
    InvalidInputError
        When it is another, or its library is not installed.
    """
    if not isinstance(output, str) or output not in OUTPUTS:
        msg = f"{name} must be one of {', '.join(OUTPUTS)}, or None for no change; got {output!r}."
        raise InvalidInputError(msg)
    if output != "default":
        try:
            importlib.import_module(output)
        except ImportError as error:
            msg = f'{name}="{output}" needs {output}, which cannot be loaded ({error}); pip install {output}.'
            raise InvalidInputError(msg) from error
    return output


def find_output(own: str | None) -> str:
    """Return the output that is in force: an estimator's own, else `sklearn.set_config(transform_output=...)`."""
    if own is not None:
        return own
    sklearn = sys.modules.get("sklearn")  # where it is not loaded nobody has set anything
    return "default" if sklearn is None else check_output(sklearn.get_config()["transform_output"], "transform_output")


def shape_map(positions: Float32Array, rows: Any, names: Sequence[str], output: str) -> Any:
    """Return a map in the form of `output`.

    Parameters
    ----------
    positions
        The map, float32 (n, c).
    rows
        What it was made from; a frame of pandas has its index kept.
    names
        Names of the c axes.
    output
        One of `OUTPUTS`.
    """
    if output == "pandas":
        pandas = importlib.import_module("pandas")
        index = rows.index if isinstance(rows, pandas.DataFrame) else None
        return pandas.DataFrame(positions, index=index, columns=list(names), copy=True)
    if output == "polars":
        return importlib.import_module("polars").from_numpy(positions, schema=list(names), orient="row")
    return positions
