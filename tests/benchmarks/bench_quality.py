"""Quality of our maps, our defaults over some seeds, beside umap-learn's over some of its own, on the same data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from tests.benchmarks import peer
from tests.benchmarks.arrangement import ARRANGEMENT, FOLLOWS, Arrangement
from tests.benchmarks.clock import clock
from tests.benchmarks.data_sets import DataSet, load
from tests.benchmarks.measures import FIGURES, measure
from tests.benchmarks.tables import figure, format_table

from driftmap.engine import AlignedUMAP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LEAST_GAINS = {
    "trust": -0.001,
    "neighbours": -0.002,
    "across": -0.005,
    **dict.fromkeys(ARRANGEMENT, 0.0),
    FOLLOWS: 0.1,
}
"""Least that the mean of ours may be above the peer's; of the arrangement, our seeds' standard deviation is allowed."""
DRIFT_BARS = {"drift1": 1.0, "drift5": 1.0}
"""Most that the mean of ours may be, as a share of the peer's; MEAN_DRIFT is that of drift1 over all sets."""
MEAN_DRIFT = 0.6
MOST_SPREAD = 0.004
"""Most that the seeds' trustworthiness may differ by."""
SHAPE = (*ARRANGEMENT, FOLLOWS)
SUMMARY = {"trust": 4, "neighbours": 4, "drift1": 3, "drift5": 3, "across": 3}
SHAPE_SUMMARY = dict.fromkeys(SHAPE, 3)
"""Figures of the summaries, and digits."""

Run = dict[str, Any]


