"""Attributes of the CF conventions, as xarray writes them: what is read is what xarray reads."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
import zarr

from driftmap.pipeline.config.source_spec import SourceSpec
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.readers.zarr.cf_values import count_since
from driftmap.pipeline.sources.readers.zarr.zarr_group import ZarrSource

ALL = np.array([[0, 120]])
TIMES = np.array(["2024-01-01", "2024-02-01", "2024-03-01"], dtype="datetime64[ns]")


def write_cube(path, encoding, zarr_format=3, hole=(), **coordinates):
    values = np.random.default_rng(0).normal(size=(3, 40, 4)).astype(np.float32)
    for place in hole:
        values[place] = np.nan
    cube = xr.Dataset(
        {"v": (("time", "sample", "feature"), values)},
        coords={"time": TIMES, "sample": np.arange(40), **coordinates},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", xr.SerializationWarning)  # without a number for missing ones
        cube.to_zarr(path, encoding=encoding, zarr_format=zarr_format, consolidated=False)
    return path


def read(path):
    spec = SourceSpec(path=str(path), format="zarr", vectors="v", id="sample", time="time")
    return ZarrSource(spec, must_pin=True)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    "encoding",
    [
        {"_FillValue": np.float32(-9999)},
        {"missing_value": np.float32(1e20)},
        {"_FillValue": np.int16(-32768), "dtype": "i2", "scale_factor": 0.01, "add_offset": 300.0},
        {"_FillValue": np.uint8(255), "dtype": "u1", "scale_factor": 0.05, "add_offset": -6.0},
        {"dtype": "i2", "scale_factor": 0.5},
        {"_FillValue": np.float64(np.nan), "dtype": "f8"},
    ],
    ids=["fill", "missing_value", "packed", "unsigned", "scale", "nan"],
)
def test_vectors_are_those_that_xarray_reads(tmp_path, encoding, zarr_format):
    hole = [] if encoding.get("dtype") == "i2" and "_FillValue" not in encoding else [(0, 3, 1), (2, 39, 0)]
    path = write_cube(tmp_path / "c.zarr", {"v": encoding}, zarr_format, hole)
    source, expected = read(path), xr.open_zarr(path, consolidated=False)["v"].values.reshape(120, 4)
    bad = np.flatnonzero(~np.isfinite(expected).all(axis=1))
    assert bad.tolist() == ([3, 119] if hole else [])
    np.testing.assert_array_equal(source.find_bad_rows(ALL), bad)
    good = np.setdiff1d(np.arange(120), bad)
    found = source.read_rows(np.stack([good, good + 1], axis=1)).vectors
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected[good], rtol=1e-6)
    if hole:
        with pytest.raises(SourceError, match="hold NaN"):
            source.read_rows(ALL)


def test_ids_that_are_missing_are_bad_rows_and_others_keep_their_type(tmp_path):
    sample = np.arange(40) + 2**53  # a double would not hold them
    path = write_cube(tmp_path / "c.zarr", {}, sample=sample)
    zarr.open_group(path)["sample"].attrs["_FillValue"] = 2**53 + 7
    source = read(path)
    assert source.find_bad_rows(ALL).tolist() == [7, 47, 87]
    assert source.read_rows(np.array([[0, 7]])).ids.tolist() == sample[:7].tolist()


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_packed_coordinates_are_unpacked(tmp_path, zarr_format):
    encoding = {"sample": {"scale_factor": 2.0, "dtype": "i4"}}
    source = read(write_cube(tmp_path / "c.zarr", encoding, zarr_format, sample=2.0 * np.arange(40)))
    assert source.read_rows(np.array([[0, 4]])).ids.tolist() == [0, 2, 4, 6]


def test_zeros_of_an_array_that_was_made_without_a_fill_value_count(tmp_path):
    """Format 2 has a fill value of 0 where nothing was said, which xarray would take for one that was."""
    group = zarr.create_group(tmp_path / "g.zarr", zarr_format=2)
    vectors = group.create_array("v", data=np.zeros((4, 2), dtype=np.float32))
    vectors.attrs["_ARRAY_DIMENSIONS"] = ["row", "feature"]
    source = ZarrSource(SourceSpec(path=str(tmp_path / "g.zarr"), format="zarr", vectors="v"), must_pin=True)
    assert source.read_rows(np.array([[0, 4]])).vectors.tolist() == [[0, 0]] * 4


@pytest.mark.parametrize(
    ("units", "values"),
    [
        ("days since 1850-01-01 12:00:00", [63551.5, 63582.5, 63611.5]),
        ("hours since 2024-01-01", [0.0, 744.0, 1440.0]),
        ("h since 2024-1-1 0:00", [0, 744, 1440]),
        ("day since 2023-12-31", [1, 32, 61]),
        ("nanoseconds since 1970-01-01", [1704067200 * 10**9, 1706745600 * 10**9, 1709251200 * 10**9]),
        ("minutes since 2024-01-01T00:00:00Z", [0, 44640, 86400]),
    ],
)
def test_numbers_since_a_moment_are_times(units, values):
    found = count_since(np.array(values), {"units": units, "calendar": "proleptic_gregorian"}, "time")
    np.testing.assert_array_equal(found, TIMES)


def test_float_times_as_xarray_writes_them_are_read(tmp_path):
    path = write_cube(tmp_path / "c.zarr", {"time": {"units": "days since 1850-01-01 12:00:00", "dtype": "f8"}})
    assert zarr.open_group(path)["time"].dtype == np.float64
    np.testing.assert_array_equal(read(path).key_columns(["time"])["time"], np.repeat(TIMES, 40))


def test_times_that_are_missing_have_no_value():
    found = count_since(np.ma.masked_equal([-999, 0], -999), {"units": "days since 2024-01-01"}, "time")
    assert np.isnat(found).tolist() == [True, False]
    assert np.isnat(count_since(np.array([np.nan]), {"units": "days since 2024-01-01"}, "time")).all()


@pytest.mark.parametrize(
    "attrs",
    [
        {"units": "days since 1850-01-01", "calendar": "noleap"},
        {"units": "days since 2000-01-01", "calendar": "360_day"},
        {"units": "days since 0001-01-01", "calendar": "standard"},
        {"units": "days since 0001-01-01"},
    ],
)
def test_calendars_with_other_days_are_refused(attrs):
    with pytest.raises(SourceError, match=r"in the calendar '\w+', whose dates are not.*convert_calendar"):
        count_since(np.arange(3), attrs, "time")


def test_a_month_or_day_that_is_none_is_refused():
    with pytest.raises(SourceError, match="name no moment"):
        count_since(np.arange(3), {"units": "days since 2024-02-31"}, "time")


@pytest.mark.parametrize(
    ("name", "value"),
    [("_FillValue", "none"), ("scale_factor", [1, 2]), ("add_offset", "much"), ("scale_factor", None)],
)
def test_attributes_that_are_no_numbers_are_refused(tmp_path, name, value):
    path = write_cube(tmp_path / "c.zarr", {})
    zarr.open_group(path)["v"].attrs[name] = value
    with pytest.raises(SourceError, match=f"attribute .*{name}.*; a number was expected"):
        read(path)
