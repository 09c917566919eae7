"""ECE of the confidence, log loss and Brier score of logits in a file: what a script would do."""

import sys

import numpy as np

BINS = 15

z, y = np.load(sys.argv[1], mmap_mode="r"), np.load(sys.argv[2])
rows = np.zeros(BINS)
gap = np.zeros(BINS)
loss = brier = 0.0
for start in range(0, len(z), 500):
    p = z[start : start + 500] - z[start : start + 500].max(axis=1, keepdims=True)
    label = y[start : start + 500]
    truth = p[np.arange(len(p)), label]
    np.exp(p, out=p)
    total = p.sum(axis=1)
    loss += (np.log(total) - truth).sum(dtype=np.float64)
    p /= total[:, None]
    own = p[np.arange(len(p)), label]
    brier += (np.einsum("ij,ij->i", p, p) - 2.0 * own + 1.0).sum(dtype=np.float64)
    best = p.argmax(axis=1)
    confidence = p[np.arange(len(p)), best]
    index = np.minimum((confidence * BINS).astype(int), BINS - 1)
    rows += np.bincount(index, minlength=BINS)
    gap += np.bincount(index, (best == label) - confidence, BINS)
print(np.abs(gap).sum() / len(z), loss / len(z), brier / len(z))
