"""What a run is: validated once, saved in the store, the same names on the command line, in TOML and in Python."""

from __future__ import annotations

import difflib
import os
from typing import Annotated, Any, Literal, Self, TypeAlias, TypeVar

import numpy as np
from pydantic import Field, ValidationInfo, field_validator, model_validator

from driftmap.engine.settings import (
    BLAS_METRICS,
    BOOLEAN_METRICS,
    PAIRWISE_METRICS,
    GraphSettings,
    LayoutSettings,
    TargetSettings,
    check_together,
)
from driftmap.pipeline.config.models import FrozenModel, is_stored, show_value, validate
from driftmap.pipeline.config.run_settings import LAYOUT_ONLY, OWN_SETTINGS, RUN_SETTINGS
from driftmap.pipeline.config.source_spec import SOURCE_OPTIONS, SchemaChange, SourceSpec
from driftmap.pipeline.config.window_rule import WindowRule
from driftmap.pipeline.errors import ConfigError

_T = TypeVar("_T")
PerWindow: TypeAlias = _T | Annotated[tuple[_T, ...], Field(min_length=1)]
"""One value for all windows, or one for each."""

METRICS = tuple(sorted({*BLAS_METRICS, *PAIRWISE_METRICS, *BOOLEAN_METRICS}))
"""Metrics of a run: those that no worker compiles anything for."""

TARGET_METRICS = ("categorical", *METRICS)

_DEFAULTS: dict[str, Any] = {name: setting.default for name, setting in RUN_SETTINGS.items()}


def _choose(value: str, among: tuple[str, ...]) -> str:
    if value not in among:
        raise ValueError(f"{value!r} was given; one of {', '.join(among)} was expected")
    return value


class _TableSettings(FrozenModel):
    """Settings whose values are checked by the one table; those of a store were accepted when it was made."""

    @field_validator("*", mode="before")
    @classmethod
    def _check_each(cls, value: Any, info: ValidationInfo) -> Any:
        return value if is_stored(info) else RUN_SETTINGS[info.field_name or ""].check_all(value)

    @model_validator(mode="after")
    def _check_together(self, info: ValidationInfo) -> Self:
        if not is_stored(info):
            check_together(dict(self))
        return self


class GraphConfig(_TableSettings):
    """How a window's rows become a graph; see the engine's `GraphSettings`."""

    n_neighbors: int = _DEFAULTS["n_neighbors"]
    metric: str = _DEFAULTS["metric"]
    metric_kwds: dict[str, Any] | None = _DEFAULTS["metric_kwds"]
    set_op_mix_ratio: float = _DEFAULTS["set_op_mix_ratio"]
    local_connectivity: float = _DEFAULTS["local_connectivity"]
    knn_recall: float = _DEFAULTS["knn_recall"]

    @field_validator("metric")
    @classmethod
    def _refuse_unknown_metric(cls, value: str) -> str:
        return _choose(value, METRICS)


class TargetConfig(_TableSettings):
    """How the target, where the source names one, changes the graphs; see the engine's `TargetSettings`."""

    target_metric: str = _DEFAULTS["target_metric"]
    target_weight: float = _DEFAULTS["target_weight"]
    target_n_neighbors: int = _DEFAULTS["target_n_neighbors"]

    @field_validator("target_metric")
    @classmethod
    def _refuse_unknown_metric(cls, value: str) -> str:
        return _choose(value, TARGET_METRICS)


class LayoutConfig(_TableSettings):
    """How graphs become maps; see the engine's `LayoutSettings`. A list holds one value for each window."""

    n_components: int = _DEFAULTS["n_components"]
    n_epochs: PerWindow[int | None] = _DEFAULTS["n_epochs"]
    min_dist: PerWindow[float] = _DEFAULTS["min_dist"]
    spread: PerWindow[float] = _DEFAULTS["spread"]
    a: float | None = _DEFAULTS["a"]
    b: float | None = _DEFAULTS["b"]
    learning_rate: PerWindow[float] = _DEFAULTS["learning_rate"]
    repulsion_strength: PerWindow[float | Literal["auto"]] = _DEFAULTS["repulsion_strength"]
    negative_sample_rate: PerWindow[int] = _DEFAULTS["negative_sample_rate"]
    alignment_window_size: int = _DEFAULTS["alignment_window_size"]
    alignment_regularisation: PerWindow[float | Literal["auto"]] = _DEFAULTS["alignment_regularisation"]
    layout: Literal["auto", "carry", "exchange"] = _DEFAULTS["layout"]
    """Blocks one after the other, or in parallel on the workers; "auto" is settled when the store is made."""

    @model_validator(mode="before")
    @classmethod
    def _know_old_stores(cls, value: Any, info: ValidationInfo) -> Any:
        """Read a store that names no layout: it is of a time in which there was one."""
        return {"layout": "carry", **value} if is_stored(info) and isinstance(value, dict) else value


