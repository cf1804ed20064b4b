"""A Zarr cube (time, sample, feature), as xarray writes it, as rows: the samples of a time, then those of the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.pipeline.errors import SourceError

if TYPE_CHECKING:
    from driftmap.pipeline.sources.readers.zarr.zarr_arrays import ArrayLike


class CubeRows:
    """The vectors of a cube as a matrix (time * sample, feature), read by slices of rows.

    Parameters
    ----------
    cube
        (time, sample, feature).
    """

    def __init__(self, cube: ArrayLike) -> None:
        self._cube = cube
        self.n_times, self.n_samples, n_features = cube.shape
        self.shape = (self.n_times * self.n_samples, n_features)
        self.dtype = cube.dtype
        times, samples, _ = getattr(cube, "shards", None) or getattr(cube, "chunks", None) or (1, self.n_samples, 1)
        self.chunks = (times * self.n_samples if times > 1 else samples, n_features)

    def __getitem__(self, selection: slice) -> np.ndarray[Any, Any]:
        """Read the rows of a slice without steps, time by time."""
        first, last, _ = selection.indices(self.shape[0])
        rows = np.empty((max(0, last - first), self.shape[1]), dtype=self.dtype)
        place = first
        while place < last:
            time, sample = divmod(place, self.n_samples)
            n_rows = min(self.n_samples - sample, last - place)
            rows[place - first : place - first + n_rows] = self._cube[time, sample : sample + n_rows]
            place += n_rows
        return rows


class CubeColumn:
    """A coordinate of a cube, given for each row.

    Parameters
    ----------
    values
        One for each row.
    attrs
        Attributes of the coordinate, such as its units.
    """

    def __init__(self, values: np.ndarray[Any, Any], attrs: Any) -> None:
        self._values = values
        self.shape = values.shape
        self.dtype = values.dtype
        self.attrs = attrs

    def __getitem__(self, selection: slice) -> np.ndarray[Any, Any]:
        """Give the values of some rows."""
        return self._values[selection]


def spread_column(array: ArrayLike, cube: CubeRows, name: str, *, is_time: bool) -> CubeColumn:
    """Give the values of a coordinate of times, of samples or of both for each row of a cube.

    Raises
    ------
    SourceError
        When it is neither.
    """
    values = np.asarray(array[:])
    shape, n_times, n_samples = tuple(array.shape), cube.n_times, cube.n_samples
    if shape == (n_times, n_samples):
        spread = values.reshape(-1)
    elif shape == (n_times,) and (is_time or n_times != n_samples):
        spread = np.repeat(values, n_samples)
    elif shape == (n_samples,):
        spread = np.tile(values, n_times)
    else:
        raise SourceError(
            f"the array {name!r} has shape {shape}; a value for each of the {n_times:,} times, of the {n_samples:,} "
            "samples, or of both was expected"
        )
    return CubeColumn(spread, getattr(array, "attrs", {}))
