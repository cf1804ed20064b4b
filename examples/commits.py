"""The commit messages of a clone as a table with vectors: what the work on a repository was about, year after year.

    pip install .
    python examples/commits.py path/to/clone

Writes commits.parquet to the folder it is called in: of each commit its hash, date, author, subject (first line of the
message) and, where the clone knows it, address on the web, and up to 64 numbers that scikit-learn makes of the whole
message (TF-IDF, then a truncated SVD). The tutorial goes on from there: examples/guide/commits.md.
"""

import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

N_AXES = 64
FEWEST = 100
FIELDS = "%H%x1f%h%x1f%cI%x1f%an%x1f%B%x1e"
NO_PROSE = re.compile(r"^[\w-]+-(by|id): .*$|https?://\S+|#\d+", re.MULTILINE | re.IGNORECASE)
BOT = re.compile(r"\[bot\]|-bot$|^pre-commit", re.IGNORECASE)


def run_git(clone: Path, *command: str) -> str:
    """Run git in the clone and return what it prints."""
    asked = ["git", "-C", str(clone), *command]
    done = subprocess.run(asked, capture_output=True, check=False)  # noqa: S603 - git, on the clone that the user names
    if done.returncode:
        sys.exit(f"git cannot read {clone}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace")


def find_address(clone: Path) -> str | None:
    """Find where commits of the clone are on the web, up to the hash; None where it came from no such place."""
    remotes = run_git(clone, "remote", "-v").split()
    found = re.match(r"(?:https://|git@)([\w.-]+)[/:]([\w./-]+?)(?:\.git)?$", remotes[1] if remotes else "")
    return f"https://{found[1]}/{found[2]}/commit/" if found else None


def main(clone: Path) -> None:
    """Write the table of a clone."""
    log = run_git(clone, "log", "--no-merges", "--reverse", f"--format={FIELDS}")
    commits = [entry.strip().split("\x1f") for entry in log.split("\x1e") if entry.strip()]
    commits = [one for one in commits if not BOT.search(one[3])]
    if len(commits) < FEWEST:
        sys.exit(f"{clone} has {len(commits)} commits besides merges and those of bots; a map wants {FEWEST} at least")
    hashes, names, dates, authors, texts = zip(*commits, strict=True)
    prose = [NO_PROSE.sub(" ", text) for text in texts]
    weights = TfidfVectorizer(sublinear_tf=True, min_df=3, stop_words="english").fit_transform(prose)
    vectors = TruncatedSVD(min(N_AXES, weights.shape[1] - 1), random_state=0).fit_transform(weights)
    address = find_address(clone)
    columns = {
        "commit": names,
        "date": pa.array(dates).cast(pa.timestamp("s", "UTC")),
        "author": authors,
        "subject": [text.strip().splitlines()[0] if text.strip() else "" for text in texts],
        "link": [f"{address}{one}" if address else "" for one in hashes],
        "vector": pa.array(list(vectors.astype("float32")), pa.list_(pa.float32(), vectors.shape[1])),
    }
    pq.write_table(pa.table(columns), "commits.parquet")
    print(f"commits.parquet: {len(names):,} commits from {dates[0][:10]} to {dates[-1][:10]}, of {clone}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
