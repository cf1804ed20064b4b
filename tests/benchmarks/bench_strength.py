"""How strong the pull should be where the data decide: rules for "auto" over all sets, each set left out once.

Two criteria choose among the rules by all sets but one, and what each chooses is judged on that one, by the bars of
`list_failures`:

- *stillest*: the least drift (geometric mean of drift1) of the rules that meet the bars on the sets that choose.
- *most kept*: of the rules with a drift of at most MOST_DRIFT of umap-learn's (geometric mean) that meet the bars, the
  one whose worst set keeps the most, trust and neighbours above umap-learn's in units of AIMS.

A third was set down before anything was measured, and allows no alignment at all: a loss of at most .003 of trust and
.01 of neighbours against next to no pull (FREE), which the weakest of the other rules exceeds on two sets.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
from tests.benchmarks.bench_quality import MEAN_DRIFT, fit_ours, mean_and_spread
from tests.benchmarks.data_sets import DataSet, load
from tests.benchmarks.tables import figure, format_table

from driftmap.engine.layout import strength

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

Rule = tuple[float, float, int]
"""LEAST, RISE and POWER of `layout.strength`: a row's pull is LEAST + RISE J^POWER."""

FREE: Rule = (0.001, 0.0, 1)
"""Next to no pull: what a set keeps without an alignment."""
RULES: tuple[Rule, ...] = (
    FREE,
    (0.01, 0.1, 3),
    (0.01, 0.0, 1),
    (0.01, 0.05, 3),
    (0.01, 0.2, 3),
    (0.02, 0.1, 3),
    (0.01, 0.1, 4),
)
SHOWN = ("trust", "neighbours", "drift1", "drift5", "across")
PEER = {
    "house_votes": (0.9132, 0.3679, 0.192, 0.357, 0.9974),
    "gapminder": (0.9016, 0.5401, 0.202, 0.312, 0.7397),
    "dask_commits": (0.9142, 0.4800, 0.314, float("nan"), 0.5100),
    "baseball_batters": (0.8943, 0.4182, 0.589, 0.917, 0.6787),
    "numpy_commits": (0.9131, 0.3995, 0.361, float("nan"), 0.4570),
    "un_votes": (0.9175, 0.6197, 0.363, 0.604, 0.549),
    "counties": (0.9210, 0.4882, 0.562, 0.696, 0.597),
}
"""umap-learn's figures in the order of SHOWN, as `tests.benchmarks quality` measured them; other sets have no say."""
LEAST_GAINS = {"trust": -0.001, "neighbours": -0.002, "across": -0.005}
"""Least that a set may be above umap-learn; its drift1 and drift5 may not be above umap-learn's at all."""
AIMS = {"trust": 0.003, "neighbours": 0.01}
MOST_DRIFT = MEAN_DRIFT

Figures = dict[str, float]
Results = dict[str, dict[Rule, Figures]]
"""Means over seeds by set and rule."""


