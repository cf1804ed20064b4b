"""How strong the repulsion should be by the rows of a window: rules over all sets, each set left out once.

Of the rules that meet the bars of `list_failures` on the sets that choose, and lose no more there than `list_losses` of
the paces allows, against a weight of 1, umap-learn's, the one is chosen that keeps the most: the mean over the sets of
what they keep of trust and neighbours above umap-learn's, in units of AIMS. What it gives on the set that had no say is
printed beside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tests.benchmarks.arrangement import ARRANGEMENT, Arrangement
from tests.benchmarks.bench_pace import Results, format_left_out, list_losses
from tests.benchmarks.bench_quality import fit_ours, mean_and_spread
from tests.benchmarks.bench_strength import AIMS, PEER, SHOWN, leave_each_out
from tests.benchmarks.data_sets import load
from tests.benchmarks.tables import figure, format_table

from driftmap.engine.layout.repulsion import MOST_REPULSION, PLAIN_ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Rule(NamedTuple):
    """The weight of the repulsion in a window of n rows: (n / n_plain)^power, from 1 to `most`."""

    n_plain: float
    power: float
    most: float

    def __str__(self) -> str:
        if self.power == 0:
            return f"{self.most:g}"
        return f"(n / {self.n_plain:g})^{self.power:.2g}, 1 to {self.most:g}"

    def weigh(self, n_rows: int) -> float:
        """Return the weight; a power of 0 is the same weight everywhere."""
        return self.most if self.power == 0 else float(np.clip((n_rows / self.n_plain) ** self.power, 1, self.most))


PLAIN = Rule(1, 0, 1)
"""umap-learn's."""
DEFAULT = Rule(PLAIN_ROWS, 0.5, MOST_REPULSION)
RULES = (
    PLAIN,
    *(Rule(1, 0, weight) for weight in (1.5, 2, 3)),
    DEFAULT,
    *(Rule(*given) for given in ((100, 0.5, 3), (400, 0.5, 3), (200, 0.5, 2), (200, 0.5, 4), (200, 1 / 3, 3))),
)
ALL_SHOWN = (*SHOWN, *ARRANGEMENT)


def compare_repulsion(
    names: Sequence[str],
    seeds: Sequence[int],
    *,
    rules: Sequence[Rule] = RULES,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measure every rule on every set, and what each set gets from the rule that the others choose.

    Parameters
    ----------
    names, seeds
        Data sets and seeds.
    rules
        The first of them is the one that the others may lose against.
    say
        Takes each table.
    """
    results: Results = {}
    for name in names:
        data = load(name)
        shape = Arrangement(data)
        results[name] = []
        for rule in rules:
            weights = [rule.weigh(len(rows)) for rows in data.windows]
            runs = fit_ours(data, seeds, shape=shape, repulsion_strength=weights)
            results[name].append({shown: mean_and_spread(runs, shown)[0] for shown in ALL_SHOWN})
        say(format_rules(name, results[name], rules) + "\n")
    judged = {name: found for name, found in results.items() if name in PEER}
    chosen = leave_each_out(judged, choose)
    say(format_left_out(judged, chosen, [str(rule) for rule in rules]))
    return {
        "means": {
            name: {str(rule): means for rule, means in zip(rules, found, strict=True)}
            for name, found in results.items()
        },
        "chosen": {name: None if i is None else str(rules[i]) for name, i in chosen.items()},
    }


def choose(results: Results) -> int | None:
    """Choose the number of the rule that keeps the most of those that neither fail nor lose too much anywhere."""
    n_rules = min((len(found) for found in results.values()), default=0)
    allowed = [i for i in range(n_rules) if not any(list_losses(name, found, i) for name, found in results.items())]
    return max(allowed, key=lambda i: _keeps(results, i), default=None)


def _keeps(results: Results, i: int) -> float:
    gains = [
        (found[i][key] - PEER[name][SHOWN.index(key)]) / aim
        for name, found in results.items()
        for key, aim in AIMS.items()
    ]
    return float(np.mean(gains))


def format_rules(name: str, found: Sequence[dict[str, float]], rules: Sequence[Rule]) -> str:
    """A row per rule: its figures on a set, and umap-learn's."""
    rows = [
        [f"{rule} (auto)" if rule == DEFAULT else str(rule), *(figure(means[shown]) for shown in ALL_SHOWN)]
        for rule, means in zip(rules, found, strict=True)
    ]
    if name in PEER:
        rows.append(["umap-learn", *(figure(value) for value in PEER[name]), *[""] * len(ARRANGEMENT)])
    return format_table([name, *ALL_SHOWN], rows)
