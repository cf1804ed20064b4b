"""What relates the windows of a model to each other: entity ids, or a relation per pair of consecutive windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.relations.couplings import compose, find_strongest, read_relation
from driftmap.engine.relations.related_windows import add_unrelated, join_relations
from driftmap.engine.relations.relations import are_comparable, compose_relations, relate_ids, sort_ids
from driftmap.engine.types import Coupling

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from driftmap.engine.relations.relations import SortedIds
    from driftmap.engine.types import Relation


class WindowRelations:
    """Relations of any two windows of a model.

    With ids an entity that skips a window is still related to the windows before; relations of consecutive windows are
    followed through every window between, and equal ids of rows that have no partner so are added, as in
    `relate_windows`.
    """

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._ids: list[SortedIds | None] = []
        """None for a window without."""
        self._steps: list[Relation | Coupling] = []
        self._is_given: list[bool] = []
        """Of each of these, whether a relation was given, beside ids or alone."""

    @classmethod
    def of(cls, sizes: Sequence[int], relations: Any, ids: Any) -> WindowRelations:
        """Read the `relations` or `ids` arguments of `fit` for windows of these sizes; every mistake is named."""
        related = cls()
        given = _as_list(relations, "relations", len(sizes) - 1, "one per pair of consecutive windows")
        names = _as_list(ids, "ids", len(sizes), "one array per window")
        if given is None and names is None and len(sizes) > 1:
            msg = (
                f"got {len(sizes)} windows and neither relations nor ids: nothing would relate their maps. Give "
                "relations, one per pair of consecutive windows (old row -> new row), or ids, one array per window."
            )
            raise InvalidInputError(msg)
        for index, size in enumerate(sizes):
            relation = None if given is None or index == 0 else given[index - 1]
            label = f"relations[{index - 1}]"
            related.add(size, relation, None if names is None else names[index], label, f"ids[{index}]")
        return related

    def add(self, size: int, relation: Any, ids: Any, relation_name: str = "relations", ids_name: str = "ids") -> None:
        """Add a window of `size` rows, related to the newest one by a relation, old row -> new row, or by its ids."""
        own = None if ids is None else self._read_ids(ids, size, ids_name)
        if self._sizes:
            self._steps.append(self._relate_newest(size, relation, own, relation_name))
            self._is_given.append(relation is not None)
        self._ids.append(own)
        self._sizes.append(size)

    def copy(self) -> WindowRelations:
        """Return relations that can grow without changing these."""
        other = WindowRelations()
        other._sizes, other._ids = list(self._sizes), list(self._ids)
        other._steps, other._is_given = list(self._steps), list(self._is_given)
        return other

    def relate(self, old: int, new: int) -> Relation | Coupling:
        """Return the relation of two windows, old < new."""
        if new == old + 1:
            return self._steps[old]
        one, two = self._ids[old], self._ids[new]
        same = None if one is None or two is None else relate_ids(one, two)
        if same is not None and not any(self._is_given[old:new]):
            return same
        relation = self._steps[old]
        for middle, step in enumerate(self._steps[old + 1 : new], start=old + 1):
            if isinstance(relation, Coupling) or isinstance(step, Coupling):
                sizes = (self._sizes[old], self._sizes[middle], self._sizes[middle + 1])
                relation = compose(relation, step, sizes)
            else:
                relation = compose_relations(relation, step)
        return relation if same is None else add_unrelated(relation, same)

    def steps(self) -> list[Relation]:
        """Return the relations of consecutive windows; of couplings the heaviest pairs in which no row is twice."""
        return [find_strongest(step, size) for step, size in zip(self._steps, self._sizes, strict=False)]

    def name_entities(self) -> list[npt.NDArray[Any]]:
        """Return the id of each row's entity: the ids that were given, else numbers that `steps` hands on."""
        known = [given.ids for given in self._ids if given is not None]
        if len(known) == len(self._sizes) and not any(self._is_given):
            return known
        named: list[npt.NDArray[Any]] = []
        n_known = 0
        for size, step in zip(self._sizes, [None, *self.steps()], strict=True):
            numbers = np.full(size, -1, dtype=np.int64)
            if step is not None:
                has_partner = step >= 0
                numbers[step[has_partner]] = named[-1][has_partner]
            is_new = numbers < 0
            n_new = int(is_new.sum())
            numbers[is_new] = np.arange(n_known, n_known + n_new)
            n_known += n_new
            named.append(numbers)
        return named

    def _read_ids(self, ids: Any, size: int, name: str) -> SortedIds:
        """Check the ids of the next window; refuse those of another sort than the ids of windows before."""
        own = sort_ids(ids, name)
        own = own._replace(ids=own.ids.copy())  # the caller may write to what came
        if len(own.ids) != size:
            msg = f"{name} has {len(own.ids)} ids for a window of {size} rows; give one id per row."
            raise InvalidInputError(msg)
        for index, known in enumerate(self._ids):
            if known is not None and not are_comparable(known, own):
                msg = (
                    f"{name} has ids of dtype {own.ids.dtype}, and window {index} of {known.ids.dtype}; give ids of one"
                    " sort, such as integers or strings, in all windows."
                )
                raise InvalidInputError(msg)
        return own

    def _relate_newest(self, size: int, relation: Any, ids: SortedIds | None, name: str) -> Relation | Coupling:
        """Relate the newest window to the next one."""
        newest = self._ids[-1]
        same = None if ids is None or newest is None else relate_ids(newest, ids)
        if relation is not None:
            step = read_relation(relation, self._sizes[-1], size, name)
            return step if same is None else join_relations(step, same, name)
        if same is not None:
            return same
        wanted = "relations" if newest is None else "relations or ids"
        why = "" if ids is None else f" (and window {len(self._sizes) - 1} has no ids to compare with)"
        msg = f"window {len(self._sizes)} came without {wanted}{why}; give what relates it to the window before."
        raise InvalidInputError(msg)


def _as_list(given: Any, name: str, expected: int, what: str) -> list[Any] | None:
    if given is None:
        return None
    if isinstance(given, dict) or (isinstance(given, np.ndarray) and given.ndim < 2) or not hasattr(given, "__len__"):
        msg = f"{name} must be a list, {what}, got {type(given).__name__}."
        raise InvalidInputError(msg)
    if len(given) != expected:
        msg = f"{name} must hold {expected} entries, {what}, got {len(given)}."
        raise InvalidInputError(msg)
    return list(given)
