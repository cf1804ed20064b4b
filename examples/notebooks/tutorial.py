# %% [markdown]
# # umap-learn's tutorial of AlignedUMAP
#
# Handwritten digits in slices that overlap: every slice gets a map of its own, and all maps lie as one sequence. Needs
# `pip install 'driftmap[plot]'`. The long version, with an animation and curves in space, is `examples/tutorial.py`.

# %%
import numpy as np
from sklearn.datasets import load_digits

from driftmap import AlignedUMAP
from driftmap.pipeline.look import plot_connectivity, plot_grid, plot_points

pixels, digits = load_digits(return_X_y=True)
order = np.argsort(digits, kind="stable")
ids = [order[start : start + 400] for start in range(0, 1_050, 150)]
slices, labels = [pixels[rows] for rows in ids], [digits[rows].astype(str) for rows in ids]

# %% [markdown]
# An image has the same id in every slice that it is in: that relates the rows of two slices. Relations as in umap-learn
# do as well: `relations=[{row + 150: row for row in range(250)}] * 6`.

# %%
mapper = AlignedUMAP(random_state=42).fit(slices[:6], ids=ids[:6])
mapper.update(slices[6], ids=ids[6])

# %%
plot_grid(mapper, label=labels, names=[f"slice {number}" for number in range(7)])

# %% [markdown]
# One window large, as `umap.plot.points` draws it, and with the edges of its graph, as `umap.plot.connectivity`.

# %%
plot_points(mapper, window=-1, label=labels)

# %%
plot_connectivity(mapper, window=-1, label=labels)

# %% [markdown]
# How good each map is, which images moved most, and new rows placed in the newest map, as a frame.

# %%
for window, figures in enumerate(mapper.quality_):
    print(window, {name: round(figures[name], 3) for name in ("trustworthiness", "neighbour_preservation", "drift")})
print(mapper.movers(5, n=3))
mapper.set_output(transform="pandas").transform(slices[6][:5])
