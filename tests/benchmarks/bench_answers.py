"""How often the sentences of the page name the one change that was planted in a store."""

from __future__ import annotations

import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.pipeline.look.planted import KINDS, Planted, is_named, plant
from tests.pipeline.look.planted_runs import RUN_KINDS, run_planted

from driftmap.pipeline.look.answers import find_answers
from driftmap.pipeline.look.page_data import measure_frame
from driftmap.pipeline.look.run_codes import read_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def count_named(
    n_stores: int, first_seed: int = 0, n_windows: int = 4, n_rows: int | None = None, say: Callable[[str], Any] = print
) -> dict[str, Any]:
    """Plant each kind in the maps of `n_stores` stores with labels, and of as many without.

    Stores have five groups of `n_rows` in each of `n_windows`; None: of 40 to 95, by the seed.
    """

    def make(folder: Path, kind: str, seed: int, **how: Any) -> Planted:
        return plant(folder / "run.zarr", kind, seed, n_windows=n_windows, **how)

    return _count(KINDS, make, range(first_seed, first_seed + n_stores), n_rows, say)


def count_named_by_runs(
    n_stores: int, first_seed: int, share_new: float, say: Callable[[str], Any] = print
) -> dict[str, Any]:
    """Plant each kind in data, of which `share_new` of the ids are new in each window, and run it."""
    made = partial(run_planted, share_new=share_new)
    return _count(RUN_KINDS, made, range(first_seed, first_seed + n_stores), None, say)


def _count(
    kinds: Sequence[str],
    make: Callable[..., Planted],
    seeds: Sequence[int],
    n_rows: int | None,
    say: Callable[[str], Any],
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for has_labels in (True, False):
        for kind in kinds:
            named, others = 0, Counter[str]()
            for seed in seeds:
                with tempfile.TemporaryDirectory() as folder:
                    size = 40 + 5 * seed % 60 if n_rows is None else n_rows
                    planted = make(Path(folder), kind, seed, has_labels=has_labels, n_rows=size)
                    run = read_run(planted.store)
                    answers = find_answers(planted.store, run, measure_frame(planted.store, run).spread).sentences
                named += is_named(planted, answers)
                others.update(
                    f"{one.kind} {one.since - planted.window:+d} to {one.window - planted.window:+d}"
                    for one in answers
                    if (one.kind, one.window) != (kind, planted.window)
                )
            key = f"{kind}, {'labels' if has_labels else 'no labels'}"
            found[key] = {"named": named, "stores": len(seeds), "others": dict(others)}
            said = ", ".join(f"{what} {count}" for what, count in others.items()) or "none"
            say(f"{key:24} {named:3} of {len(seeds)} named; other sentences, with their windows after it: {said}")
    return found