def compare_rules(
    names: Sequence[str],
    seeds: Sequence[int],
    *,
    kept: Path | None = None,
    rules: Sequence[Rule] = RULES,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measure every rule on every set, and what each set gets from the rules that the others choose.

    Parameters
    ----------
    names, seeds
        Data sets and seeds.
    kept
        File of JSON lines to which each fit's figures are added, and from which those of an earlier call are read.
    rules
        The rules.
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
        say(format_rules(name, found) + "\n")
    judged = {name: found for name, found in results.items() if name in PEER}
    chosen = {criterion: leave_each_out(judged, choose) for criterion, choose in CRITERIA.items()}
    for criterion, by_name in chosen.items():
        say(format_left_out(criterion, judged, by_name) + "\n")
    return {
        "means": {name: {name_rule(rule): means for rule, means in found.items()} for name, found in results.items()},
        "chosen": {
            criterion: {name: None if rule is None else name_rule(rule) for name, rule in by_name.items()}
            for criterion, by_name in chosen.items()
        },
    }


def choose_stillest(results: Results) -> Rule | None:
    """Choose the rule of least drift among those that fail on no set."""
    allowed = [rule for rule in _list_rules(results) if not _fails(results, rule)]
    return min(allowed, key=lambda rule: mean_drift(results, rule), default=None)


def choose_most_kept(results: Results) -> Rule | None:
    """Choose the rule whose worst set keeps the most, among those still enough that fail on no set."""
    allowed = [
        rule for rule in _list_rules(results) if not _fails(results, rule) and mean_drift(results, rule) <= MOST_DRIFT
    ]

    def keeps(rule: Rule) -> float:
        gains = ((name, found[rule][key], key) for name, found in results.items() for key in AIMS)
        return min((mine - _peer(name)[key]) / AIMS[key] for name, mine, key in gains)

    return max(allowed, key=keeps, default=None)


CRITERIA: dict[str, Callable[[Results], Rule | None]] = {"stillest": choose_stillest, "most kept": choose_most_kept}


def leave_each_out(results: Results, choose: Callable[[Results], Rule | None]) -> dict[str, Rule | None]:
    """Return the rule that all sets but one choose, by the name of that one; by "" what all of them choose."""
    return {
        name: choose({other: found for other, found in results.items() if other != name}) for name in (*results, "")
    }


def list_failures(name: str, means: Figures) -> list[str]:
    """Names of the bars that a set's figures miss."""
    theirs = _peer(name)
    failed = [key for key, least in LEAST_GAINS.items() if means[key] < theirs[key] + least]
    return failed + [key for key in ("drift1", "drift5") if means[key] > theirs[key]]


def mean_drift(results: Mapping[str, Any], rule: Rule | int) -> float:
    """Geometric mean over the sets of drift1 as a share of umap-learn's."""
    ratios = [found[rule]["drift1"] / _peer(name)["drift1"] for name, found in results.items()]
    return float(np.exp(np.mean(np.log(ratios))))


def format_rules(name: str, found: dict[Rule, Figures]) -> str:
    """A row per rule: its figures on a set, and umap-learn's."""
    rows = [[name_rule(rule), *(figure(means[shown]) for shown in SHOWN)] for rule, means in found.items()]
    if name in PEER:
        rows.append(["umap-learn", *(figure(value) for value in PEER[name])])
    return format_table([name, *SHOWN], rows)


def format_left_out(criterion: str, results: Results, chosen: dict[str, Rule | None]) -> str:
    """A row per set: the rule that the others choose, and what it gives there against umap-learn."""
    rows = []
    for name, found in results.items():
        rule = chosen[name]
        if rule is None:
            rows.append([name, "none", *[""] * 6])
            continue
        across = f"{found[rule]['across'] - _peer(name)['across']:+.3f}"
        cells = [*format_gains(name, found[rule]), across]
        rows.append([name, name_rule(rule), *cells, ", ".join(list_failures(name, found[rule])) or "-"])
    everything = chosen[""]
    last = "none" if everything is None else f"{name_rule(everything)}, drift1 x {mean_drift(results, everything):.3f}"
    rows.append(["none: all choose", last, *[""] * 6])
    return format_table([f"{criterion}: left out", "chosen by the others", *SHOWN, "missed"], rows)


def format_gains(name: str, means: Figures) -> list[str]:
    """A set's trust and neighbours less umap-learn's, and its drifts over umap-learn's."""
    theirs = _peer(name)
    gains = [f"{means[key] - theirs[key]:+.4f}" for key in ("trust", "neighbours")]
    ratios = [means[key] / theirs[key] for key in ("drift1", "drift5")]
    return gains + ["-" if np.isnan(ratio) else f"x {ratio:.2f}" for ratio in ratios]


def name_rule(rule: Rule) -> str:
    """Name a rule as a formula of the overlap J."""
    return f"{rule[0]:g} + {rule[1]:g} J^{rule[2]}" if rule[1] else f"{rule[0]:g}"


def _list_rules(results: Results) -> list[Rule]:
    return list(next(iter(results.values()), {}))


def _fails(results: Results, rule: Rule) -> bool:
    return any(list_failures(name, found[rule]) for name, found in results.items())


def _peer(name: str) -> Figures:
    return dict(zip(SHOWN, PEER[name], strict=True))


def _measure_seeds(
    data: DataSet, rule: Rule, seeds: Sequence[int], known: dict[str, Figures], kept: Path | None
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


def _read_kept(kept: Path | None) -> dict[str, Figures]:
    if kept is None or not kept.exists():
        return {}
    return {line.pop("key"): line for line in map(json.loads, kept.read_text(encoding="utf-8").splitlines())}


def _average(runs: Sequence[Figures]) -> Figures:
    return {shown: mean_and_spread(runs, shown)[0] for shown in SHOWN}
