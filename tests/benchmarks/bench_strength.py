"""How strong the pull should be where the data decide: rules for "auto" over all sets, each set left out once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
from tests.benchmarks.bench_quality import fit_ours, mean_and_spread
from tests.benchmarks.data_sets import load
from tests.benchmarks.tables import figure, format_table

from driftmap.engine.layout import strength

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RULES = ((0.01, 0.0, 1), (0.01, 0.1, 3), (0.015, 0.1, 3), (0.01, 0.3, 4), (0.035, 0.0, 1))
"""LEAST, RISE and POWER of `layout.strength`; without a rise, a constant in all but the freedom to move together."""
MOST_LOST = {"trust": 0.003, "neighbours": 0.01}
"""Most that a set may lose against its weakest pull, the first of RULES."""
SHOWN = ("trust", "neighbours", "drift1")


def compare_rules(
    names: Sequence[str], seeds: Sequence[int], *, say: Callable[[str], None] = print
) -> dict[str, dict[str, Any]]:
    """Measure every rule on every set, and say which one the other sets would have chosen for each."""
    results: dict[str, dict[str, Any]] = {}
    for name in names:
        data = load(name)
        results[name] = {}
        for rule in RULES:
            fields = dict(
                zip(("LEAST", "RISE", "POWER"), (np.float32(rule[0]), np.float32(rule[1]), rule[2]), strict=True)
            )
            with patch.multiple(strength, **fields):
                runs = fit_ours(data, seeds)
            results[name][name_rule(rule)] = {shown: mean_and_spread(runs, shown)[0] for shown in SHOWN}
        rows = [[rule, *(figure(found[shown]) for shown in SHOWN)] for rule, found in results[name].items()]
        say(format_table([name, *SHOWN], rows) + "\n")
    for name in names:
        say(f"chosen without {name}: {choose_rule({other: results[other] for other in names if other != name})}")
    return results


def choose_rule(results: dict[str, dict[str, Any]]) -> str:
    """Choose the rule of least drift (geometric mean) among those by which no set loses more than MOST_LOST."""
    weakest = name_rule(RULES[0])

    def costs_little(rule: str) -> bool:
        pairs = [(found[weakest], found[rule]) for found in results.values()]
        return all(pulled[key] >= free[key] - most for free, pulled in pairs for key, most in MOST_LOST.items())

    allowed = [rule for rule in map(name_rule, RULES) if costs_little(rule)]
    drifts = {rule: np.mean([np.log(found[rule]["drift1"]) for found in results.values()] or [0]) for rule in allowed}
    return min(drifts, key=lambda rule: drifts[rule])


def name_rule(rule: tuple[float, float, int]) -> str:
    """Name a rule as a formula of the overlap J."""
    return f"{rule[0]:g} + {rule[1]:g} J^{rule[2]}"
