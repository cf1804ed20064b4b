"""How strong the pull should be where the data decide: rules for "auto" over all sets, each set left out once.

The criterion was set down before the grid was measured: of the rules by which none of the other sets loses more than
MOST_LOST against next to no pull, the one with the least drift (geometric mean). Its figures are reported on the set
that was left out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
from tests.benchmarks.bench_quality import fit_ours, mean_and_spread
from tests.benchmarks.data_sets import DataSet, load
from tests.benchmarks.tables import figure, format_table

from driftmap.engine.layout import strength

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

Rule = tuple[float, float, int]
"""LEAST, RISE and POWER of `layout.strength`: a row's pull is LEAST + RISE J^POWER."""

FREE: Rule = (0.001, 0.0, 1)
"""Next to no pull: what a set keeps without an alignment."""
RULES: tuple[Rule, ...] = (
    FREE,
    (0.01, 0.1, 3),
    (0.01, 0.0, 1),
    (0.01, 0.2, 3),
    (0.02, 0.1, 3),
    (0.01, 0.1, 2),
    (0.01, 0.05, 3),
    (0.01, 0.1, 4),
    (0.035, 0.0, 1),
)
MOST_LOST = {"trust": 0.003, "neighbours": 0.01}
"""Most that a set may lose against FREE."""
SHOWN = ("trust", "neighbours", "drift1", "drift5", "across")
MAIN_SHOWN = SHOWN[:3]

Results = dict[str, dict[Rule, dict[str, float]]]
"""Means over seeds by set and rule."""


def compare_rules(
    names: Sequence[str],
    seeds: Sequence[int],
    *,
    kept: Path | None = None,
    rules: Sequence[Rule] = RULES,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measure every rule on every set, and what each set gets from the rule that the others choose.

    Parameters
    ----------
    names, seeds
        Data sets and seeds.
    kept
        File of JSON lines to which each fit's figures are added, and from which those of an earlier call are read.
    rules
        The rules, FREE among them.
    say
        Takes each table.
    """
    known = _read_kept(kept)
    sets = {name: load(name) for name in names}
    for rule in rules:
        for data in sets.values():
            _measure_seeds(data, rule, seeds, known, kept)
    results: Results = {
        name: {rule: _average([known[_key(name, rule, seed)] for seed in seeds]) for rule in rules} for name in names
    }
    for name, found in results.items():
        rows = [[name_rule(rule), *(figure(means[shown]) for shown in SHOWN)] for rule, means in found.items()]
        say(format_table([name, *SHOWN], rows) + "\n")
    left_out = leave_each_out(results)
    say(format_left_out(results, left_out))
    return {
        "means": {name: {name_rule(rule): means for rule, means in found.items()} for name, found in results.items()},
        "chosen": {name: None if rule is None else name_rule(rule) for name, rule in left_out.items()},
    }


def leave_each_out(results: Results) -> dict[str, Rule | None]:
    """Return the rule that all sets but one choose, by the name of that one; by "" what all of them choose."""
    return {
        name: choose_rule({other: found for other, found in results.items() if other != name})
        for name in (*results, "")
    }


def choose_rule(results: Results) -> Rule | None:
    """Choose the rule of least drift (geometric mean) among those by which no set loses more than MOST_LOST."""
    rules = list(next(iter(results.values()), {}))
    allowed = [rule for rule in rules if all(costs_little(found, rule) for found in results.values())]
    drifts = {rule: np.mean([np.log(found[rule]["drift1"]) for found in results.values()]) for rule in allowed}
    return min(drifts, key=lambda rule: drifts[rule], default=None)


def costs_little(found: dict[Rule, dict[str, float]], rule: Rule) -> bool:
    """Tell whether a set loses at most MOST_LOST by a rule."""
    return all(found[rule][key] >= found[FREE][key] - most for key, most in MOST_LOST.items())


def format_left_out(results: Results, chosen: dict[str, Rule | None]) -> str:
    """A row per set: the rule that the others choose, its figures there, and what they cost against FREE."""
    rows = []
    for name, found in results.items():
        rule = chosen[name]
        if rule is None:
            rows.append([name, "none allowed"])
            continue
        costs = [f"{found[rule][key] - found[FREE][key]:+.4f}" for key in MOST_LOST]
        verdict = "yes" if costs_little(found, rule) else "NO"
        rows.append([name, name_rule(rule), *(figure(found[rule][key]) for key in MAIN_SHOWN), *costs, verdict])
    everything = chosen[""]
    rows.append(["all sets", "none allowed" if everything is None else name_rule(everything)])
    width = 4 + len(MAIN_SHOWN) + len(MOST_LOST) - 1
    header = ["left out", "chosen by the others", *MAIN_SHOWN, *(f"{key} against free" for key in MOST_LOST), "kept"]
    return format_table(header, [[*row, *[""] * (width - len(row))] for row in rows])


def name_rule(rule: Rule) -> str:
    """Name a rule as a formula of the overlap J."""
    return f"{rule[0]:g} + {rule[1]:g} J^{rule[2]}" if rule[1] else f"{rule[0]:g}"


def _measure_seeds(
    data: DataSet, rule: Rule, seeds: Sequence[int], known: dict[str, dict[str, float]], kept: Path | None
) -> None:
    missing = [seed for seed in seeds if _key(data.name, rule, seed) not in known]
    if not missing:
        return
    fields = {"LEAST": np.float32(rule[0]), "RISE": np.float32(rule[1]), "POWER": rule[2]}
    with patch.multiple(strength, **fields):
        for run in fit_ours(data, missing):
            key = _key(data.name, rule, int(run["seed"]))
            known[key] = run
            if kept is not None:
                with kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": key, **run}) + "\n")


def _key(name: str, rule: Rule, seed: int) -> str:
    return f"{name}: {name_rule(rule)}: {seed}"


def _read_kept(kept: Path | None) -> dict[str, dict[str, float]]:
    if kept is None or not kept.exists():
        return {}
    return {line.pop("key"): line for line in map(json.loads, kept.read_text(encoding="utf-8").splitlines())}


def _average(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    return {shown: mean_and_spread(runs, shown)[0] for shown in SHOWN}
