"""The digits tutorial through the whole pipeline: data, store and page in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.pipeline import run
from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.look.quality import measure_windows
from driftmap.pipeline.look.report import write_report
from driftmap.pipeline.store.log.commits import FOLDER as COMMITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from driftmap.pipeline.executors import Client
    from driftmap.pipeline.look.quality import WindowQuality
    from driftmap.pipeline.orchestration.stages import Progress
    from driftmap.pipeline.store import Store

DIGITS_OPTIONS: dict[str, Any] = {"id": "sample", "label": "digit", "vectors": "pixels", "rows": 400, "row_stride": 150}
"""Ten overlapping windows, as in umap-learn's tutorial of AlignedUMAP."""


class Demo(NamedTuple):
    """What the demo made."""

    store: Store
    quality: list[WindowQuality]
    page: Path


def run_demo(
    folder: str | Path,
    *,
    scheduler: str | Client | None = None,
    workers: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Demo:
    """Map scikit-learn's handwritten digits in ten windows; a second call goes on, or only shows what is there.

    Parameters
    ----------
    folder
        Where `digits.parquet`, `digits.zarr` and `digits.html` are written.
    scheduler, workers, progress
        As for `driftmap.pipeline.run`.

    Raises
    ------
    ConfigError
        When the folder is a store itself.
    """
    place = Path(folder)
    if (place / COMMITS).is_dir():
        raise ConfigError(f"{place} is a store; the demo writes data, store and page: name another folder (--out)")
    data = write_digits(place / "digits.parquet")
    store = run(data, place / "digits.zarr", scheduler=scheduler, workers=workers, progress=progress, **DIGITS_OPTIONS)
    quality = measure_windows(store)
    page = place / "digits.html"
    write_report(store, page, title="Handwritten digits", quality=quality)
    return Demo(store, quality, page)


def write_digits(path: Path) -> Path:
    """Write the digits to a Parquet file, sorted by digit, unless it is there.

    Returns
    -------
    `path`; its columns are `sample` (row of the data set), `digit` and `pixels` (64 grey levels).
    """
    if path.exists():
        return path
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from sklearn.datasets import load_digits

    from driftmap.pipeline.store.disk.output_files import whole_file

    pixels, digits = load_digits(return_X_y=True)
    order = np.argsort(digits, kind="stable")
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(pixels[order].astype(np.float32).ravel()), pixels.shape[1])
    table = pa.table({"sample": pa.array(order), "digit": pa.array(digits[order]), "pixels": vectors})
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as unfinished:
        pq.write_table(table, unfinished)
    return path
