"""How often the sentences of the page name the one change that was planted in a store."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.pipeline.look.planted import KINDS, is_named, plant

from driftmap.pipeline.look.answers import find_answers
from driftmap.pipeline.look.page_data import measure_frame
from driftmap.pipeline.look.run_codes import read_run

if TYPE_CHECKING:
    from collections.abc import Callable


def count_named(n_stores: int, say: Callable[[str], Any] = print) -> dict[str, Any]:
    """Plant each kind in `n_stores` stores with labels, and in as many without."""
    found: dict[str, Any] = {}
    for has_labels in (True, False):
        for kind in KINDS:
            named, extra = 0, 0
            for seed in range(n_stores):
                with tempfile.TemporaryDirectory() as folder:
                    planted = plant(
                        Path(folder) / "run.zarr", kind, seed, has_labels=has_labels, n_rows=40 + 5 * seed % 60
                    )
                    run = read_run(planted.store)
                    answers = find_answers(planted.store, run, measure_frame(planted.store, run).spread).sentences
                named += is_named(planted, answers)
                extra += sum(answer.kind != kind for answer in answers)
            key = f"{kind}, {'labels' if has_labels else 'no labels'}"
            found[key] = {"named": named, "stores": n_stores, "other_sentences": extra}
            say(f"{key:24} {named:3} of {n_stores} named, {extra} other sentences")
    return found
