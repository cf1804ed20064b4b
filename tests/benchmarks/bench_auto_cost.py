"""CPU seconds of a fit whose strength is left to the data, against one with a constant: in turn, in one process."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.benchmarks.clock import clock
from tests.benchmarks.data_sets import load
from tests.benchmarks.tables import format_table

from driftmap.engine import AlignedUMAP
from driftmap.engine.settings import AUTO

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONSTANT = 0.035
"""The default before "auto"."""
MOST = 1.15
"""Most that "auto" may take, as a share of the constant's CPU seconds."""
ROUNDS = 5


def compare_cost(
    names: Sequence[str], rounds: int = ROUNDS, *, say: Callable[[str], None] = print
) -> dict[str, dict[str, Any]]:
    """Fit each set with both, in turn; says medians and their ratio, and returns the seconds of all rounds."""
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        data = load(name)
        seconds: dict[str, list[float]] = {AUTO: [], str(CONSTANT): []}
        for round_number in range(rounds + 1):
            for value in (AUTO, CONSTANT):
                model = AlignedUMAP(random_state=round_number, alignment_regularisation=value)
                timing, _ = clock(partial(model.fit, data.windows, relations=data.relations))
                if round_number:  # the first compiles
                    seconds[str(value)].append(timing.cpu_seconds)
        medians = {value: float(np.median(taken)) for value, taken in seconds.items()}
        found[name] = {"seconds": seconds, "ratio": medians[AUTO] / medians[str(CONSTANT)]}
    say(format_cost(found))
    return found


def format_cost(found: dict[str, dict[str, Any]]) -> str:
    """A row per set: medians (least to greatest) and their ratio."""
    rows = []
    for name, result in found.items():
        cells = [
            f"{np.median(taken):.2f} ({min(taken):.2f} to {max(taken):.2f})" for taken in result["seconds"].values()
        ]
        rows.append([name, *cells, f"{result['ratio']:.2f}", "yes" if result["ratio"] <= MOST else "NO"])
    header = ["CPU s of a fit", f'"{AUTO}"', f"{CONSTANT:g}", "ratio", f"at most {MOST:g}"]
    return format_table(header, rows)
