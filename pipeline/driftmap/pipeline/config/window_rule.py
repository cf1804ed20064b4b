"""How the rows of a source are cut into windows."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from driftmap.pipeline.config.models import Column, Count1, FrozenModel
from driftmap.pipeline.config.times.durations import parse_duration, read_duration
from driftmap.pipeline.config.times.time_zones import UTC_NAMES, read_zone
from driftmap.pipeline.config.window_order import read_order


class WindowRule(FrozenModel):
    """How the rows are cut into windows: one of `by`, `window` (with `stride`) and `rows` (with `row_stride`)."""

    by: Column | None = None
    window: str | None = None
    stride: str | None = None
    rows: Annotated[int, Field(ge=2)] | None = None
    row_stride: Count1 | None = None
    timezone: str | None = None
    """Whose clock says when days and months begin; None: that of the time column, UTC where it has no zone."""
    order: str | tuple[str, ...] | None = None
    """Of windows by a column: its values in order; None: that of its categories, or natural order."""
    allow_unrelated: bool = False
    relations_only: bool = False
    """Whether relations from outside are in place of equal ids, not beside them."""
    on_empty: Literal["skip", "refuse"] = "skip"
    """What becomes of windows of fewer than two rows, in a run and in every later ingest."""

    @field_validator("window", "stride", mode="before")
    @classmethod
    def _read_duration(cls, value: object, info: ValidationInfo) -> str | None:
        return None if value is None else str(read_duration(value, str(info.field_name)))

    @field_validator("timezone")
    @classmethod
    def _refuse_unknown_zone(cls, value: str | None) -> str | None:
        if value not in UTC_NAMES:
            read_zone(value or "")
        return value

    @field_validator("order", mode="before")
    @classmethod
    def _read_order(cls, value: object) -> object:
        return read_order(value)

    @model_validator(mode="after")
    def _refuse_mixed(self) -> Self:
        given = [name for name in ("by", "window", "rows") if getattr(self, name) is not None]
        if not given:
            raise ValueError(
                "nothing says how to make windows; give window (such as 30D, with time), rows (such as 400), "
                "or by (a column: one window for each of its values)"
            )
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are both given; windows are made by one of them")
        for stride, length in (("stride", "window"), ("row_stride", "rows")):
            if getattr(self, stride) is not None and length not in given:
                raise ValueError(f"{stride} is {getattr(self, stride)!r}, but {length} is not given; it goes with it")
        for name, what in (("order", "by"), ("timezone", "window")):
            if getattr(self, name) is not None and what not in given and not (name == "timezone" and self.by):
                raise ValueError(f"{name} is {getattr(self, name)!r}, but {what} is not given; it goes with it")
        if self.window and parse_duration(self.window).is_calendar and not parse_duration(self._stride).is_calendar:
            raise ValueError(
                f"window is {self.window!r} and stride {self.stride!r}; a window of months or years starts with a "
                "month or year, so give a stride in M or Y too, or a window in D or W"
            )
        return self

    @property
    def _stride(self) -> str:
        return self.stride or self.window or ""
