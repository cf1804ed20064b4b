"""Rows of a window in pieces: of one source, or of several files or batches that came one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.columns.key_columns import join_parts
from driftmap.pipeline.sources.opening import open_source
from driftmap.pipeline.sources.protocol import ReadEstimate
from driftmap.pipeline.sources.row_ranges import runs_to_rows
from driftmap.pipeline.sources.rows.repeated_ids import Groups, average_rows, group_rows
from driftmap.pipeline.sources.rows.row_digest import digest_parts, digest_rows
from driftmap.pipeline.sources.sparse_rows import STORED_BYTES, join_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.sources.protocol import ReadableRows, Rows
    from driftmap.pipeline.sources.rows.staged_rows import StagedRows

Kind = TypeVar("Kind")


class Piece(NamedTuple):
    """Rows of one part of a source that belong to a window."""

    spec: SourceSpec
    runs: Int64Array
    """int64 (r, 2) row ranges [start, stop), ascending and apart."""
    part: str = ""
    """Name of the part in messages; empty: the whole source."""
    staged: StagedRows | None = None
    """Where its rows lie sorted by window, where they were."""

    def open(self) -> ReadableRows:
        """Open what its rows are read from, by their numbers in the source."""
        return open_source(self.spec) if self.staged is None else self.staged.open(self.runs)

    @property
    def n_rows(self) -> int:
        """Number of its rows."""
        return int((self.runs[:, 1] - self.runs[:, 0]).sum())

    def explain(self, what: str) -> str:
        """Lead a message by the name of the part."""
        return f"{self.part}: {what}" if self.part else what


class PieceRows(NamedTuple):
    """Rows of all pieces of a window."""

    vectors: Rows
    """(n, d), dense or sparse."""
    ids: np.ndarray[Any, Any]
    """(n,); numbers of rows where the source has no ids."""
    labels: dict[str, np.ndarray[Any, Any]]
    """Per label column (n,)."""


class PieceColumns(NamedTuple):
    """What rows of all pieces have beside vectors."""

    ids: np.ndarray[Any, Any]
    labels: dict[str, np.ndarray[Any, Any]]
    order: Int64Array | None
    """Where each row was before rows were put in the order of their ids; None: they were not."""
    groups: Groups | None = None
    """Where ids come more than once: the rows that were read of each row of the window, which is their mean."""


def read_pieces(pieces: Sequence[Piece], *, by_id: bool = True) -> PieceRows:
    """Read a window's rows.

    Rows of one id become one where the source says so (`duplicates` mean): the mean of their vectors, with the labels
    of the first.

    Parameters
    ----------
    pieces
        Where they are.
    by_id
        Put them in the order of their ids, whatever the order in which their parts came; else as they stand.

    Returns
    -------
    PieceRows
        The rows.

    Raises
    ------
    SourceError
        When rows cannot be read or used; the part is named.
    """
    vectors: list[Rows] = []
    ids, labels = [], []
    for piece in pieces:
        found, own_ids, own_labels = _read_piece(piece)
        if found is None or found.shape[0] != piece.n_rows:
            raise SourceError(_explain_change(piece, None if found is None else found.shape[0]))
        vectors.append(found)
        ids.append(own_ids)
        labels.append(own_labels)
    refuse_other_widths(pieces, [(matrix.shape[1], matrix.shape[0]) for matrix in vectors])
    columns = _join_columns(pieces, ids, labels, by_id=by_id)
    joined = join_rows(vectors)
    if columns.groups is not None:
        return PieceRows(average_rows(joined, columns.groups), columns.ids, columns.labels)
    return PieceRows(joined if columns.order is None else joined[columns.order], columns.ids, columns.labels)


def digest_pieces(rows: PieceRows, spec: SourceSpec) -> str:
    """Digest a window's rows, but for what is only shown of them, and their texts: maps do not rest on these."""
    return digest_rows(rows.vectors, rows.ids, spec.pick_digested(rows.labels))


def digest_prose(rows: PieceRows | PieceColumns, spec: SourceSpec) -> str | None:
    """Digest what `digest_pieces` leaves out, texts and what is only shown; None where there is neither."""
    digested = spec.pick_digested(rows.labels)
    prose = {name: values for name, values in rows.labels.items() if name not in digested}
    return digest_parts(lambda _: (), 0, rows.ids, prose) if prose else None


def read_piece_columns(pieces: Sequence[Piece], *, by_id: bool = True) -> PieceColumns:
    """Read ids and labels of a window's rows, as `read_pieces` does, without their vectors."""
    ids, labels = [], []
    for piece in pieces:
        _, own_ids, own_labels = _read_piece(piece, with_vectors=False)
        ids.append(own_ids)
        labels.append(own_labels)
    return _join_columns(pieces, ids, labels, by_id=by_id)


def estimate_pieces(pieces: Sequence[Piece], n_rows: int, *, by_id: bool) -> ReadEstimate:
    """Estimate what reading so many rows of a window takes, before rows of one id become one; no rows are read."""
    each = [_estimate_piece(piece, n_rows) for piece in pieces]
    n_features, row_bytes = max(one.n_features for one in each), max(one.row_bytes for one in each)
    # What was read is copied: joined, and put in order.
    largest = max(each, key=lambda one: one.n_stored or 0)._replace(n_features=n_features)
    copied = largest.count_vector_bytes(n_rows) + 2 * n_rows * row_bytes if by_id or len(each) > 1 else 0
    peak_bytes = max(one.peak_bytes for one in each) + copied
    left_bytes = max(one.left_bytes for one in each)
    text_bytes = max(one.text_bytes for one in each)
    return ReadEstimate(n_features, row_bytes, peak_bytes, largest.n_stored, left_bytes, text_bytes)


