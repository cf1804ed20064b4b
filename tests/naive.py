"""Slow loop versions of what the engine computes, written from the papers and not from the engine's code.

All take and return plain numpy arrays in float64; -1 is a missing neighbour and no partner.
"""

from __future__ import annotations

import math

import numpy as np


def distance(x, y, metric):
    """Distance of two rows, term by term."""
    x, y = [float(v) for v in x], [float(v) for v in y]
    if metric == "euclidean":
        return math.sqrt(sum((p - q) ** 2 for p, q in zip(x, y, strict=True)))
    if metric == "correlation":
        x, y = [p - sum(x) / len(x) for p in x], [q - sum(y) / len(y) for q in y]
    length_x, length_y = math.sqrt(sum(p * p for p in x)), math.sqrt(sum(q * q for q in y))
    if length_x == 0.0 or length_y == 0.0:
        return 0.0 if length_x == length_y else 1.0
    return 1.0 - sum(p * q for p, q in zip(x, y, strict=True)) / (length_x * length_y)


def all_distances(rows, metric="euclidean"):
    return np.array([[distance(x, y, metric) for y in rows] for x in rows])


def nearest(distances, k):
    """The row itself, then the k - 1 nearest others by (distance, row)."""
    graph = []
    for i, row in enumerate(distances):
        others = sorted((float(d), j) for j, d in enumerate(row) if j != i)
        graph.append([i] + [j for _, j in others[: k - 1]])
    return np.array(graph)


def smooth(row, local_connectivity):
    """Rho of one row of distances, and the sigma that solves the paper's equation (None: nothing solves it)."""
    apart = [d for d in row if d > 0]
    whole = math.floor(local_connectivity)
    if len(apart) < local_connectivity:
        rho = apart[-1] if apart else 0.0
    else:
        below = apart[whole - 1] if whole else 0.0
        part = local_connectivity - whole
        rho = below + part * (apart[whole] - below) if part else below
    target = math.log2(len(row))

    def excess(sigma):
        return sum(math.exp(-max(0.0, d - rho) / sigma) for d in row[1:]) - target

    low, high = 1e-12, 1e12
    if excess(low) > 0 or excess(high) < 0:
        return rho, None
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if excess(middle) > 0 else (middle, high)
    return rho, middle


def fuzzy_matrix(indices, distances, sigmas, rhos, mix):
    """Dense fuzzy graph from memberships `exp(-max(0, d - rho) / sigma)`."""
    n = len(indices)
    strength = np.zeros((n, n))
    for i in range(n):
        for j, d in zip(indices[i], distances[i], strict=True):
            if j not in (-1, i):
                beyond = max(0.0, float(d) - float(rhos[i]))
                strength[i, j] = math.exp(-beyond / float(sigmas[i])) if beyond else 1.0
    mixed = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            p, q = strength[i, j], strength[j, i]
            mixed[i, j] = mix * (p + q - p * q) + (1 - mix) * p * q
    return mixed


def jaccard(base, other, relation):
    """Overlap of neighbourhoods as sets of rows of `other`, counted over rows that both windows have."""
    shared = {int(r) for r in relation if r >= 0}
    weights = np.zeros(len(relation))
    for i, partner in enumerate(relation):
        if partner < 0:
            continue
        here = {int(relation[j]) for j in neighbours_of(base, i) if relation[j] >= 0}
        there = {int(j) for j in neighbours_of(other, partner)} & shared
        weights[i] = len(here & there) / len(here | there) if here | there else 1.0
    return weights


def related_windows(ids, given, older, newer):
    """Weights (n, m) of the relation of two windows, as `relate_windows` has them; `given` are dense matrices."""

    def same(a, b):
        return np.array([[float(x == y) for y in ids[b]] for x in ids[a]])

    def direct(a, b):
        return np.maximum(given[a, b], same(a, b)) if (a, b) in given else same(a, b)

    between = [(t, t + 1) for t in range(older, newer)]
    if (older, newer) in given or not any(step in given for step in between):
        return direct(older, newer)
    product = direct(*between[0])
    for step in between[1:]:
        shares = product / np.maximum(1, product.sum(axis=1, keepdims=True))
        product = shares @ direct(*step)
        if product.max() > 0:
            product = product / product.max()
    matrix = product.copy()
    for i, j in np.argwhere(same(older, newer) > 0):
        if not product[i].any() and not product[:, j].any():
            matrix[i, j] = 1
    return matrix