def compare_quality(
    names: Sequence[str],
    seeds: Sequence[int],
    *,
    n_peer_seeds: int = len(peer.SEEDS),
    is_only_kept: bool = False,
    is_fresh: bool = False,
    n_epochs: int | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measure ours and the peer's on each data set.

    Parameters
    ----------
    names, seeds
        Data sets, and our seeds.
    n_peer_seeds
        How many of the peer's; 0 leaves it out.
    is_only_kept
        Whether the peer's maps are only read, where an earlier call kept them.
    is_fresh
        Whether the peer is run even where its maps are kept.
    n_epochs
        Of both; None: the defaults.
    say
        Takes two tables a set, and the summaries.

    Returns
    -------
    dict
        By name: runs of ours and of the peer, and what was missed.
    """
    results = {}
    settings = {} if n_epochs is None else {"n_epochs": n_epochs}
    for name in names:
        data = load(name)
        shape = Arrangement(data)
        ours = fit_ours(data, seeds, shape=shape, **settings)
        kept = peer.find_seeds(data, n_peer_seeds, is_only_kept=is_only_kept, is_fresh=is_fresh, **settings)
        theirs = [_measure_peer(data, found, shape) for found in kept]
        results[name] = {"ours": ours, "peer": theirs, "missed": list_missed(ours, theirs)}
        say(format_quality(name, results[name]) + "\n")
    compared = {name: result for name, result in results.items() if result["peer"]}
    if compared:
        say(format_summary(compared, SUMMARY) + "\n")
        say(format_summary(compared, SHAPE_SUMMARY) + "\n")
        say(describe_misses(compared))
    return results


def fit_ours(data: DataSet, seeds: Sequence[int], *, shape: Arrangement | None = None, **settings: Any) -> list[Run]:
    """Fit and measure once per seed; time is that of `fit` with everything compiled."""
    AlignedUMAP(random_state=0, n_epochs=10).fit(data.windows[:2], relations=data.relations[:1])
    figures = []
    for seed in seeds:
        model = AlignedUMAP(random_state=seed, **settings)
        timing, _ = clock(lambda model=model: model.fit(data.windows, relations=data.relations))
        more = {} if shape is None else shape.measure(model.embeddings_)
        figures.append({"seed": seed, **measure(data, model.embeddings_), **more, "cpu_seconds": timing.cpu_seconds})
    return figures


def _measure_peer(data: DataSet, found: peer.PeerMaps, shape: Arrangement) -> Run:
    figures = {**measure(data, found.maps), **shape.measure(found.maps), "cpu_seconds": found.timing.cpu_seconds}
    return {**figures, "is_kept": found.is_kept, "measured": found.measured}


def mean_and_spread(runs: Sequence[Run], name: str) -> tuple[float, float]:
    """Mean over seeds, and how far the seeds lie from it (standard deviation)."""
    values = [run[name] for run in runs]
    return float(np.mean(values)), float(np.std(values))


def list_missed(ours: Sequence[Run], theirs: Sequence[Run]) -> list[str]:
    """Names of the figures whose mean over seeds is not good enough against the peer's."""
    missed = [] if all(run["bad_rows"] == 0 for run in ours) else ["bad_rows"]
    if np.ptp([run["trust"] for run in ours]) > MOST_SPREAD:
        missed.append("spread of trust")
    if not theirs:
        return missed

    def means(name: str) -> tuple[float, float]:
        return mean_and_spread(ours, name)[0], mean_and_spread(theirs, name)[0]

    for name, least in LEAST_GAINS.items():
        mine, other = means(name)
        allowed = mean_and_spread(ours, name)[1] if name in ARRANGEMENT else 0.0
        missed += [name] if mine - other < least - allowed else []
    for name, most in DRIFT_BARS.items():
        mine, other = means(name)
        missed += [name] if mine > most * other else []
    return missed


def format_quality(name: str, result: dict[str, Any]) -> str:
    """Two tables of one data set: means and standard deviations over seeds, the peer's, and what lies between."""
    ours, theirs = result["ours"], result["peer"]
    shown = FIGURES[:-1]
    first, second = [_row("driftmap", ours, shown)], [_row("driftmap", ours, SHAPE)]
    if theirs:
        kept = " (kept)" if all(run["is_kept"] for run in theirs) else ""
        label = f"{peer.NAME}, {len(theirs)} of its seeds{kept}"
        first += [_row(label, theirs, shown), _row_between(ours, theirs, shown)]
        second += [_row(label, theirs, SHAPE), _row_between(ours, theirs, SHAPE)]
    for rows, runs in ((first[0], ours), *([(first[1], theirs)] if theirs else [])):
        rows += [f"{np.mean([run['bad_rows'] for run in runs]):.0f}", f"{mean_and_spread(runs, 'cpu_seconds')[0]:.2f}"]
    verdict = "missed: " + ", ".join(result["missed"]) if result["missed"] else "met" if theirs else ""
    header, n = [name, *FIGURES, "CPU s"], len(FIGURES) + 2
    tables = [
        format_table(header, [[*row, *[""] * (n - len(row))] for row in first]),
        format_table([name, *SHAPE], second),
    ]
    return "\n\n".join([*tables, *([f"{name}: {verdict}"] if verdict else [])])


def format_summary(results: dict[str, Any], shown: dict[str, int]) -> str:
    """The README's tables: mean of ours / the peer's."""
    rows = []
    for name, result in results.items():
        means = [mean_and_spread(result["ours"], key)[0] for key in shown]
        theirs = [mean_and_spread(result["peer"], key)[0] for key in shown]
        cells = [
            figure(a) if np.isnan(a) else f"{figure(a, digits)} / {figure(b, digits)}"
            for a, b, digits in zip(means, theirs, shown.values(), strict=True)
        ]
        rows.append([name, *cells])
    return format_table([f"driftmap / {peer.NAME}", *shown], rows)


def describe_misses(results: dict[str, Any]) -> str:
    """Say in a line each where ours is worse, and how far the drift is below the peer's over all sets."""
    missed = [f"{name} ({', '.join(result['missed'])})" for name, result in results.items() if result["missed"]]
    ratios = [
        mean_and_spread(result["ours"], "drift1")[0] / mean_and_spread(result["peer"], "drift1")[0]
        for result in results.values()
    ]
    mean = float(np.exp(np.mean(np.log(ratios))))
    verdict = "met" if mean <= MEAN_DRIFT else "MISSED"
    return (
        f"Missed: {'; '.join(missed) or 'nothing'}.\n"
        f"Geometric mean of drift1 against {peer.NAME}'s: {mean:.3f} (at most {MEAN_DRIFT}: {verdict})."
    )


def _row(label: str, runs: Sequence[Run], shown: Sequence[str]) -> list[str]:
    return [label, *(_with_spread(runs, key) for key in shown)]


def _row_between(ours: Sequence[Run], theirs: Sequence[Run], shown: Sequence[str]) -> list[str]:
    pairs = {key: (mean_and_spread(ours, key)[0], mean_and_spread(theirs, key)[0]) for key in shown}
    return ["", *(_compare(key, *pair) for key, pair in pairs.items())]


def _compare(name: str, ours: float, theirs: float) -> str:
    if np.isnan(ours):
        return ""
    return f"x {ours / theirs:.2f}" if name in DRIFT_BARS else f"{ours - theirs:+.4f}"


def _with_spread(runs: Sequence[Run], name: str) -> str:
    mean, spread = mean_and_spread(runs, name)
    return figure(mean) if np.isnan(mean) or len(runs) == 1 else f"{figure(mean)} ± {figure(spread)}"
