"""Settings of a run: the engine's, and those that only a run has, in the engine's form of a table.

Imports no pydantic, so that `--help` stays quick.
"""

from __future__ import annotations

from dataclasses import replace

from driftmap.engine.settings import GRAPH_NAMES, LAYOUT_NAMES, RANDOM_STATE, SETTINGS, TARGET_NAMES, Setting

_OWN = (
    Setting(
        "layout",
        "choice",
        "auto",
        "Lay blocks out one after the other (carry), or in parallel on the workers (exchange). auto: in parallel on a "
        "cluster's workers where a model says that it saves time, whatever their number; else in order.",
        per_window=False,
        words=("auto", "carry", "exchange"),
    ),
    Setting(
        "scale",
        "choice",
        "none",
        "Scale columns over all windows to mean 0 and standard deviation 1 (standard) or median 0 and interquartile "
        "range 1 (robust), or each row to length 1 (unit). Fitted once, and used by every later ingest and place.",
        per_window=False,
        words=("none", "standard", "robust", "unit"),
    ),
    Setting(
        "lookahead",
        "integer",
        3,
        "Windows after a block that are laid out with it and again by the next.",
        0,
        1000,
        per_window=False,
    ),
    Setting(
        "block_windows",
        "integer",
        None,
        "Windows in a block; chosen from --memory-limit when left out.",
        1,
        1_000_000,
        per_window=False,
        other=(None,),
    ),
    replace(RANDOM_STATE, default=42),
)
ENGINE_SETTINGS = {
    **{name: replace(SETTINGS[name], per_window=False) for name in (*GRAPH_NAMES, *TARGET_NAMES)},  # one for all
    **{name: SETTINGS[name] for name in LAYOUT_NAMES},
}
"""Those of the engine, by name."""
OWN_SETTINGS = {setting.name: setting for setting in _OWN}
"""Those that only a run has, by name."""
RUN_SETTINGS = {**ENGINE_SETTINGS, **OWN_SETTINGS}

LAYOUT_ONLY = frozenset({*LAYOUT_NAMES, "layout", "lookahead", "block_windows"})
"""Settings that no graph depends on: they may change as long as nothing is laid out."""
