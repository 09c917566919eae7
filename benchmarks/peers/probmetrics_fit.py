"""A fit by the authors of structured scaling: `probmetrics_fit.py METHOD LOGITS LABELS`."""

import sys

import numpy as np
from probmetrics.calibrators import get_calibrator
from scipy.special import softmax

logits, label = np.load(sys.argv[2]), np.load(sys.argv[3])
p = softmax(logits.astype(np.float64), axis=1)
fitted = get_calibrator(sys.argv[1])
fitted.fit(p, label)
mapped = np.asarray(fitted.predict_proba(p))
print(-np.log(mapped[np.arange(len(label)), label]).mean())