def estimate_merged(estimate: Callable[[int], ReadEstimate], n_rows: int, n_window: int, n_read: int) -> ReadEstimate:
    """Estimate what reading rows of a window takes, some of which are the means of several.

    Parameters
    ----------
    estimate
        Estimates it for so many rows as they are read.
    n_rows
        Rows of the window, or of a block of it: of a block no more than so many are read at a time.
    n_window, n_read
        Rows of the window, and rows that are read for them.
    """
    if n_window == n_read:
        return estimate(n_rows)
    read = estimate(n_read if n_rows >= n_window else n_rows)
    # The means, and their sums in float64; of sparse rows these, the rows in float64, and the means twice.
    means = n_rows * 12 * read.n_features if read.n_stored is None else read.n_stored * (24 + 2 * STORED_BYTES)
    return read._replace(peak_bytes=read.peak_bytes + means + n_rows * (read.row_bytes + 32))


def refuse_other_widths(pieces: Sequence[Piece], widths: Sequence[tuple[int, int]]) -> None:
    """Refuse pieces whose vectors are not as long as those of most rows.

    Parameters
    ----------
    pieces
        Of one window.
    widths
        Of each piece, the length of its vectors, and its rows.
    """
    usual = find_usual([width for width, _ in widths], [n_rows for _, n_rows in widths])
    for piece, (width, _) in zip(pieces, widths, strict=True):
        if width != usual:
            raise SourceError(
                f"{piece.part}: vectors of {width} numbers, where the window's others have {usual}; they must agree"
            )


def refuse_other_kinds(pieces: Sequence[Piece], columns: Sequence[np.ndarray[Any, Any]], name: str) -> None:
    """Refuse pieces whose values of a column are not of the kind that most rows have: numbers here, and text there."""
    kinds = [name_kind(column) for column in columns]
    usual = find_usual(kinds, [len(column) for column in columns])
    there = pieces[kinds.index(usual)].part
    for piece, kind in zip(pieces, kinds, strict=True):
        if kind != usual:
            raise SourceError(f"{piece.part}: column {name!r} holds {kind}, and {usual} in {there}; write them alike")


def name_kind(column: np.ndarray[Any, Any]) -> str:
    """Name the kind of a column's values, as far as values of one kind can be joined."""
    if column.dtype.kind in "iufb":
        return "numbers"
    return "times" if column.dtype.kind == "M" else "text"


def find_usual(kinds: Sequence[Kind], n_rows: Sequence[int]) -> Kind:
    """Find the kind that most rows are of."""
    total: dict[Kind, int] = {}
    for kind, n in zip(kinds, n_rows, strict=True):
        total[kind] = total.get(kind, 0) + n
    return max(total, key=lambda kind: total[kind])


def join_ids(parts: list[np.ndarray[Any, Any]], names: list[str]) -> np.ndarray[Any, Any]:
    """Join ids of several parts of a source; they are numbers in all of them, or text."""
    kinds = ["number" if part.dtype.kind in "iu" else "text" for part in parts]
    if len(set(kinds)) > 1:
        usual = find_usual(kinds, [len(part) for part in parts])
        odd = next(place for place, kind in enumerate(kinds) if kind != usual)
        there = names[kinds.index(usual)]
        raise SourceError(f"{names[odd]}: ids are {kinds[odd]}s, and {usual}s in {there}; write them alike")
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def _read_piece(
    piece: Piece, *, with_vectors: bool = True
) -> tuple[Rows | None, np.ndarray[Any, Any], dict[str, np.ndarray[Any, Any]]]:
    spec = piece.spec
    if not with_vectors and spec.id is None and not spec.beside:
        return None, runs_to_rows(piece.runs), {}
    try:
        rows = piece.open().read_rows(piece.runs, with_vectors=with_vectors)
    except SourceError as error:
        raise SourceError(piece.explain(str(error))) from error
    ids = runs_to_rows(piece.runs) if rows.ids is None else rows.ids
    for column in (ids, *rows.labels.values()):
        if len(column) != piece.n_rows:
            raise SourceError(_explain_change(piece, len(column)))
    return rows.vectors, ids, rows.labels


def _estimate_piece(piece: Piece, n_rows: int) -> ReadEstimate:
    try:
        return piece.open().estimate_read(n_rows)
    except SourceError as error:
        raise SourceError(piece.explain(str(error))) from error


def _join_columns(
    pieces: Sequence[Piece],
    ids: list[np.ndarray[Any, Any]],
    labels: list[dict[str, np.ndarray[Any, Any]]],
    *,
    by_id: bool,
) -> PieceColumns:
    joined = join_ids(ids, [piece.part for piece in pieces])
    for name in labels[0] if len(pieces) > 1 else ():
        refuse_other_kinds(pieces, [own[name] for own in labels], name)
    columns = {name: join_parts([own[name] for own in labels], name) for name in labels[0]}
    groups = group_rows(joined, by_id=by_id) if pieces[0].spec.duplicates == "mean" else None
    if groups is None and not by_id:
        return PieceColumns(joined, columns, None)
    order = np.argsort(joined, kind="stable") if groups is None else groups.firsts
    ordered = {name: column[order] for name, column in columns.items()}
    return PieceColumns(joined[order], ordered, order if groups is None else None, groups)


def _explain_change(piece: Piece, n_read: int | None) -> str:
    if n_read is None:
        return piece.explain(f"the source {piece.spec.path} gave no vectors; name their column (vectors)")
    read = f"{piece.n_rows:,} rows were planned and {n_read:,} were read"
    if piece.part:
        return f"{piece.part} changed while it was read ({read}); ingest again"
    return f"{read}: the source changed; plan again"
