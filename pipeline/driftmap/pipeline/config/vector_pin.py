"""The columns that make up the vectors, as the store keeps them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

SPARSE = "sparse rows of "
"""Begins the type of a sparse matrix."""

N_SHOWN = 8
"""Columns that a line names; of more, the first ones and the last."""


class VectorPin(BaseModel):
    """The columns that make up the vectors, as they were found when the source was opened for the run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...]
    """One column of lists, or each column one number of the vector, in this order."""
    types: tuple[str, ...]
    """Of each: `float`, `integer`, `bool`, or `number` where files differ; `list of float` and so on for lists, `sparse
    rows of float` for a sparse matrix."""
    dimension: int | None = None
    """Numbers in a vector; None where vectors differ in length, or where it is not known without reading them."""
    left_out: tuple[str, ...] = ()
    """Columns that were not taken, each with the reason."""

    @property
    def is_list(self) -> bool:
        """Whether it is one column of lists, or one matrix."""
        return self.is_sparse or self.types[0].startswith("list of ")

    @property
    def is_sparse(self) -> bool:
        """Whether it is a sparse matrix."""
        return self.types[0].startswith(SPARSE)

    def __str__(self) -> str:
        if self.is_list:
            size = "" if self.dimension is None else f" of {self.dimension:,} numbers"
            return f"vectors: 1 column, {self.names[0]} ({'sparse rows' if self.is_sparse else 'lists'}{size})"
        shown = self.names if len(self.names) <= N_SHOWN else (*self.names[: N_SHOWN - 1], "...", self.names[-1])
        columns = "1 column" if len(self.names) == 1 else f"{len(self.names):,} columns"
        return f"vectors: {columns}, {', '.join(shown)}"

    def is_like(self, other: VectorPin) -> bool:
        """Whether vectors of both are made of the same columns, so that distances between them mean something."""
        if self.is_sparse or other.is_sparse:
            return self == other
        flags = [[kind.endswith("bool") for kind in pin.types] for pin in (self, other)]
        lengths = {self.dimension, other.dimension} - {None}
        is_same = (self.names, self.is_list) == (other.names, other.is_list)
        return is_same and flags[0] == flags[1] and len(lengths) <= 1

    def relax(self) -> VectorPin:
        """Take any type of number where one is pinned, dense or sparse, of any length: the engine compares widths."""
        types = tuple(
            kind.replace(SPARSE, "list of ").replace("integer", "number").replace("float", "number")
            for kind in self.types
        )
        return self.model_copy(update={"types": types, "dimension": None})

    def describe(self) -> list[str]:
        """Say which columns are taken, how, and which are not: a line for each."""
        lines = [str(self)]
        flags = [name for name, kind in zip(self.names, self.types, strict=True) if kind == "bool"]
        if flags:
            lines.append(f"true/false columns count as 1 and 0: {_name_few(flags)}")
        if self.left_out:
            lines.append(f"not in the vectors: {_name_few(list(self.left_out))}")
        return lines


def _name_few(names: list[str]) -> str:
    more = f" and {len(names) - N_SHOWN:,} more" if len(names) > N_SHOWN else ""
    return ", ".join(names[:N_SHOWN]) + more
