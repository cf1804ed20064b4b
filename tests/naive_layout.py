"""The layout written slowly from the papers: losses whose gradients the kernels follow, and one epoch row by row."""

from __future__ import annotations

import numpy as np

MASK = 2**64 - 1
MID_NEAR_RATE = 2.0


def attraction_loss(y_i, y_j, a, b):
    """Minus the log of the low-dimensional membership strength."""
    d2 = float(((y_i - y_j) ** 2).sum())
    return np.log1p(a * d2**b)


def repulsion_loss(y_i, y_j, a, b):
    """Minus the log of one minus the low-dimensional membership strength."""
    d2 = float(((y_i - y_j) ** 2).sum())
    return -np.log(1 - 1 / (1 + a * d2**b))


def downhill(loss, y_i, y_j, a, b, eps=1e-6):
    """Minus the gradient at y_i, by central differences."""
    out = np.zeros(len(y_i))
    for d in range(len(y_i)):
        step = np.zeros(len(y_i))
        step[d] = eps
        out[d] = -(loss(y_i + step, y_j, a, b) - loss(y_i - step, y_j, a, b)) / (2 * eps)
    return out


def mix(state, value):
    """SplitMix64's finaliser on python integers."""
    z = (state + (value + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def attraction(y_i, y_j, a, b):
    d2 = ((y_j - y_i) ** 2).sum() + 1e-12
    return 2 * a * b * d2 ** (b - 1) / (1 + a * d2**b) * (y_j - y_i)


def repulsion(y_i, y_j, a, b):
    d2 = ((y_j - y_i) ** 2).sum() + 1e-12
    coefficient = 2 * b / ((0.001 + d2) * (1 + a * d2**b))
    return min(coefficient, 4 / np.sqrt(d2)) * (y_i - y_j)


def one_epoch(block, forces, positions, window, learning_rate, seed, epoch, n_placed, n_negatives=64, *, draws=False):
    """Positions (N, c) of a window's rows after one epoch; every row reads `positions` only."""
    start, n = int(block.offsets[window]), int(block.n_active[window])
    a, b = float(forces.a[window]), float(forces.b[window])
    rate = float(forces.negative_sample_rate[window])
    n_negatives = min(n_negatives, n)
    out = positions.copy()
    for row in range(start, start + n):
        force = np.zeros(positions.shape[1])
        for k in range(block.indptr[row], block.indptr[row + 1]):
            force += 2 * float(block.rates[k]) * attraction(positions[row], positions[block.indices[k]], a, b)
        for k in range(block.mid_near_indptr[row], block.mid_near_indptr[row + 1]) if draws else ():
            force += 2 * MID_NEAR_RATE * attraction(positions[row], positions[block.mid_near[k]], a, b)
        drawn = ((mix(mix(seed, epoch), row - start) >> 32) * n) >> 32
        scale = rate * float(forces.repulsion_strength[window]) / n_negatives * float(block.row_rates[row])
        for k in range(n_negatives):
            other = start + (drawn + k) % n
            force += scale * repulsion(positions[row], positions[other], a, b)
        length = np.linalg.norm(force)
        moved = positions[row] + learning_rate * force / max(length, 1)
        pairs = [
            (float(block.related_weights[k]), positions[block.related[k]])
            for k in range(block.related_indptr[row], block.related_indptr[row + 1])
            if block.related[k] < n_placed
        ]
        total = sum(w for w, _ in pairs)
        if total > 0:
            strength = learning_rate * float(forces.alignment_regularisation[window]) * (rate + 2)
            strength *= float(block.row_rates[row])
            mean = sum(w * y for w, y in pairs) / total
            origin = positions[row] if forces.moves_freely[window] else moved
            moved = moved + (1 - np.exp(-strength * total)) * (mean - origin)
        out[row] = moved
    return out
