"""What each setting does to the maps of digits: the tables of the documentation's page of settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.bench_quality import fit_ours, mean_and_spread
from tests.benchmarks.data_sets import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ABOUT = '''about = """
Effect on one data set: digits in ten windows of 400, means over seeds {seeds}. *trust* is trustworthiness,
*neighbours* the share of 15 neighbours kept, *drift* how far rows move over one window, in units of the map's
spread. On other data they differ; `python -m tests.benchmarks settings` measures these again.
"""'''
EFFECTS = Path("examples/guide/effects.toml")
TRIED: dict[str, tuple[Any, ...]] = {
    "n_neighbors": (5, 15, 50),
    "metric": ("euclidean", "cosine", "manhattan"),
    "set_op_mix_ratio": (0.0, 0.5, 1.0),
    "local_connectivity": (1.0, 3.0),
    "n_components": (2, 3),
    "n_epochs": (50, 200, 500),
    "min_dist": (0.0, 0.1, 0.5),
    "spread": (0.5, 1.0, 2.0),
    "learning_rate": (0.5, 1.0, 2.0),
    "repulsion_strength": (0.5, 1.0, "auto", 3.0),
    "negative_sample_rate": (2, 5, 10),
    "alignment_window_size": (1, 3, 6),
    "alignment_regularisation": (0.001, 0.01, "auto", 0.1),
}


def show_effects(seeds: Sequence[int], *, say: Callable[[str], None] = print) -> str:
    """Measure each value by itself, all others as they come, and return the tables as TOML."""
    data = load("digits")
    lines = [ABOUT.format(seeds=", ".join(map(str, seeds)))]
    for name, values in TRIED.items():
        for value in values:
            runs = fit_ours(data, seeds, **{name: value})
            means = {shown: mean_and_spread(runs, measure)[0] for shown, measure in SHOWN.items()}
            say(f"{name} {value}: " + ", ".join(f"{shown} {mean:.3f}" for shown, mean in means.items()))
            written = f'"{value}"' if isinstance(value, str) else str(value)
            lines += [
                "",
                f"[[{name}]]",
                f"value = {written}",
                *(f"{shown} = {mean:.4f}" for shown, mean in means.items()),
            ]
    return "\n".join(lines) + "\n"


SHOWN = {"trust": "trust", "neighbours": "neighbours", "drift": "drift1"}
"""Figures of a table, and what `measure` calls them."""
