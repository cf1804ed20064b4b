"""The state of a store that grows in Prometheus' text format (0.0.4), for the node exporter's textfile collector."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from driftmap.pipeline.ingestion.watch.alarms import EXIT_ALARM, MEASURES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from driftmap.pipeline.ingestion.watch.outcome import IngestOutcome
    from driftmap.pipeline.store.log_view import LogView

    Samples = Mapping[str, float | None]


def to_prometheus(store: LogView, facts: Mapping[str, Any]) -> str:
    """Give the facts of `describe_growth`, all but how the last attempt ended, as Prometheus reads them."""
    counts = dict.fromkeys(("final", "provisional", "graph", "planned"), 0)
    for window in store.state():
        counts[window.status] += 1
    quality = facts["quality"]
    values = {f'{{measure="{name}"}}': quality.get(name) for name in MEASURES}
    scores = {f'{{measure="{name}"}}': quality.get(f"{name}_z") for name in MEASURES}
    metrics: list[tuple[str, str, str, Samples]] = [
        ("windows", "gauge", "Windows by state.", {f'{{state="{status}"}}': n for status, n in counts.items()}),
        ("windows_ingested_total", "counter", "Ingest steps.", {"": facts["n_ingested"]}),
        ("windows_skipped", "gauge", "Windows whose rows could not be used.", {"": facts["windows_skipped"]}),
        ("windows_empty", "gauge", "Windows of fewer than two rows, left out.", {"": facts["windows_empty"]}),
        ("rows_late", "gauge", "Rows that came too late and are kept out.", {"": facts["rows_late"]}),
        ("windows_altered", "gauge", "Final windows whose rows changed in the source.", {"": facts["windows_altered"]}),
        ("rows_pending", "gauge", "Rows that wait for their windows to be whole.", {"": facts["rows_pending"]}),
        ("lag_seconds", "gauge", "From the end of the newest window to the newest row.", {"": facts["lag_seconds"]}),
        (
            "behind_seconds",
            "gauge",
            "From the end of the next window, which is missing, to the newest row.",
            {"": facts["behind_seconds"]},
        ),
        (
            "last_ingest_timestamp_seconds",
            "gauge",
            "When a window was last taken in.",
            {"": _to_seconds(facts["last_ingest"])},
        ),
        ("quality", "gauge", "Measures of the newest window.", values),
        ("quality_z", "gauge", "Their distance from the windows before, in standard deviations.", scores),
        *_describe_final(store),
    ]
    return "".join(_format_metric(*metric) for metric in metrics)


def _describe_final(store: LogView) -> list[tuple[str, str, str, Samples]]:
    """Describe the newest window that moves no more."""
    final = [window for window in store.state() if window.status == "final"]
    if not final:
        return []
    measured = [window.quality_when_new for window in final if window.quality_when_new]
    quality = measured[-1] if measured else {}
    name = f'{{window="{_escape(final[-1].label)}"}}'
    return [
        ("newest_final_window_info", "gauge", "The newest window that moves no more.", {name: 1.0}),
        ("newest_final_strength", "gauge", "Strength of the alignment in it.", {"": final[-1].strength}),
        (
            "newest_final_quality",
            "gauge",
            "Measures of the newest final window that was ingested, as it came.",
            {f'{{measure="{measure}"}}': quality.get(measure) for measure in MEASURES},
        ),
    ]


def outcome_to_prometheus(outcome: IngestOutcome) -> str:
    """Give how the last ingest ended as Prometheus reads it; this needs no store that can be opened."""
    blocked = {}
    if outcome.exit_code not in (0, EXIT_ALARM):  # an alarm keeps no window out
        names = {"window": outcome.blocked or "", "reason": outcome.reason or ""}
        blocked = {"{" + ",".join(f'{name}="{_escape(text)}"' for name, text in names.items()) + "}": 1.0}
    metrics: list[tuple[str, str, str, Samples]] = [
        (
            "last_attempt_timestamp_seconds",
            "gauge",
            "When the last ingest ended, good or not.",
            {"": _to_seconds(outcome.attempted)},
        ),
        (
            "last_success_timestamp_seconds",
            "gauge",
            "When the last good ingest ended.",
            {"": _to_seconds(outcome.succeeded)},
        ),
        ("last_exit_code", "gauge", "Exit code of the last ingest; 2: something to mend.", {"": outcome.exit_code}),
        (
            "last_stage_seconds",
            "gauge",
            "What the last ingest took, by stage.",
            {f'{{stage="{_escape(stage)}"}}': seconds for stage, seconds in (outcome.seconds or {}).items()},
        ),
        ("blocked", "gauge", "1 where the last ingest failed: the window or part that blocks it, and why.", blocked),
    ]
    return "".join(_format_metric(*metric) for metric in metrics)


def _format_metric(name: str, kind: str, text: str, samples: Samples) -> str:
    known = {labels: value for labels, value in samples.items() if value is not None}
    if not known:
        return ""
    lines = [f"# HELP driftmap_{name} {text}", f"# TYPE driftmap_{name} {kind}"]
    lines += [f"driftmap_{name}{labels} {float(value):.15g}" for labels, value in known.items()]
    return "\n".join(lines) + "\n"


def _to_seconds(when: str | None) -> float | None:
    return None if when is None else datetime.fromisoformat(when).timestamp()


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