class ScalingPin(FrozenModel):
    """Centres and spreads of the columns, as a store holds them."""

    digest: str
    n_rows: int
    """Rows of all windows."""
    n_fitted: int
    """Rows of these that it was fitted on."""


RUN_OPTIONS = tuple(name for name in OWN_SETTINGS if name != "layout")


class RunConfig(FrozenModel):
    """Everything that decides what a run computes; the store keeps it as JSON."""

    source: SourceSpec
    windows: WindowRule
    graph: GraphConfig = GraphConfig()
    target: TargetConfig = TargetConfig()
    layout: LayoutConfig = LayoutConfig()
    lookahead: int = _DEFAULTS["lookahead"]
    """Windows after a block's core that are laid out with it and again by the next block."""
    random_state: int = _DEFAULTS["random_state"]
    block_windows: int | None = _DEFAULTS["block_windows"]
    """Windows in a block's core; None: chosen from the memory limit when the store is made."""
    relations: tuple[str, ...] = ()
    """Digests of the relations from outside that the store holds."""
    scale: str = _DEFAULTS["scale"]
    """How vectors are scaled before distances are taken."""
    scaling: ScalingPin | None = None
    """What they are scaled by, once it is fitted; None where nothing is fitted."""
    bad_rows: str | None = None
    """Digest of the numbers of the rows that were dropped, which the store holds; None where none may be."""
    left_out: tuple[str, ...] = ()
    """Labels of the windows that the run has not, since they have too few rows (`on_empty`)."""
    schemas: tuple[SchemaChange, ...] = ()
    """Schemas that ingests took in on purpose, in the order in which they came; `source` has the run's own."""

    @field_validator(*RUN_OPTIONS, mode="before")
    @classmethod
    def _check_each(cls, value: Any, info: ValidationInfo) -> Any:
        return value if is_stored(info) else RUN_SETTINGS[info.field_name or ""].check_all(value)

    @model_validator(mode="after")
    def _refuse_windows_that_miss_a_column(self) -> Self:
        if self.windows.window is not None and self.source.time is None:
            raise ValueError(
                f"window is {self.windows.window!r}, but no time column is named; give time, the column with the "
                "times of the rows"
            )
        if self.windows.by not in (None, self.source.by):
            raise ValueError(f"by is {self.windows.by!r} for the windows, but {self.source.by!r} for the source")
        if self.source.duplicates != "refuse" and self.source.id is None:
            raise ValueError(
                f"duplicates is {self.source.duplicates!r}, but no id column is named; give id, the column whose "
                "values may come more than once"
            )
        if self.scale not in ("none", "unit") and self.graph.metric in BOOLEAN_METRICS:
            raise ValueError(
                f"scale is {self.scale!r}, but metric {self.graph.metric!r} takes numbers as true and false; leave "
                "scale out, or choose another metric"
            )
        return self

    @model_validator(mode="after")
    def _refuse_scaled_angles(self, info: ValidationInfo) -> Self:
        if self.scale != "none" and self.graph.metric == "haversine" and not is_stored(info):
            raise ValueError(
                f"scale is {self.scale!r}, but metric 'haversine' takes latitude and longitude in radians as they are; "
                "leave scale out, or choose another metric"
            )
        return self

    @classmethod
    def from_options(cls, source: SourceSpec, **options: object) -> Self:
        """Make the configuration from flat options, named as on the command line with underscores.

        Parameters
        ----------
        source
            Of the opened source (`as_source(...).spec`); it says what the columns mean, whatever `options` say of them.
        **options
            Any of `OPTION_NAMES`; None counts as not given.

        Raises
        ------
        ConfigError
            Naming every option that cannot be used, what came and what was expected.
        """
        given = {name: _as_plain(value) for name, value in options.items() if value is not None}
        _refuse_unknown(given)
        idle = [name for name in TargetConfig.model_fields if given.get(name, _DEFAULTS[name]) != _DEFAULTS[name]]
        if idle and source.target is None:
            came = f"{idle[0]} is {given[idle[0]]!r}"
            raise ConfigError(f"{came}, but no target is named; give target, a column of labels or numbers")
        rule = {name: given[name] for name in WindowRule.model_fields if name in given}
        if source.by is not None and not {"window", "rows"} & rule.keys():
            rule["by"] = source.by
        sections: dict[str, Any] = {"source": source, "windows": rule}
        for section, model in (("graph", GraphConfig), ("target", TargetConfig), ("layout", LayoutConfig)):
            sections[section] = {name: given[name] for name in model.model_fields if name in given}
        sections |= {name: given[name] for name in RUN_OPTIONS if name in given}
        return validate(cls, sections)

    @classmethod
    def from_json(cls, saved: object) -> Self:
        """Read what `to_json` gave.

        Raises
        ------
        ConfigError
            When it is not of that form.
        """
        try:
            return validate(cls, saved, is_stored=True)
        except ConfigError as error:
            raise ConfigError(f"the settings in the store's log cannot be read, it is damaged: {error}") from error

    def to_json(self) -> dict[str, Any]:
        """Give the configuration as JSON holds it: dicts, lists, text, numbers and None."""
        return self.model_dump(mode="json")

    def to_options(self) -> dict[str, Any]:
        """Give the flat options, with `source` for the path of the data."""
        source = self.source.model_dump(mode="json")
        flat = {"source": source["path"]} | {name: source[name] for name in SOURCE_OPTIONS}
        for section in (self.windows, self.graph, self.target, self.layout):
            flat |= section.model_dump(mode="json")
        return flat | {name: getattr(self, name) for name in RUN_OPTIONS}

    @property
    def window_rule(self) -> WindowRule:
        """How the rows are cut into windows; with relations from outside they need not share ids."""
        return self.windows.model_copy(update={"allow_unrelated": True}) if self.relations else self.windows

    @property
    def is_exchanged(self) -> bool:
        """Whether blocks are laid out in parallel."""
        return self.layout.layout == "exchange"

    def take_layout(self, other: RunConfig) -> Self:
        """Return this configuration with all settings of another that no graph depends on."""
        own = {name: getattr(other, name) for name in LAYOUT_ONLY if name in RUN_OPTIONS}
        layout = other.layout  # what is left open, as in `differences`, is the store's
        left_open = {name for section, name in _ONCE_OTHER if section == "layout"} - layout.model_fields_set
        layout = layout.model_copy(update={name: getattr(self.layout, name) for name in left_open})
        if layout.layout == "auto":
            layout = layout.model_copy(update={"layout": self.layout.layout})
        return self.model_copy(update={"layout": layout, **own})

    def graph_settings(self) -> GraphSettings:
        """Give the engine's settings of a window's graph."""
        return GraphSettings(**dict(self.graph))

    def target_settings(self) -> TargetSettings | None:
        """Give the engine's settings of the target; None where the source names none."""
        if self.source.target is None:
            return None
        return TargetSettings(**{name.removeprefix("target_"): value for name, value in self.target})

    def layout_settings(self) -> LayoutSettings:
        """Give the engine's settings of the layout."""
        return LayoutSettings(**{name: value for name, value in self.layout if name != "layout"})


