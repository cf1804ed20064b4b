"""Where the data are, and which of their columns mean what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import field_validator

from driftmap.pipeline.config.models import Column, FrozenModel
from driftmap.pipeline.config.vector_pin import VectorPin  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from collections.abc import Mapping

_Column = TypeVar("_Column")

FILE_FORMATS = ("parquet", "csv", "json", "arrow")
"""Formats of files of rows."""


class SourceSpec(FrozenModel):
    """Where the data are and which of their columns mean what; small, and enough to open them on any worker."""

    path: str
    """Absolute, or a URL; empty for arrays that are in memory only."""
    format: Literal["parquet", "csv", "json", "arrow", "zarr", "anndata", "arrays"]
    time: Column | None = None
    id: Column | None = None
    label: tuple[Column, ...] = ()
    target: Column | None = None
    """The label column whose labels, or values, draw the graphs towards them."""
    text: Column | None = None
    """The column of texts whose words name clusters and say why they changed."""
    show: tuple[Column, ...] = ()
    """Columns that say what a row is, to a person: a title, an address; kept in the store, and no labels."""
    vectors: Column | tuple[Column, ...] | None = None
    """The columns of vectors as they were asked for: names, globs, ranges; None: chosen by rule (`choose_vectors`)."""
    exclude: tuple[Column, ...] = ()
    """Columns that are no part of the vectors: names, globs, ranges."""
    vectors_file: str | None = None
    """A `.npy` file beside a table with the vectors of its rows, or a folder of one for each file of it."""
    by: Column | None = None
    """The column that windows are made by."""
    duplicates: Literal["refuse", "first", "last", "mean"] = "refuse"
    """Which row stands for an id that comes more than once in a window, or the mean of all."""
    on_bad_rows: Literal["refuse", "drop"] = "refuse"
    """What becomes of rows without an id, and of those whose vectors are missing or not finite."""
    files: tuple[str, ...] = ()
    """Of a folder of files: only these, named from the folder; empty: all."""
    text_types: tuple[tuple[str, str], ...] = ()
    """Of files of text: what columns with a role are read as (`integer`, `float`, `bool`, `text`), found at first."""
    clock: str | None = None
    """Time zone by whose clock dates without a time of day begin; None: UTC, and in stores of before 0.2."""
    id_type: str | None = None
    """Type of ids that are kept in another form (`name_id_type`); None for whole numbers and text, and before 0.2."""
    pin: VectorPin | None = None
    """What the vectors are made of; None in stores of before 0.2, whose vectors are all integer and float columns."""

    @field_validator("label", "show", "exclude", mode="before")
    @classmethod
    def _accept_one_label(cls, value: object) -> object:
        if isinstance(value, str):
            return (value,)
        is_named = isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)
        return tuple(dict.fromkeys(value)) if is_named else value  # type: ignore[call-overload]

    @field_validator("vectors", mode="before")
    @classmethod
    def _unpack_one_name(cls, value: object) -> object:
        return (value[0] if len(value) == 1 else value or None) if isinstance(value, list | tuple) else value

    @field_validator("path", "vectors_file")
    @classmethod
    def _refuse_relative(cls, value: str | None) -> str | None:
        if value and "://" not in value and not Path(value).is_absolute():
            raise ValueError("an absolute path was expected, since workers may run in other folders")
        return value

    @property
    def is_files(self) -> bool:
        """Whether it is a file of rows, or a folder of them."""
        return self.format in FILE_FORMATS

    @property
    def named_columns(self) -> tuple[str, ...]:
        """Columns that were given a role, other than the vectors."""
        named = (self.time, self.id, self.by, *self.beside)
        return tuple(dict.fromkeys(name for name in named if name is not None))

    @property
    def beside(self) -> tuple[str, ...]:
        """Columns that are read with a row's id and vector: labels, what is shown, and texts."""
        return tuple(dict.fromkeys((*self.label, *self.show, *(() if self.text is None else (self.text,)))))

    def is_prose(self, column: str) -> bool:
        """Whether a column's texts may have any length: they are read up to a limit."""
        return column == self.text or column in self.show

    def pick_digested(self, labels: Mapping[str, _Column]) -> dict[str, _Column]:
        """Pick the columns that a window's digest is of: what is only shown, and texts, can be filled in later."""
        return {name: values for name, values in labels.items() if name in self.label or not self.is_prose(name)}

    def is_kept(self, column: str) -> bool:
        """Whether the store has a column that is read beside, row by row: of texts only the words are kept."""
        return column in self.label or column in self.show


class SchemaChange(FrozenModel):
    """Another schema of a growing source, taken in on purpose: which columns make up the vectors from then on."""

    part: str
    """The first part of the source that has it."""
    vectors: Column | tuple[Column, ...] | None = None
    exclude: tuple[Column, ...] = ()
    pin: VectorPin

    def apply(self, spec: SourceSpec) -> SourceSpec:
        """Give a source whose vectors are made of these columns."""
        return spec.model_copy(update={"vectors": self.vectors, "exclude": self.exclude, "pin": self.pin})


COLUMN_OPTIONS = ("time", "id", "label", "target", "text", "show", "vectors", "exclude", "vectors_file", "by")
"""Options that say what the source's columns mean."""
PINNED = ("pin", "id_type", "clock")
"""What else decides how its rows are read; settled when a run begins."""
ROW_OPTIONS = ("duplicates", "on_bad_rows")
"""Options that say which of its rows count."""
SOURCE_OPTIONS = (*COLUMN_OPTIONS, *ROW_OPTIONS)
