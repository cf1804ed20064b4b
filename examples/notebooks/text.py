# %% [markdown]
# # Text over months
#
# Posts become vectors, months become windows, and the words of a post name the clusters that it is in. Vectors are made
# by scikit-learn here; those of any language model do as well. Needs `pip install 'driftmap[plot]'`.

# %%
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

import driftmap
from driftmap.pipeline.look import plot_grid, plot_river

rng = np.random.default_rng(0)

# %% [markdown]
# Made posts of a forum, 150 a month. Talk of batteries begins in April, talk of the old charger ends with it.

# %%
TOPICS = {
    "charger": "charger cable plug slow warm socket adapter power brick port",
    "battery": "battery drains overnight percent life swollen replace capacity cycles hours",
    "screen": "screen crack glass repair scratch protector flicker bright pixel touch",
    "camera": "camera photo blurry lens focus night zoom video portrait colours",
    "update": "update install version failed restart settings bug slow patch release",
}
MONTHS = ["2024-01", "2024-02", "2024-03", "2024-04", "2024-05", "2024-06"]


def write_post(topic: str) -> str:
    other = rng.choice(list(TOPICS))
    words = [*rng.choice(TOPICS[topic].split(), 6, replace=False), *rng.choice(TOPICS[other].split(), 1)]
    return "my " + " ".join(rng.permutation(words))


rows: list[dict[str, str]] = []
for month, name in enumerate(MONTHS):
    shares = np.array([0.3 if month < 3 else 0.02, 0.02 if month < 3 else 0.3, 0.25, 0.2, 0.23])
    topics = rng.choice(list(TOPICS), 150, p=shares / shares.sum())
    rows += [{"date": f"{name}-{rng.integers(1, 29):02}", "topic": one, "text": write_post(one)} for one in topics]
posts = pd.DataFrame(rows).assign(post=np.arange(len(rows)))
posts.sample(3, random_state=0)

# %%
weights = TfidfVectorizer().fit_transform(posts["text"])
vectors = TruncatedSVD(20, random_state=0).fit_transform(weights).astype(np.float32)
posts = posts.assign(vector=list(vectors))

# %% [markdown]
# Windows of sixty days, one beginning every thirty: they share posts, and that relates their maps.

# %%
folder = Path(tempfile.mkdtemp())
store = driftmap.run(
    posts,
    folder / "posts.zarr",
    time="date",
    id="post",
    label="topic",
    vectors="vector",
    text="text",
    window="60D",
    stride="30D",
    metric="cosine",
    scheduler="serial",
)
plot_grid(store)

# %% [markdown]
# Clusters are found without the topics, and keep their number from window to window: one fades and another is born. The
# page names them by their words.

# %%
plot_river(store, label="cluster")

# %%
print(store.report(folder / "posts.html", title="A forum"))
store.lineage().to_pandas().tail(8)
