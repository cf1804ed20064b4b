"""How long the joint pass should be, and how it should cool: paces over all sets, each set left out once.

The cheapest pace is chosen that on every set of those that choose meets the bars of `list_failures` and keeps what the
longest one keeps (LONG), but for MOST_LOSS; what it gives on the set that had no say is printed beside. It does not see
the arrangement of far groups, for which the default has more epochs than it asks for.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.benchmarks.bench_exchange import Prepared
from tests.benchmarks.bench_quality import MEAN_DRIFT, mean_and_spread
from tests.benchmarks.bench_strength import PEER, SHOWN, format_gains, list_failures, mean_drift
from tests.benchmarks.clock import clock
from tests.benchmarks.data_sets import load
from tests.benchmarks.measures import measure
from tests.benchmarks.tables import figure, format_table

from driftmap.engine.layout.pace import PACE, Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LONG = Pace(joint_share=1.9, fresh_share=0.0, joint_learning_rate=0.3, joint_decay=1.0, hot_rate=1.0)
"""That of versions 0.1 and before this was measured."""
PACES = (
    LONG,
    PACE,
    Pace(joint_share=1.1, fresh_share=0.8, joint_learning_rate=0.5),
    Pace(joint_share=1.0, fresh_share=0.9, carry_share=0.15),
    Pace(joint_share=0.95, fresh_share=0.0, joint_learning_rate=0.3, joint_decay=1.0),
    Pace(joint_share=0.75, fresh_share=0.0, joint_learning_rate=0.5),
    Pace(joint_share=0.75, fresh_share=1.15, joint_learning_rate=0.5),
    Pace(joint_share=0.75, fresh_share=1.15, joint_learning_rate=0.3, joint_decay=1.0),
    Pace(joint_share=0.5, fresh_share=1.4, joint_learning_rate=0.5),
)
MOST_LOSS = {"trust": 0.0012, "neighbours": 0.0035}
"""Most that a set may lose against LONG: about the spread of five seeds, and half of what most sets are above it."""

Figures = dict[str, float]
Results = dict[str, list[Figures]]
"""By name of the set, in the order of the paces: means over seeds, and "cpu", seconds of one layout."""


def compare_paces(
    names: Sequence[str],
    seeds: Sequence[int],
    *,
    paces: Sequence[Pace] = PACES,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measure every pace on every set, and what each set gets from the pace that the others choose.

    Parameters
    ----------
    names, seeds
        Data sets and seeds.
    paces
        The first of them is the one that the others may lose against.
    say
        Takes each table.
    """
    results: Results = {}
    for name in names:
        data = load(name)
        work = Prepared(data)
        work.lay_out_jointly(seeds[0], Pace(joint_share=0.01, fresh_share=0.0))  # kernels are loaded
        results[name] = []
        for pace in paces:
            timed = [clock(partial(work.lay_out_jointly, seed, pace)) for seed in seeds]
            runs = [measure(data, maps) for _, maps in timed]
            means = {shown: mean_and_spread(runs, shown)[0] for shown in SHOWN}
            results[name].append({**means, "cpu": float(np.mean([taken.cpu_seconds for taken, _ in timed]))})
        say(format_paces(name, results[name], paces) + "\n")
    judged = {name: found for name, found in results.items() if name in PEER}
    chosen = {name: choose({other: judged[other] for other in judged if other != name}) for name in (*judged, "")}
    say(format_left_out(judged, chosen, [name_pace(pace) for pace in paces]))
    return {"means": results, "chosen": {name: None if i is None else paces[i]._asdict() for name, i in chosen.items()}}


def choose(results: Results) -> int | None:
    """Choose the number of the cheapest pace that keeps enough on each of these sets; None where none does."""
    n_paces = min((len(found) for found in results.values()), default=0)
    # Without the stillest set no pace is below MEAN_DRIFT, not even the longest.
    most_drift = max(MEAN_DRIFT, mean_drift(results, 0)) if n_paces else MEAN_DRIFT
    allowed = [
        i
        for i in range(n_paces)
        if mean_drift(results, i) <= most_drift and not any(list_losses(name, results[name], i) for name in results)
    ]
    cost = [sum(found[i]["cpu"] / found[0]["cpu"] for found in results.values()) for i in range(n_paces)]
    return min(allowed, key=cost.__getitem__, default=None)


def list_losses(name: str, found: Sequence[Figures], i: int) -> list[str]:
    """Names of the bars that a set's figures miss, and of the figures in which it loses too much."""
    lost = [key for key, most in MOST_LOSS.items() if found[i][key] < found[0][key] - most]
    return list_failures(name, found[i]) + lost


def format_paces(name: str, found: Sequence[Figures], paces: Sequence[Pace]) -> str:
    """A row per pace: its figures on a set, and its CPU seconds against the first one's."""
    rows = [
        [name_pace(pace), *(figure(means[shown]) for shown in SHOWN), f"{means['cpu'] / found[0]['cpu']:.2f}"]
        for pace, means in zip(paces, found, strict=True)
    ]
    if name in PEER:
        rows.append(["umap-learn", *(figure(value) for value in PEER[name]), ""])
    return format_table([name, *SHOWN, "CPU"], rows)


def format_left_out(results: Results, chosen: dict[str, int | None], names: Sequence[str]) -> str:
    """A row per set: what the others choose, by its name, and what it gives there against umap-learn."""
    rows = []
    for name, found in results.items():
        i = chosen[name]
        if i is None:
            rows.append([name, "none", *[""] * 5])
            continue
        cells = format_gains(name, found[i])
        rows.append([name, names[i], *cells, ", ".join(list_losses(name, found, i)) or "-"])
    everything = chosen[""]
    last = "none" if everything is None else f"{names[everything]}, {mean_drift(results, everything):.3f}"
    rows.append(["none: all choose, drift1", last, *[""] * 5])
    return format_table(["left out", "chosen by the others", *SHOWN[:4], "missed or lost"], rows)


def name_pace(pace: Pace) -> str:
    """Name a pace by what it has of its own."""
    name = f"{pace.carry_share:g}, {pace.joint_share:g}"
    name += f" + {pace.fresh_share:g} of fresh rows" if pace.fresh_share else ""
    return f"{name}, from {pace.joint_learning_rate:g} by power {pace.joint_decay:g}" + (
        " (default)" if pace == PACE else ""
    )
