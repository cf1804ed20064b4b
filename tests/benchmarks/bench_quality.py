"""Quality of our maps, our defaults over some seeds, beside umap-learn's on the same data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from tests.benchmarks import peer
from tests.benchmarks.clock import clock
from tests.benchmarks.data_sets import DataSet, load
from tests.benchmarks.measures import FIGURES, HIGHER_IS_BETTER, measure
from tests.benchmarks.tables import figure, format_table

from driftmap.engine import AlignedUMAP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DRIFT_BARS = {"drift1": 0.8, "drift5": 0.95}
"""Most that ours may be, as a share of the peer's."""
SUMMARY = {"trust": 4, "neighbours": 4, "drift1": 3, "drift5": 3, "across": 3}
"""Figures of the summary, and digits."""


def compare_quality(
    names: Sequence[str],
    seeds: Sequence[int],
    *,
    has_peer: bool = True,
    is_fresh: bool = False,
    n_epochs: int | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measure ours and the peer's on each data set; says a table per set and a summary, and returns all figures."""
    results = {}
    for name in names:
        data = load(name)
        ours = fit_ours(data, seeds, n_epochs=n_epochs)
        theirs = None
        if has_peer:
            found = peer.find_maps(data, is_fresh=is_fresh, **({} if n_epochs is None else {"n_epochs": n_epochs}))
            theirs = {**measure(data, found.maps), "cpu_seconds": found.timing.cpu_seconds}
            theirs["is_kept"] = found.is_kept
            theirs["measured"] = found.measured
        results[name] = {"ours": ours, "peer": theirs, "missed": list_missed(ours, theirs)}
        say(format_quality(name, results[name]) + "\n")
    if has_peer:
        say(format_summary(results) + "\n")
    return results


def fit_ours(data: DataSet, seeds: Sequence[int], **settings: Any) -> list[dict[str, float]]:
    """Fit and measure once per seed; time is that of `fit` with everything compiled."""
    AlignedUMAP(random_state=0, n_epochs=10).fit(data.windows[:2], relations=data.relations[:1])
    figures = []
    for seed in seeds:
        model = AlignedUMAP(random_state=seed, **settings)
        timing, _ = clock(lambda model=model: model.fit(data.windows, relations=data.relations))
        figures.append({"seed": seed, **measure(data, model.embeddings_), "cpu_seconds": timing.cpu_seconds})
    return figures


def mean_and_spread(ours: Sequence[dict[str, float]], name: str) -> tuple[float, float]:
    """Mean over seeds, and how far the seeds lie from it (standard deviation)."""
    values = [run[name] for run in ours]
    return float(np.mean(values)), float(np.std(values))


def list_missed(ours: Sequence[dict[str, float]], theirs: dict[str, Any] | None) -> list[str]:
    """Names of the figures whose mean over seeds is not good enough against the peer's."""
    missed = [] if all(run["bad_rows"] == 0 for run in ours) else ["bad_rows"]
    if theirs is None:
        return missed
    means = {name: mean_and_spread(ours, name)[0] for name in FIGURES}
    missed += [name for name in HIGHER_IS_BETTER if means[name] < theirs[name]]
    return missed + [name for name, most in DRIFT_BARS.items() if means[name] > most * theirs[name]]


def format_quality(name: str, result: dict[str, Any]) -> str:
    """Table of one data set: ours as mean and standard deviation over seeds, the peer's, and what lies between."""
    ours, theirs = result["ours"], result["peer"]
    means = {key: mean_and_spread(ours, key)[0] for key in (*FIGURES, "cpu_seconds")}
    cells = [_with_spread(ours, key) for key in FIGURES[:-1]]
    verdict = "missed: " + ", ".join(result["missed"]) if result["missed"] else "met" if theirs else ""
    rows = [["driftmap", *cells, f"{means['bad_rows']:.0f}", f"{means['cpu_seconds']:.2f}", verdict]]
    if theirs is not None:
        cells = [figure(theirs[key]) for key in FIGURES[:-1]]
        kept = " (kept)" if theirs["is_kept"] else ""
        rows.append([peer.NAME + kept, *cells, f"{theirs['bad_rows']:.0f}", f"{theirs['cpu_seconds']:.1f}", ""])
        between = [_compare(key, means[key], theirs[key]) for key in FIGURES[:-1]]
        rows.append(["", *between, "", f"1/{theirs['cpu_seconds'] / means['cpu_seconds']:.0f}", ""])
    return format_table([name, *FIGURES, "CPU s", "bar"], rows)


def format_summary(results: dict[str, Any]) -> str:
    """The README's table: mean of ours / the peer's."""
    rows = []
    for name, result in results.items():
        means = [mean_and_spread(result["ours"], key)[0] for key in SUMMARY]
        theirs = [result["peer"][key] for key in SUMMARY]
        cells = [
            figure(a) if np.isnan(a) else f"{figure(a, digits)} / {figure(b, digits)}"
            for a, b, digits in zip(means, theirs, SUMMARY.values(), strict=True)
        ]
        rows.append([name, *cells])
    return format_table([f"driftmap / {peer.NAME}", *SUMMARY], rows)


def _compare(name: str, ours: float, theirs: float) -> str:
    if np.isnan(ours):
        return ""
    return f"{ours - theirs:+.4f}" if name in HIGHER_IS_BETTER else f"x {ours / theirs:.2f}"


def _with_spread(ours: Sequence[dict[str, float]], name: str) -> str:
    mean, spread = mean_and_spread(ours, name)
    return figure(mean) if np.isnan(mean) else f"{figure(mean)} ± {figure(spread)}"
