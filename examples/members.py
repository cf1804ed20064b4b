"""Members of an assembly who get a new number in every session: related by their names and places.

    pip install .
    python examples/members.py

Makes five sessions of votes. Numbers say nothing from one session to the next, so a table relates the rows: members of
the same name and place, and, where a seat changed hands, successor and predecessor with a smaller weight. Writes
members.zarr and members.html to the folder `out` beside this file.
"""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from driftmap.pipeline import plan, run
from driftmap.pipeline.look.report import write_report

OUT = Path(__file__).resolve().with_name("out")
N_SESSIONS, N_SEATS, N_VOTES = 5, 120, 40
TURNOVER = 0.15
SUCCESSOR_WEIGHT = 0.3


def make_sessions(rng: np.random.Generator) -> pd.DataFrame:
    """Make one row per member and session: number, name, place, party, and how he or she voted."""
    places = np.array([f"district {seat}" for seat in range(N_SEATS)])
    leaning = rng.uniform(-1, 1, N_SEATS)
    names = np.array([f"member {seat}" for seat in range(N_SEATS)])
    frames = []
    for session in range(N_SESSIONS):
        if session:
            is_new = rng.random(N_SEATS) < TURNOVER
            names[is_new] = [f"member {session * N_SEATS + seat}" for seat in np.flatnonzero(is_new)]
            leaning = np.where(is_new, rng.uniform(-1, 1, N_SEATS), leaning + 0.05 * rng.normal(size=N_SEATS))
        bills = rng.normal(size=N_VOTES)
        votes = np.sign(np.outer(leaning, bills) + 0.3 * rng.normal(size=(N_SEATS, N_VOTES)))
        numbers = session * 1000 + rng.permutation(N_SEATS)
        party = np.where(leaning < 0, "left", "right")
        frame = pd.DataFrame(votes.astype(np.float32), columns=[f"vote{vote}" for vote in range(N_VOTES)])
        frame.insert(0, "session", session)
        frames.append(frame.assign(number=numbers, name=names.copy(), place=places, party=party))
    return pd.concat(frames, ignore_index=True)


def relate(members: pd.DataFrame) -> pd.DataFrame:
    """Relate the members of consecutive sessions: window, id, other window, other id, weight."""
    sessions = [frame for _, frame in members[["session", "number", "name", "place"]].groupby("session")]
    tables = []
    for old, new in itertools.pairwise(sessions):
        pairs = old.merge(new, on="place", suffixes=("", "_new"))
        weight = np.where(pairs["name"] == pairs["name_new"], 1.0, SUCCESSOR_WEIGHT)
        columns = {"window": "session", "id": "number", "other_window": "session_new", "other_id": "number_new"}
        tables.append(pd.DataFrame({name: pairs[source] for name, source in columns.items()}).assign(weight=weight))
    return pd.concat(tables, ignore_index=True)


def main() -> None:
    """Relate the sessions, make the maps, write the page."""
    OUT.mkdir(exist_ok=True)
    members = make_sessions(np.random.default_rng(0))
    related = relate(members)
    related.to_csv(OUT / "members-relations.csv", index=False)
    options = {"by": "session", "id": "number", "label": ["party", "name"], "vectors": "vote*", "metric": "cosine"}
    options |= {"relations": OUT / "members-relations.csv", "scheduler": "serial"}
    print(*plan(members, **options).columns, sep="\n")
    store = run(members, OUT / "members.zarr", **options)
    print(write_report(store, OUT / "members.html", title="Five sessions"))


if __name__ == "__main__":
    main()
