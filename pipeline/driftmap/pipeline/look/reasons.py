"""What the page needs to say why: words and numbers of its rows, and what is shown of them, in compressed blocks."""

from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine import rate_terms
from driftmap.pipeline.look.cluster_names import choose_words, number_words
from driftmap.pipeline.look.row_pictures import PictureReader
from driftmap.pipeline.look.run_codes import as_text, list_shown, number_values
from driftmap.pipeline.store.row_traits import CODING, MISSING, encode_numbers

if TYPE_CHECKING:
    from driftmap.pipeline.look.clusters import FoundClusters
    from driftmap.pipeline.look.page_codec import StreamWriter
    from driftmap.pipeline.look.run_codes import Array, Run
    from driftmap.pipeline.store import Store

MAX_PAGE_WORDS = 4_000
MAX_WORDS_OF_ROWS = 1_500_000
"""Words of all rows of all windows together; of more, those that tell clusters from each other best are taken."""
MAX_NUMBERS = 60_000
"""Numbers on the page; of more, those of a sample of the ids."""
MAX_DETAIL_BYTES = 2_000_000
"""Of what is shown of rows; what comes later in the run is left out, and the page says so."""
BLOCK_VALUES = 512


class ReasonWriter:
    """Writes words, numbers and details of the rows that a page draws, window by window.

    What an id has in a window is written only where it differs from what it had when it was last seen.

    Parameters
    ----------
    store, run
        An opened store, and its ids.
    found
        Its clusters.
    """

    def __init__(self, store: Store, run: Run, found: FoundClusters) -> None:
        self._store, self._run = store, run
        self._words = self._choose_words(found)
        self._columns, self._scale = self._find_scale()
        self._has_numbers = self._choose_numbered()
        self._shown = self._read_shown()
        self._pictures = PictureReader(store)
        self._last_codes: Array = np.zeros((0, 0), dtype=np.int64)
        self._last_words: Array = np.zeros(0, dtype=np.uint64)
        self._used: list[dict[int, int]] = []

    def start(self, n_entities: int) -> None:
        """Begin a page of so many ids."""
        n_streams = len(self._columns) + len(self._shown)
        self._last_codes = np.zeros((n_streams, n_entities), dtype=np.int64)
        self._last_codes[: len(self._columns)] = MISSING
        self._last_words = np.zeros(n_entities, dtype=np.uint64)
        self._used = [{} for _ in self._shown]

    def add(self, t: int, rows: Array, entities: Array, writer: StreamWriter) -> dict[str, Any]:
        """Write the streams of some rows of a window, by their numbers there and on the page."""
        codes = [*self._code_numbers(t, rows), *self._code_details(t, rows)]
        streams = []
        for last, now in zip(self._last_codes, codes, strict=True):
            streams.append(writer.add(now - last[entities]))
            last[entities] = now
        n_columns = len(self._columns)
        found: dict[str, Any] = {"numbers": streams[:n_columns], "details": streams[n_columns:]}
        if len(self._words):
            found["words"] = self._add_words(t, rows, entities, writer)
        return found

    def describe(self) -> dict[str, Any]:
        """Say what the streams mean."""
        n_numbered = int(np.count_nonzero(self._has_numbers))
        return {
            "words": self._words.tolist(),
            "columns": list(self._columns),
            "scale": self._scale.tolist(),
            "coding": CODING,
            "is_sampled": bool(self._columns) and n_numbered < len(self._has_numbers),
        }

    def pack_details(self) -> tuple[list[dict[str, Any]], str]:
        """Compress what is shown, in blocks that are unpacked one by one.

        Returns
        -------
        tuple
            Per column its name, how many values it has here, and the numbers of the first block of its texts and, where
            these name pictures, of those; then all blocks as base64, a line for each.
        """
        columns: list[dict[str, Any]] = []
        blocks: list[str] = []
        n_bytes = 0
        self._pictures.start()
        for (name, values, _), used in zip(self._shown, self._used, strict=True):
            taken, first = 0, len(blocks)
            texts = [values[code] for code in used]
            for begin in range(0, len(texts), BLOCK_VALUES):
                part = texts[begin : begin + BLOCK_VALUES]
                block = _pack_block(part)
                if n_bytes + len(block) > MAX_DETAIL_BYTES:
                    break
                n_bytes += len(block)
                blocks.append(block)
                taken += len(part)
            column = {"name": name, "n_values": taken, "n_all": len(texts), "first": first}
            pictures = self._pictures.read(texts[:taken])
            if any(pictures):
                column |= {"first_picture": len(blocks)}
                blocks += [_pack_block(pictures[at : at + BLOCK_VALUES]) for at in range(0, taken, BLOCK_VALUES)]
            columns.append(column)
        return columns, "\n".join(blocks)

    def warn(self) -> None:
        """Say what is not on the page that was packed last."""
        self._pictures.warn()

    def _choose_words(self, found: FoundClusters) -> Array:
        terms = [self._store.read_words(fact.index) for fact in self._run.facts]
        words = choose_words(terms)
        if not len(words):
            return words
        n_groups = max(2, *(one.n_known + 1 for one in found.windows))
        group = np.minimum(np.arange(n_groups), 200)  # clusters are numbered as they come: late ones count as one
        counts = np.zeros((int(group[-1]) + 1, len(words)), dtype=np.int64)
        for own, clusters in zip(terms, found.windows, strict=True):
            if own is not None:
                rows, numbers = number_words(own, words)
                np.add.at(counts, (group[clusters.of_row[rows] + 1], numbers), 1)
        telling = np.lexsort((np.arange(len(words)), -rate_terms(counts).max(axis=0)))[:MAX_PAGE_WORDS]
        n_rows = counts.sum(axis=0)[telling]
        return words[np.sort(telling[np.cumsum(n_rows) <= MAX_WORDS_OF_ROWS])]

    def _find_scale(self) -> tuple[tuple[str, ...], Array]:
        """Join mean and spread of the columns that all windows have."""
        scales = [self._store.read_number_scale(fact.index) for fact in self._run.facts]
        known = [scale for scale in scales if scale is not None]
        if len(known) < len(scales) or any(columns != known[0][0] for columns, _ in known):
            return (), np.zeros((2, 0))
        weights = np.array([fact.n_rows for fact in self._run.facts], dtype=np.float64)
        means, spreads = (np.stack([scale[k] for _, scale in known]) for k in (0, 1))
        mean = np.average(means, axis=0, weights=weights)
        spread = np.sqrt(np.average(spreads**2 + (means - mean) ** 2, axis=0, weights=weights))
        return known[0][0], np.stack([mean, spread])

    def _choose_numbered(self) -> Array:
        n_entities = len(self._run.names)
        n_numbers = sum(fact.n_rows for fact in self._run.facts) * len(self._columns)
        return np.random.default_rng(0).random(n_entities) < MAX_NUMBERS / max(1, n_numbers)

    def _read_shown(self) -> list[tuple[str, list[str], list[Array]]]:
        shown = []
        for name in list_shown(self._store):
            columns = [self._store.window_labels(fact.index).get(name) for fact in self._run.facts]
            if any(column is None for column in columns):
                continue
            values, codes = number_values([column for column in columns if column is not None])
            shown.append((name, [as_text(value) for value in values.tolist()], list(codes)))
        return shown

    def _code_numbers(self, t: int, rows: Array) -> list[Array]:
        if not self._columns:
            return []
        traits = self._store.read_traits(self._run.facts[t].index)
        if traits is None or traits.numbers is None:
            return []
        codes = encode_numbers(traits.numbers[rows], self._scale).astype(np.int64)
        codes[~self._has_numbers[self._run.entities[t][rows]]] = MISSING
        return list(codes.T)

    def _code_details(self, t: int, rows: Array) -> list[Array]:
        """Give the values of drawn rows numbers in the order in which they come."""
        coded = []
        for (_, _, codes), used in zip(self._shown, self._used, strict=True):
            numbers = [used.setdefault(code, len(used)) for code in codes[t][rows].tolist()]
            coded.append(np.array(numbers, dtype=np.int64))
        return coded

    def _add_words(self, t: int, rows: Array, entities: Array, writer: StreamWriter) -> list[int]:
        """Write how many words each row has, one more, or 0 where they are those of the id's last row; then these."""
        terms = self._store.read_words(self._run.facts[t].index)
        lengths, numbers = np.zeros(len(rows), dtype=np.int64), np.zeros(0, dtype=np.int64)
        if terms is not None:
            of_rows, words = number_words(terms, self._words)
            place = np.full(len(terms.indptr) - 1, -1, dtype=np.int64)
            place[rows] = np.arange(len(rows))
            is_drawn = place[of_rows] >= 0
            order = np.argsort(place[of_rows[is_drawn]], kind="stable")
            owners, numbers = place[of_rows[is_drawn]][order], words[is_drawn][order]
            lengths = np.bincount(owners, minlength=len(rows))
        marks = np.random.default_rng(1).integers(1, 2**63, len(self._words), dtype=np.uint64)
        digests = np.ones(len(rows), dtype=np.uint64)
        owners = np.repeat(np.arange(len(rows)), lengths)
        np.add.at(digests, owners, marks[numbers])
        is_new = digests != self._last_words[entities]
        self._last_words[entities] = digests
        return [writer.add(np.where(is_new, lengths + 1, 0)), writer.add(numbers[is_new[owners]])]


def _pack_block(texts: list[str]) -> str:
    return base64.b64encode(zlib.compress(json.dumps(texts).encode("ascii"), 9)).decode("ascii")
