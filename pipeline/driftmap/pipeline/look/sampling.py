"""Which entities stand for all of them, where a run is too large for a page."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from driftmap.pipeline.look.run_codes import Run

MIN_PER_LABEL = 20
"""Entities kept of every label, however rare."""

BoolArray = npt.NDArray[np.bool_]
_MARKS = 2.0**32


def choose_entities(run: Run, share: float) -> BoolArray:
    """Choose a share of a run's entities, the same share of every label; with share 1, all.

    An entity's label is the one it first appears with, in the first column of categories. Which entities of a label
    are chosen depends on their ids alone, so a run that grows keeps showing those it showed.
    """
    n_entities = len(run.names)
    if share >= 1:
        return np.ones(n_entities, dtype=bool)
    strata = _first_labels(run)
    marks = np.array([zlib.crc32(name.encode("utf-8", "replace")) for name in run.names], dtype=np.float64) / _MARKS
    order = np.lexsort((marks, strata))
    sizes = np.bincount(strata)
    rank = np.empty(n_entities, dtype=np.int64)
    rank[order] = np.arange(n_entities) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.asarray((marks < share) | (rank < MIN_PER_LABEL), dtype=np.bool_)


def _first_labels(run: Run) -> npt.NDArray[Any]:
    labels = np.zeros(len(run.names), dtype=np.int64)
    column = next((column for column in run.columns if column.kind == "category"), None)
    if column is not None:
        for entities, codes in zip(reversed(run.entities), reversed(column.codes), strict=True):
            labels[entities] = codes
    return labels
