"""Store -> what the page draws, as one compressed text.

Places are rounded to a grid and written as steps from where the entity was last seen; entities are numbered in the
order in which they appear; label codes are written as changes. What did not change costs nearly nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.look.answers import find_answers
from driftmap.pipeline.look.changes import BIN_EDGES, measure_changes
from driftmap.pipeline.look.clusters import make_column, read_clusters
from driftmap.pipeline.look.page_codec import StreamWriter
from driftmap.pipeline.look.reasons import ReasonWriter
from driftmap.pipeline.look.run_codes import name_label, read_run
from driftmap.pipeline.look.sampling import choose_entities
from driftmap.pipeline.store.turnover_codes import TURNOVER_STEPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.pipeline.look.answers import Answers
    from driftmap.pipeline.look.changes import WindowChange
    from driftmap.pipeline.look.quality import WindowQuality
    from driftmap.pipeline.look.run_codes import Column, Run
    from driftmap.pipeline.store import Store

MAX_ROWS = 1_000_000
"""Rows that a page draws; above, a sample of the entities stands for all, beside densities of all rows."""
MAX_BYTES = 7_500_000
"""Most that the data of a page may take; a run whose rows take more is sampled too."""
FINE_ROWS, FINE, COARSE = 300_000, 8191, 2047
"""Up to so many rows, places are rounded to 8,191 steps from the middle to the edge; above, to 2,047: .2 pixels."""
DENSITY_CELLS = 96
"""Cells along each side of the densities of a sampled page."""
_SHRINK = 0.9

Array = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]


class Frame(NamedTuple):
    """The square that holds all maps."""

    centre: npt.NDArray[np.float64]
    half: float
    spread: float
    """Root of the mean, over windows and axes, of the variance of the places."""


class PageData(NamedTuple):
    """What a page needs of a store."""

    text: str
    """Base64 of everything that is drawn; see `page_codec`."""
    n_windows: int
    n_rows: int
    n_drawn: int
    """Rows that are drawn: fewer than `n_rows` where the page shows a sample, or where rows have no place."""
    is_sample: bool
    n_components: int
    details: str
    """What is shown of rows, in blocks; empty where nothing is."""
    windows: list[str]
    ids: list[str]
    """Of the rows that are drawn, as the page shows them."""


def read_page(
    store: Store, quality: Sequence[WindowQuality], *, max_rows: int = MAX_ROWS, max_bytes: int = MAX_BYTES
) -> PageData:
    """Read what the page draws.

    Parameters
    ----------
    store
        An opened store with at least one map.
    quality
        What `measure_windows` gave.
    max_rows, max_bytes
        Above either, a sample of the entities is drawn.

    Raises
    ------
    StoreError
        When no window has a map yet.
    """
    run = read_run(store)
    frame = measure_frame(store, run)
    clusters = read_clusters(store, run)
    answers = find_answers(store, run, frame.spread, clusters)
    column = make_column(run, clusters)
    n_given = len(run.columns)
    run = run if column is None else run._replace(columns=[*run.columns, column])
    strays = [entity for found in answers.pairs.values() for one in found for entity in one.entities.tolist()]
    changes = measure_changes(store, run, frame.spread)
    n_rows = sum(fact.n_rows for fact in run.facts)
    share = min(1.0, max_rows / max(1, n_rows))
    reasons = ReasonWriter(store, run, clusters)
    while True:
        chosen = choose_entities(run, share)
        chosen[[entity for change in changes for entity, _, _ in change.movers]] = True
        chosen[strays] = True
        header = {**_describe(run, quality, changes, chosen), "answers": answers, "n_given": n_given}
        for described, floor in zip(header["windows"], answers.noise_floors, strict=True):
            described["noise_floor"] = floor
        text, n_drawn = _encode(store, run, (frame, reasons), chosen, header)
        if len(text) <= max_bytes or share < 1e-4:
            break
        share *= _SHRINK * max_bytes / len(text)
    reasons.warn()
    n_components = int(store.positions(run.facts[0].index).shape[1])
    return PageData(
        text,
        len(run.facts),
        n_rows,
        n_drawn,
        not chosen.all(),
        n_components,
        reasons.pack_details()[1],
        [fact.label for fact in run.facts],
        header["entities"],
    )


def measure_frame(store: Store, run: Run) -> Frame:
    """Measure where the maps lie, over all rows that have a place."""
    low, high, variances = np.full(2, np.inf), np.full(2, -np.inf), []
    for fact in run.facts:
        places = as_plane(store.positions(fact.index))
        places = places[is_placed(places)]
        if len(places):
            low, high = np.minimum(low, places.min(axis=0)), np.maximum(high, places.max(axis=0))
            variances.append(places.var(axis=0).mean())
    if not variances:
        return Frame(np.zeros(2), 1.0, 1.0)
    half = max(float((high - low).max()) / 2, 1e-12)
    return Frame((low + high) / 2, half, float(np.sqrt(np.mean(variances))) or 1.0)


def as_plane(places: Array) -> npt.NDArray[np.float64]:
    """Take the first two components of a map; a map of one lies on a line."""
    wide = places.astype(np.float64)
    return wide[:, :2] if wide.shape[1] >= 2 else np.column_stack([wide[:, 0], np.zeros(len(wide))])


def is_placed(places: Array) -> BoolArray:
    """Tell which rows have a finite place."""
    return np.asarray(np.isfinite(places).all(axis=1), dtype=np.bool_)


def _describe(
    run: Run, quality: Sequence[WindowQuality], changes: Sequence[WindowChange], chosen: BoolArray
) -> dict[str, Any]:
    figures = {row.index: row for row in quality}
    numbers = np.cumsum(chosen) - 1
    return {
        "windows": [
            {
                **figures[fact.index].describe(),
                "histogram": change.histogram,
                "movers": [(int(numbers[e]), round(d, 4), round(own, 4)) for e, d, own in change.movers],
                "label_drift": {
                    number: [None if mean is None else round(mean, 4) for mean in means]
                    for number, means in change.drift.items()
                },
                "events": change.events,
            }
            for fact, change in zip(run.facts, changes, strict=True)
        ],
        "bin_edges": BIN_EDGES.tolist(),
        "columns": [_describe_column(column) for column in run.columns],
        "entities": [name_label(name) for name, is_chosen in zip(run.names, chosen, strict=True) if is_chosen],
        "n_entities": len(run.names),
    }


def _describe_column(column: Column) -> dict[str, Any]:
    if column.kind == "category":
        return {"name": column.name, "kind": column.kind, "values": [name_label(value) for value in column.values]}
    return {"name": column.name, "kind": column.kind, "low": column.low, "step": column.step}


def _encode(
    store: Store, run: Run, made: tuple[Frame, ReasonWriter], chosen: BoolArray, header: dict[str, Any]
) -> tuple[str, int]:
    writer, (frame, reasons) = StreamWriter(), made
    numbers = np.cumsum(chosen, dtype=np.int64) - 1
    n_chosen = int(numbers[-1]) + 1 if len(numbers) else 0
    n_drawn = sum(int(np.count_nonzero(chosen[entities])) for entities in run.entities)
    reasons.start(n_chosen)
    steps = FINE if n_drawn <= FINE_ROWS else COARSE
    last = np.zeros((2 + len(run.columns), n_chosen), dtype=np.int64)
    n_drawn = 0
    for t, (fact, described) in enumerate(zip(run.facts, header["windows"], strict=True)):
        places = (as_plane(store.positions(fact.index)) - frame.centre) / frame.half
        has_place = is_placed(places)
        if not chosen.all():
            described["density"] = writer.add(_count_cells(places[has_place]))
        rows = np.flatnonzero(chosen[run.entities[t]] & has_place)
        entities = numbers[run.entities[t][rows]]
        order = np.argsort(entities, kind="stable")
        rows, entities = rows[order], entities[order]
        now = np.vstack([np.rint(places[rows].T * steps).astype(np.int64), *(c.codes[t][rows] for c in run.columns)])
        gaps = writer.add(np.diff(entities, prepend=-1))
        x, y, *columns = [writer.add(row) for row in now - last[:, entities]]
        last[:, entities] = now
        described.update(entities=gaps, x=x, y=y, columns=columns)
        turnovers = header["answers"].turnovers[t]
        if turnovers is not None:
            described["turnover"] = writer.add(turnovers[rows].astype(np.int64))
        described.update(reasons.add(t, rows, entities, writer))
        n_drawn += len(rows)
    header["reasons"], header["details"] = reasons.describe(), reasons.pack_details()[0]
    header["answers"] = _encode_answers(header["answers"], run, header["n_given"], numbers, writer)
    header["frame"] = [*frame.centre.tolist(), frame.half / steps]
    header.update(steps=steps, density_cells=DENSITY_CELLS, spread=frame.spread / frame.half * steps)
    header["turnover_steps"] = TURNOVER_STEPS
    return writer.close(header), n_drawn


def _encode_answers(answers: Answers, run: Run, n_given: int, numbers: Array, writer: StreamWriter) -> dict[str, Any]:
    """Write sentences as [older window, newer, kind, text, column, code, window that is lit, number of a stream]."""
    groups = next((c for c, column in enumerate(run.columns[:n_given]) if column.kind == "category"), -1)
    clusters = {name: code for code, name in enumerate(run.columns[-1].values)} if len(run.columns) > n_given else {}
    listed = [one for found in answers.pairs.values() for one in found]
    numbered = {id(one): at for at, one in enumerate(listed)}
    written = []
    for one in listed:
        rows: list[int | None] = [None, None, None, None]
        if one.lit is None:
            rows[3] = writer.add(np.diff(np.sort(numbers[one.entities]), prepend=-1))
        elif one.lit.is_cluster and (name := answers.clusters.name(one.lit.group)) in clusters:
            rows[:3] = n_given, clusters[name], one.lit.window
        elif not one.lit.is_cluster:
            rows[:3] = groups, one.lit.group, one.lit.window
        written.append((one.since, one.window, one.kind, one.text, *rows))
    highlights = [numbered[id(one)] for one in answers.highlights]
    return {"all": written, "highlights": highlights, "newest": answers.newest, "is_complete": answers.is_complete}


def _count_cells(places: Array) -> Array:
    cells = np.clip(((places + 1) / 2 * DENSITY_CELLS).astype(np.int64), 0, DENSITY_CELLS - 1)
    return np.bincount(cells[:, 1] * DENSITY_CELLS + cells[:, 0], minlength=DENSITY_CELLS**2)
