"""Options of a run by name and type, so that an editor shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path


class SettingKeywords(TypedDict, total=False):
    """Options that say what a run computes: columns, windows and the settings of `run_settings`; None: not given."""

    time: str | None
    id: str | None
    label: str | Sequence[str] | None
    target: str | None
    text: str | None
    show: str | Sequence[str] | None
    vectors: str | Sequence[str] | None
    exclude: str | Sequence[str] | None
    vectors_file: str | Path | None
    by: str | None
    duplicates: Literal["refuse", "first", "last", "mean"] | None
    on_bad_rows: Literal["refuse", "drop"] | None
    scale: Literal["none", "standard", "robust", "unit"] | None
    window: str | timedelta | None
    stride: str | timedelta | None
    rows: int | None
    row_stride: int | None
    timezone: str | None
    order: str | Sequence[Any] | None
    allow_unrelated: bool | None
    relations_only: bool | None
    on_empty: Literal["skip", "refuse"] | None
    n_neighbors: int | None
    metric: str | None
    metric_kwds: Mapping[str, Any] | None
    set_op_mix_ratio: float | None
    local_connectivity: float | None
    knn_recall: float | None
    target_metric: str | None
    target_weight: float | None
    target_n_neighbors: int | None
    n_components: int | None
    n_epochs: int | Sequence[int | None] | None
    min_dist: float | Sequence[float] | None
    spread: float | Sequence[float] | None
    a: float | None
    b: float | None
    learning_rate: float | Sequence[float] | None
    repulsion_strength: float | str | Sequence[float | str] | None
    negative_sample_rate: int | Sequence[int] | None
    alignment_window_size: int | None
    alignment_regularisation: float | str | Sequence[float | str] | None
    layout: Literal["auto", "carry", "exchange"] | None
    lookahead: int | None
    random_state: int | None
    block_windows: int | None