def coupled_pulls(base, other, pairs):
    """Weights of the pulls of each pair (i, j, w) on i and on j; see `couplings.weigh_coupling`."""
    largest = max(w for _, _, w in pairs)
    weight = {(i, j): w / largest for i, j, w in pairs}
    of_old, of_new = {}, {}
    for (i, j), w in weight.items():
        of_old[i] = of_old.get(i, 0.0) + w
        of_new[j] = of_new.get(j, 0.0) + w
    share = {(i, j): w / max(1.0, of_old[i]) for (i, j), w in weight.items()}
    pulls = {}
    for (i, j), w in weight.items():
        near_i, near_j = set(neighbours_of(base, i).tolist()), set(neighbours_of(other, j).tolist())
        both = either = 0.0
        for r in set(of_new) - {j}:
            a = min(1.0, sum(p for (h, partner), p in share.items() if partner == r and h in near_i))
            b = 1.0 if r in near_j else 0.0
            both += min(a, b)
            either += max(a, b)
        overlap = both / either if either else 1.0
        pulls[i, j] = (share[i, j] * overlap, w / max(1.0, of_new[j]) * overlap)
    return pulls


def neighbours_of(graph, row):
    return graph.indices[graph.indptr[row] : graph.indptr[row + 1]]


def trustworthiness(rows, positions, k, metric="euclidean"):
    n = len(rows)
    data, places = all_distances(rows, metric), all_distances(positions)
    excess = 0
    for i in range(n):
        rank = {j: r for r, j in enumerate(nearest(data, n)[i])}
        excess += sum(max(0, rank[j] - k) for j in nearest(places, k + 1)[i][1:])
    return 1 - 2 * excess / (n * k * (2 * n - 3 * k - 1))


def neighbour_preservation(rows, positions, k, metric="euclidean"):
    data, places = nearest(all_distances(rows, metric), k + 1), nearest(all_distances(positions), k + 1)
    return float(np.mean([len(set(a[1:]) & set(b[1:])) / k for a, b in zip(data, places, strict=True)]))


def drift(positions, relations, n_steps):
    """Mean over windows of the mean distance of rows that can be followed, over the layout's spread."""
    variances = []
    for window in positions:
        finite = np.array([p for p in window if np.all(np.isfinite(p))])
        variances.append(np.mean([np.mean((axis - np.mean(axis)) ** 2) for axis in finite.T]))
    spread = math.sqrt(np.mean(variances))
    windows = []
    for t in range(len(positions) - n_steps):
        moved = []
        for i in range(len(positions[t])):
            row = i
            for step in range(n_steps):
                row = relations[t + step][row] if row >= 0 else -1
            if row >= 0:
                way = math.dist(positions[t][i], positions[t + n_steps][row])
                moved += [way] if math.isfinite(way) else []
        windows += [np.mean(moved)] if moved else []
    return float(np.mean(windows)) / spread


def turnover(old, new, relation):
    """Share of a row's nearest shared neighbours that the other window's list of as many does not have."""
    shared = {int(r) for r in relation if r >= 0}
    result = []
    for i, partner in enumerate(relation):
        here = [int(relation[j]) for j in old[i] if j not in (-1, i) and relation[j] >= 0]
        there = [int(j) for j in new[partner] if j != partner and int(j) in shared]
        k = min(len(here), len(there)) if partner >= 0 else 0
        result.append(1 - len(set(here[:k]) & set(there[:k])) / k if k else math.nan)
    return np.array(result)


def displacement(old, new, relation):
    """Distance between the positions of each related row, over the spread of both maps."""
    variances = []
    for window in (old, new):
        finite = [p for p in window if all(math.isfinite(v) for v in p)]
        variances.append(np.mean([np.mean((axis - np.mean(axis)) ** 2) for axis in np.array(finite).T]))
    spread = math.sqrt(np.mean(variances))
    return np.array([math.dist(p, new[j]) / spread if j >= 0 else math.nan for p, j in zip(old, relation, strict=True)])