OPTION_NAMES = tuple(
    dict.fromkeys(
        [
            *SOURCE_OPTIONS,
            *WindowRule.model_fields,
            *GraphConfig.model_fields,
            *TargetConfig.model_fields,
            *LayoutConfig.model_fields,
            *RUN_OPTIONS,
        ]
    )
)
"""Every option of a run, as `RunConfig.from_options` takes them."""


_ONCE_OTHER = (
    ("graph", "knn_recall"),
    ("layout", "alignment_regularisation"),
    ("layout", "repulsion_strength"),
)
"""Sections and settings whose defaults were others once: where they are not given, a store keeps what it has."""


def differences(stored: RunConfig, now: RunConfig) -> dict[str, str]:
    """Say by name in which options two configurations differ; empty where a run may go on with the other's store.

    `block_windows` and `layout` count only where both name them: a run that leaves them open goes on with what the
    store has. So do `timezone` and `order`, and what had another default once.
    """
    ours, theirs = stored.to_options(), now.to_options()
    for name, is_open in (("block_windows", None), ("layout", "auto")):
        if is_open in (ours[name], theirs[name]):
            del ours[name]
    for section, name in _ONCE_OTHER:
        if name not in getattr(now, section).model_fields_set:
            del ours[name]
    for name, former in (("timezone", "UTC"), ("order", "text")):
        ours[name] = ours[name] or former
        theirs[name] = theirs[name] or ours[name]
    if (ours["stride"] or ours["window"]) == (theirs["stride"] or theirs["window"]):
        del ours["stride"]  # the same windows, said otherwise
    theirs["source"] = theirs["source"] or "rows from Python"
    if stored.source.format == now.source.format == "arrays":
        del ours["source"]  # arrays from Python have no place of their own; their fingerprint tells them apart
    return {
        name: f"{name}: store has {show_value(ours[name])}, now {show_value(theirs[name])}"
        for name in ours
        if ours[name] != theirs[name]
    }


def _refuse_unknown(given: dict[str, Any]) -> None:
    unknown = [name for name in given if name not in OPTION_NAMES]
    if not unknown:
        return
    close = difflib.get_close_matches(unknown[0], OPTION_NAMES, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(OPTION_NAMES)}"
    raise ConfigError(f"no option is named {unknown[0]!r}; {hint}")


def _as_plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return tuple(_as_plain(part) for part in value)
    return os.fspath(value) if isinstance(value, os.PathLike) else value
