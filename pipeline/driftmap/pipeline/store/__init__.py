"""The store of a run: plain Zarr arrays, and the log of commits that alone says what is there.

A store is a folder, or `s3://bucket/prefix`, of format version 2. Files are created whole and once, unless the table
says otherwise; what no commit names is not there for anybody, and `driftmap verify --clean` removes it.

| path | what |
|---|---|
| `commits/00000000.json` | The log, numbered without gaps. The first commit holds the format's version, the settings, the windows and the source's fingerprint. |
| | `graph`: a window's graph is there; `graphs`: those of several, since format 2; `layout`: maps of a block, final and provisional. |
| | `source`, `set_aside`, `ingest`, `reopen`, `pruned`: how the store grows and shrinks (`growth.py`). |
| | `begun_again`: all that a first commit says, of another run, where no graph was there yet. |
| | `config`, `planned`: settings of a run that has not begun with what they are about, and the rows of its windows. |
| | `rebuilt`, `relaid`, `clean`, `migrated`: how it was mended (`repairs.py`). |
| `windows/00000003/<attempt>/` | A Zarr v3 group of one attempt at a window. Its metadata holds size and digest of each file, and digests of the arrays' values. |
| `.../ids`, `label_0`, ... | (n,) entity ids and label columns; text and bytes as rows of bytes, times as integers (`driftmap_kind`). |
| `.../knn_indices`, `knn_distances` | (n, k) int32, float32: the kNN graph. |
| `.../indptr`, `indices`, `data` | (n + 1,) int64, (e,) int32, (e,) float32: the fuzzy graph, CSR. |
| `.../mid_near` | (n, 4) int32: mid-near rows, where the commit says `has_mid_near`; without, a layout arranges far groups less well. |
| `windows/00000003/<attempt>.zip` | The same group as one file, a Zarr store of its own: graphs and clusters of up to 16 MiB. Since format 2; `prune` cuts graphs out of it. |
| `.../clusters` | (n,) int32: the cluster of each row; in a group of its own. |
| `.../positions` | (n, c) float32: the map; in the groups of a layout, which hold nothing else. |
| `windows/00000003/zarr.json` | Zarr's marks of the groups above; they say nothing. |
| `checkpoints/00001024.json` | What the first 1,024 commits amount to. Made of the log, and left out without harm; the newest two stay. |
| `lock/00000007.json` | Who holds the store, or held it last. Written again every few seconds by the holder. |
| `relations/<digest>/` | Relations from outside (`relation_book.py`): windows, ids and weights of pairs; the settings name the digests. |
| `bad_rows/<digest>/rows` | (b,) int64: numbers of the rows of the source that the run dropped; the settings name the digest. |
| `scaling/<digest>/centres`, `spreads` | (d,) float64: what is taken from each column, and what it is divided by; the settings name the digest. |
| `source/` | Arrays that were given from Python, for the workers; only in a folder. |

Arrays are one chunk until they are large, cut along their rows then: bytes, blosc (lz4, shuffle), crc32c.

Why not Icechunk, which has commits and branches over Zarr: its version 1.1.21 says itself that its local file system
storage is not safe for concurrent commits (of 100 that were acknowledged, 93 were there in one trial; of 60 in another,
all), and most stores of driftmap are folders. Commits of one small array each took 27 ms of processor time up to the
50th, and 46 from there to the 200th, since a snapshot lists all arrays; here a commit is one small file, whatever came
before. And what driftmap needs of a log are facts of its own, such as final, provisional and generation. S3 was not
tried.
"""  # noqa: E501 - a table's rows are lines

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftmap.pipeline.store.store import Store, open_store

__all__ = ["Store", "open_store"]


def __getattr__(name: str) -> object:
    """Import the store itself only now: who reads its log alone needs no Zarr."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from driftmap.pipeline.store import store

    return getattr(store, name)
